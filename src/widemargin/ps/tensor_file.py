"""Safetensors files, written and read in pieces.

    8 bytes n | n bytes of JSON: name → dtype, shape, [start, stop) | the tensors

The library makes a second copy of all that a file holds, and holds Python's lock while it does: a
server could not say that it lives, and a file as large as memory could not be written. Here what is
written goes from where it lies to the file, and of what is read only the rows that are asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.errors import SnapshotError

PIECE = 4 << 20  # bytes at once
TYPES = {
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
    "F32": "<f4",
    "I32": "<i4",
    "U32": "<u4",
    "F16": "<f2",
    "I16": "<i2",
    "U16": "<u2",
    "BOOL": "|b1",
    "I8": "|i1",
    "U8": "|u1",
}
SIZES = {name: np.dtype(kind).itemsize for name, kind in TYPES.items()} | {"BF16": 2}
NAMES = {kind: name for name, kind in TYPES.items()}


class Place(NamedTuple):
    """Where a tensor is in a file."""

    kind: str  # "F32", …
    shape: tuple[int, ...]
    start: int  # byte

    @property
    def size(self) -> int:
        return math.prod(self.shape) * SIZES[self.kind]


class Layout(NamedTuple):
    """The beginning of a file, and the places of its tensors."""

    head: bytes
    places: dict[str, Place]

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(place.size for place in self.places.values())


def laid_out(
    tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str]
) -> Layout:
    """The layout of tensors of these types and shapes, the widest first, so that all are aligned.

    >>> layout = laid_out({"b": ("F32", (3,)), "a": ("F64", (2, 1))}, {})
    >>> [(name, place.start - len(layout.head)) for name, place in layout.places.items()]
    [('a', 0), ('b', 16)]
    """
    order = sorted(tensors, key=lambda name: (-SIZES[tensors[name][0]], name))
    places, start = {}, 0
    for name in order:
        kind, shape = tensors[name]
        places[name] = Place(kind, tuple(map(int, shape)), start)
        start += places[name].size
    told: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, place in places.items():
        ends = [place.start, place.start + place.size]
        told[name] = {"dtype": place.kind, "shape": list(place.shape), "data_offsets": ends}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return Layout(head, {n: p._replace(start=len(head) + p.start) for n, p in places.items()})


def kind_of(array: Array) -> tuple[str, tuple[int, ...]]:
    """The type and shape of an array, as `laid_out` takes them."""
    name = NAMES.get(array.dtype.newbyteorder("<").str)
    if name is None:
        raise ValueError(f"arrays of {array.dtype} cannot be kept. Convert to: {sorted(TYPES)}.")
    return name, array.shape


def put(stream: IO[bytes], place: Place, values: Array, row: int = 0) -> None:
    """Write values, rows of a tensor from `row` on, to their place."""
    per_row = math.prod(place.shape[1:]) * SIZES[place.kind]
    stream.seek(place.start + row * per_row)
    if values.dtype != np.uint8:  # bytes of any type are taken as they are
        values = values.astype(TYPES[place.kind], copy=False)
    for piece in pieces(values):
        stream.write(piece)


def pieces(values: Array) -> Iterator[memoryview]:
    """The bytes of an array, PIECE at a time; nothing is copied where it is contiguous."""
    whole = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    for start in range(0, len(whole), PIECE):
        yield whole[start : start + PIECE]


class TensorFile:
    """A safetensors file that is open: rows of its tensors are read when they are asked for.

    `name` is what errors call it; ValueError for what is no such file. Where a file's name is taken
    away meanwhile, what was opened can still be read.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.stream, self.name = stream, name  # which it closes when it goes
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if length > stream.seek(0, 2) - 8:
            raise ValueError("a header that is longer than the file")
        stream.seek(8)
        head = json.loads(stream.read(length))
        self.metadata: dict[str, str] = head.pop("__metadata__", {})
        self.places = {}
        for tensor, told in head.items():
            if told["dtype"] not in SIZES:
                raise ValueError(f"{tensor!r} of type {told['dtype']}")
            start = 8 + length + told["data_offsets"][0]
            self.places[tensor] = Place(told["dtype"], tuple(told["shape"]), start)

    def rows(self, tensor: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows of a tensor; all of one that has no axis."""
        place, kind = self.places[tensor], self.type_of(tensor)
        shape, first = place.shape, place.start
        if shape:
            stop = shape[0] if stop is None else stop
            first += start * math.prod(shape[1:]) * kind.itemsize
            shape = (stop - start, *shape[1:])
        array = np.empty(shape, kind)
        self.stream.seek(first)
        for piece in pieces(array):
            self.fill(piece)
        return array

    def type_of(self, tensor: str) -> np.dtype[Any]:
        return np.dtype(TYPES[self.places[tensor].kind])

    def bytes_of(self, tensor: str) -> Iterator[memoryview]:
        """All bytes of a tensor, piece by piece; a piece is of no use after the next."""
        place, room = self.places[tensor], memoryview(bytearray(PIECE))
        self.stream.seek(place.start)
        for start in range(0, place.size, PIECE):
            piece = room[: min(PIECE, place.size - start)]
            self.fill(piece)
            yield piece

    def fill(self, piece: memoryview) -> None:
        """Read so many bytes from where the stream is."""
        done = 0
        while done < len(piece):
            try:
                read = self.stream.readinto(piece[done:])  # type: ignore[attr-defined]
            except OSError as error:
                raise self.gone(error.strerror or str(error)) from error
            if not read:
                raise self.gone("it ends too soon")
            done += read

    def gone(self, why: str) -> SnapshotError:
        return SnapshotError(
            f"{self.name}: cannot be read any more: {why}; accepted: a file that stays while it is "
            "read. Keep the folder until the fit has ended."
        )

    def close(self) -> None:
        self.stream.close()

    def __del__(self) -> None:
        self.close()
