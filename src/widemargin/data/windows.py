"""Windows on mapped files: pages are brought in before they are used, and given back after.

A page of a mapped file counts as memory of the process from its first touch until it is given
back, though it is but the system's own copy of the disk. To bring in the pages of a range costs
next to nothing where the system holds them already, and to give them back drops nothing of it:
no byte is copied.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array

PAGE = mmap.PAGESIZE
STRETCH = 1 << 23  # bytes brought in by one call: between two, a reader looks if it is wanted
LARGE_PAGES = 14  # MADV_HUGEPAGE of Linux
POPULATE_READ = 22  # MADV_POPULATE_READ of Linux 5.14: says if pages cannot be read


class Span(NamedTuple):
    """Addresses start..stop-1 within a mapped file, in whole pages."""

    start: int
    stop: int


def span_of(array: Array) -> Span | None:
    """The pages of a mapped file that a contiguous array lies in; None for ordinary memory."""
    owner: Any = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    if owner is None or array.nbytes == 0:
        return None
    begin = int(array.ctypes.data)
    return Span(begin // PAGE * PAGE, -(-(begin + array.nbytes) // PAGE) * PAGE)


def advise(span: Span, advice: int) -> None:
    """`madvise`, which Python's own mmap would call with the interpreter locked."""
    call = ctypes.CDLL(None, use_errno=True).madvise
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if call(span.start, span.stop - span.start, advice):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def bring_in(span: Span) -> Iterator[None]:
    """Read the pages, a stretch a step. OSError where the file ends early or cannot be read."""
    for start in range(span.start, span.stop, STRETCH):
        part = Span(start, min(start + STRETCH, span.stop))
        try:
            advise(part, POPULATE_READ)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            touch(part)  # a system that has no such call
        yield


def want_large_pages(arrays: Iterable[Array]) -> None:
    """Ask that mapped arrays be read from disk in large pages, where the system has them: they
    are read faster, and cost next to nothing to map and to give back."""
    for array in arrays:
        span = span_of(array)
        try:
            if span is not None:
                advise(span, LARGE_PAGES)
        except OSError:
            return


def touch(span: Span) -> None:
    """Read a byte of each page."""
    size = span.stop - span.start
    pages = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(span.start))
    pages[::PAGE].max()


def give_back(arrays: Iterable[Array]) -> None:
    """Let the pages of mapped arrays count no longer; their contents stay in the files."""
    for array in arrays:
        span = span_of(array)
        if span is not None:
            advise(span, mmap.MADV_DONTNEED)


def row_array(n: int, columns: int, *, mapped: bool) -> Array:
    """Zeros of shape (n, columns), in memory or in a temporary file that has no name.

    The file lies in the folder that TMPDIR names, and is gone when the process is.
    """
    if not mapped or n * columns == 0:
        return np.zeros((n, columns))
    with tempfile.TemporaryFile(prefix="widemargin-") as file:
        return np.asarray(np.memmap(file, np.float64, "w+", shape=(n, columns)))
