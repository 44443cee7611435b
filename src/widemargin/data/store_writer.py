"""Rows appended to the arrays of a store, in stretches that the system keeps in large pages.

A file that is written from ordinary memory in whole stretches of some megabytes lies in the
system's cache in large pages. To map those, and to give them back, costs a hundredth of what
small pages cost, and trainings on a store map and give back all the time.
"""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

STRETCH = 1 << 23  # bytes of a write


class ArrayFile:
    """A .npy file of one dimension that grows; whole once it is finished."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.dtype, self.count, self.used = np.dtype(dtype), 0, 0
        self.room = np.empty(STRETCH, np.uint8)
        self.file = path.open("xb", buffering=0)
        self._put(np.frombuffer(self._header(), np.uint8))

    def append(self, entries: NDArray[Any]) -> None:
        entries = np.ascontiguousarray(entries, self.dtype)
        self.count += len(entries)
        self._put(entries.view(np.uint8))

    def finish(self) -> None:
        """Write what is left, and the length into the head."""
        self._flush()
        self.file.seek(0)
        self.file.write(self._header())

    def _header(self) -> bytes:
        """The same number of bytes for every length: numpy leaves room for its digits."""
        head = io.BytesIO()
        form = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(head, form)
        return head.getvalue()

    def _put(self, bytes_: NDArray[np.uint8]) -> None:
        while len(bytes_):
            now = bytes_[: STRETCH - self.used]
            self.room[self.used : self.used + len(now)] = now
            self.used, bytes_ = self.used + len(now), bytes_[len(now) :]
            if self.used == STRETCH:
                self._flush()

    def _flush(self) -> None:
        rest = self.room[: self.used].data
        while len(rest):  # a nearly full disk takes a part, and then says why no more
            rest = rest[self.file.write(rest) :]
        self.used = 0


class StoreWriter:
    """The four arrays of a store in a folder; a context that closes them.

    >>> with StoreWriter(folder, "float32") as out:              # doctest: +SKIP
    ...     out.append(values, indices, lengths, codes)
    """

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self.values = ArrayFile(folder / "values.npy", dtype)
        self.indices = ArrayFile(folder / "indices.npy", np.uint32)
        self.indptr = ArrayFile(folder / "indptr.npy", np.int64)
        self.labels = ArrayFile(folder / "labels.npy", np.int32)
        self.indptr.append(np.zeros(1, np.int64))

    def append(
        self,
        values: NDArray[Any],
        indices: NDArray[Any],
        lengths: NDArray[Any],
        codes: NDArray[Any],
    ) -> None:
        """Rows one after the other: `lengths` says how many entries each has."""
        start = self.values.count
        self.values.append(values)
        self.indices.append(indices)
        self.indptr.append(start + np.cumsum(lengths, dtype=np.int64))
        self.labels.append(codes)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        arrays = (self.values, self.indices, self.indptr, self.labels)
        with ExitStack() as stack:
            for array in arrays:
                stack.callback(array.file.close)
            if kind is None:
                for array in arrays:
                    array.finish()
