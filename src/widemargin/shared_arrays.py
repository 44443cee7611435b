"""Large arrays that other processes of this machine can read where they lie.

A `Room` makes arrays in files that exist in memory alone, without a name (memfd_create): they end
with the last process that has them open, so nothing is left behind, whatever dies. Who lends an
array names its process, its descriptor and a token; who borrows opens the same memory through
/proc, read-only, and says by one byte in the file's first page when nothing refers to it any more.

A file is written again only when no array of its own process refers to it and every borrower has
said so. A borrower that vanishes never says it; the lender then forgets the file (`lose`), whose
memory the system keeps until the last who reads it has gone.

>>> import numpy as np
>>> room = Room()
>>> array = room.empty((50_000,), np.float32)
>>> loan = lend(array[10_000:])
>>> borrowed = Borrowed().array(loan.terms) if loan else array[10_000:]
>>> array[10_000] = 3.0
>>> float(borrowed[0]), borrowed.flags.writeable and loan is not None
(3.0, False)
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array

LARGE = 100_000  # bytes from which on an array is worth a file
HEAD = mmap.ALLOCATIONGRANULARITY  # bytes of the first page: the token, then one for each loan
TOKEN = 16
FIRST = 64  # the byte of the first loan
SPARE = 2  # files without a use that a room keeps
MAPPED = 8  # files that a borrower keeps open
WHERE = struct.Struct("!II16s")  # process, descriptor, token
NOWHERE = WHERE.pack(0, 0, bytes(TOKEN))


class Terms(NamedTuple):
    """What a borrower is told."""

    where: bytes
    size: int  # of the whole file
    cell: int  # the byte to clear when nothing refers to the array any more
    offset: int
    shape: tuple[int, ...]
    dtype: str


class File:
    """Memory without a name; `user` is the array in it, while something refers to it."""

    def __init__(self, size: int) -> None:
        self.fd, self.size, self.lost = os.memfd_create("widemargin", os.MFD_CLOEXEC), size, False
        self.token = secrets.token_bytes(TOKEN)
        self.where = WHERE.pack(os.getpid(), self.fd, self.token)
        os.ftruncate(self.fd, HEAD + size)
        self.memory = mmap.mmap(self.fd, HEAD + size)
        self.memory[:TOKEN] = self.token
        self.user: Any = None

    def __del__(self) -> None:
        os.close(self.fd)

    def array(self, shape: tuple[int, ...], dtype: Any) -> Array:
        made: Array = np.ndarray(shape, dtype, buffer=self.memory, offset=HEAD)
        self.user = weakref.ref(made)
        FILES[made.ctypes.data] = self
        return made

    def used(self) -> bool:
        """Does anyone refer to it, here or elsewhere?"""
        return (self.user is not None and self.user() is not None) or self.lent()

    def lent(self) -> bool:
        return self.memory.find(b"\1", FIRST, HEAD) >= 0

    def cell(self) -> int:
        """A free byte, taken; −1: there is none."""
        found = self.memory.find(b"\0", FIRST, HEAD)
        if found >= 0:
            self.memory[found] = 1
        return found


FILES: weakref.WeakValueDictionary[int, File] = weakref.WeakValueDictionary()  # by first address


class Room:
    """Makes arrays; those of the size of one that nobody refers to any more take its place."""

    def __init__(self) -> None:
        self.files: list[File] = []

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of any content; a small one, or where there are no such files, is private."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size < LARGE or not hasattr(os, "memfd_create"):
            return np.empty(shape, dtype)
        self.files = [file for file in self.files if not file.lost]
        free = [file for file in self.files if not file.used()]
        for file in free:
            if file.size == size:
                return file.array(shape, dtype)
        for file in free[SPARE:]:
            self.files.remove(file)
        self.files.append(File(size))
        return self.files[-1].array(shape, dtype)


class Loan(NamedTuple):
    """An array, lent once."""

    file: File
    terms: Terms

    def open(self) -> bool:
        """Has the borrower not said yet that it is done?"""
        return self.file.memory[self.terms.cell] == 1

    def lose(self) -> None:
        """The borrower has vanished, or cannot be asked: never write to the file again."""
        if self.open():
            self.file.lost = True


def home(array: Array) -> File | None:
    """The file that an array, or a contiguous part of one, lies in; None: its memory is private."""
    owner = array if array.base is None or not isinstance(array.base, np.ndarray) else array.base
    file = FILES.get(owner.ctypes.data) if isinstance(owner.base, mmap.mmap) else None
    if file is None or file.user() is not owner or not array.flags.c_contiguous:
        return None
    return file


def lend(array: Array) -> Loan | None:
    """Let another process of this machine read it; None: it lies in private memory."""
    file = home(array)
    cell = -1 if file is None else file.cell()
    if file is None or cell < 0:
        return None
    offset = array.ctypes.data - file.user().ctypes.data
    terms = Terms(file.where, file.size, cell, offset, array.shape, array.dtype.str)
    return Loan(file, terms)


class Borrowed:
    """The files of one lender, as one borrower sees them."""

    def __init__(self) -> None:
        self.maps: OrderedDict[bytes, tuple[mmap.mmap, mmap.mmap]] = OrderedDict()

    def array(self, terms: Terms) -> Array:
        """The array, read-only; when it and all its views are gone the lender can see it."""
        head, data = self.open(terms)
        made: Array = np.ndarray(terms.shape, terms.dtype, buffer=data, offset=terms.offset)
        weakref.finalize(made, head.__setitem__, terms.cell, 0).atexit = False
        return made

    def open(self, terms: Terms) -> tuple[mmap.mmap, mmap.mmap]:
        """The first page, and all after it."""
        if terms.where in self.maps:
            self.maps.move_to_end(terms.where)
            return self.maps[terms.where]
        fd = reach(terms.where)
        if fd is None:
            raise ConnectionError("memory was lent that is not there any more")
        try:
            head = mmap.mmap(fd, HEAD)
            data = mmap.mmap(fd, terms.size, prot=mmap.PROT_READ, offset=HEAD)
        finally:
            os.close(fd)
        self.maps[terms.where] = head, data
        while len(self.maps) > MAPPED:
            self.maps.popitem(last=False)
        return head, data


def reach(where: bytes) -> int | None:
    """A descriptor of another process's file; None: not from here, or it is another one."""
    process, number, token = WHERE.unpack(where)
    if process == 0:
        return None
    try:
        fd = os.open(f"/proc/{process}/fd/{number}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.pread(fd, TOKEN, 0)
    except OSError:  # the number is now that of a pipe, a terminal, a folder
        found = b""
    if found == token:
        return fd
    os.close(fd)
    return None


def sample() -> File | None:
    """A file by which another process can see whether it reaches this one's."""
    return File(0) if hasattr(os, "memfd_create") else None
