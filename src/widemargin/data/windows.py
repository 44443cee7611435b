"""Windows on mapped files: pages are brought in before they are used, and given back after.

A page of a mapped file counts as memory of the process from its first touch until it is given
back, though it is but the system's own copy of the disk. To bring in the pages of a range costs
next to nothing where the system holds them already, and to give them back drops nothing of it:
no byte is copied.
"""

from __future__ import annotations

import errno
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array

PAGE = mmap.ALLOCATIONGRANULARITY
STRETCH = 1 << 23  # bytes brought in by one call: between two, other threads of Python may run
POPULATE_READ = 22  # MADV_POPULATE_READ of Linux 5.14: says if pages cannot be read


class Span(NamedTuple):
    """Bytes start..stop-1 of a map, in whole pages."""

    map: mmap.mmap
    start: int
    stop: int


def span_of(array: Array) -> Span | None:
    """The pages of a mapped file that a contiguous array lies in; None for ordinary memory."""
    owner: Any = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    if owner is None or array.nbytes == 0:
        return None
    begin = array.ctypes.data - np.frombuffer(owner, np.uint8).ctypes.data
    whole = -(-(begin + array.nbytes) // PAGE) * PAGE
    return Span(owner, begin // PAGE * PAGE, min(whole, len(owner)))


def bring_in(span: Span) -> Iterator[None]:
    """Read the pages, a stretch a step. OSError where the file ends early or cannot be read."""
    if hasattr(mmap, "MADV_WILLNEED"):
        span.map.madvise(mmap.MADV_WILLNEED, span.start, span.stop - span.start)
    for start in range(span.start, span.stop, STRETCH):
        size = min(STRETCH, span.stop - start)
        try:
            span.map.madvise(POPULATE_READ, start, size)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            np.frombuffer(span.map, np.uint8, size, start)[::PAGE].max()
        yield


def give_back(arrays: Iterable[Array]) -> None:
    """Let the pages of mapped arrays count no longer; their contents stay in the files."""
    for array in arrays:
        span = span_of(array)
        if span is not None:
            span.map.madvise(mmap.MADV_DONTNEED, span.start, span.stop - span.start)


def row_array(n: int, columns: int, *, mapped: bool) -> Array:
    """Zeros of shape (n, columns), in memory or in a temporary file that has no name.

    The file lies in the folder that TMPDIR names, and is gone when the process is.
    """
    if not mapped or n * columns == 0:
        return np.zeros((n, columns))
    with tempfile.TemporaryFile(prefix="widemargin-") as file:
        return np.asarray(np.memmap(file, np.float64, "w+", shape=(n, columns)))
