"""The parameters of a snapshot, read where they are wanted: nobody needs to have them all.

A snapshot is a file for each group of servers. What evaluates a net, or saves it, reads the keys of
one layer after another; what is to stay, the best parameters of a fit or its last, is copied piece
by piece into memory while that is small, else into a file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from widemargin.data.rows import Array
from widemargin.errors import SnapshotError
from widemargin.ps.job import Range
from widemargin.ps.parameters import Rule, theta_of
from widemargin.ps.tensor_file import PIECE, TensorFile, kind_of, laid_out, put

SMALL = 64 << 20  # bytes up to which parameters are kept in memory
NAME = "theta"


class Rows(Protocol):
    """Tensors by name, of which rows are read."""

    def rows(self, tensor: str, start: int = 0, stop: int | None = None) -> Array: ...


class InMemory(NamedTuple):
    """The arrays of a shard."""

    arrays: Mapping[str, Any]

    def rows(self, tensor: str, start: int = 0, stop: int | None = None) -> Array:
        array: Array = self.arrays[tensor]
        return array[start:stop] if np.ndim(array) else array


class Kept(NamedTuple):
    """θ̄ of a snapshot, θ where the rule keeps no average; `rule` None: each part is that itself.

    >>> kept = in_memory(np.arange(5.0))
    >>> kept.read(1, 3).tolist(), kept.n
    ([1.0, 2.0], 5)
    """

    rule: Rule | None
    parts: tuple[Rows, ...]
    cuts: tuple[Range, ...]  # the keys of each part

    @property
    def n(self) -> int:
        return self.cuts[-1].stop

    def read(self, start: int, stop: int) -> Array:
        """The values of the keys start … stop − 1, (n,), of one number each."""
        found = [
            self._of(part, cut, max(start, cut.start), min(stop, cut.stop))
            for part, cut in zip(self.parts, self.cuts, strict=True)
            if cut.start < stop and start < cut.stop
        ]
        return found[0] if len(found) == 1 else np.concatenate(found or [self._nothing()])

    def vector(self) -> Array:
        """All of them, (n,): takes their memory."""
        return self.read(0, self.n)

    def _of(self, part: Rows, cut: Range, start: int, stop: int) -> Array:
        first, last = start - cut.start, stop - cut.start
        if self.rule is None:
            return part.rows(NAME, first, last).reshape(-1)
        arrays = {name: part.rows(name) for name in ("scale", "t")}
        arrays[NAME] = part.rows(NAME, first, last)
        if self.rule.decay is not None:
            arrays["average"] = part.rows("average", first, last)
            arrays["average_parts"] = part.rows("average_parts")
        return theta_of(self.rule, arrays, start).reshape(-1)

    def _nothing(self) -> Array:
        return self.read(self.cuts[0].start, self.cuts[0].start + 1)[:0]


def of_arrays(rule: Rule, parts: Sequence[Mapping[str, Any]]) -> Kept:
    """A snapshot in memory: the arrays of all groups, in the order of their keys."""
    ends = np.cumsum([0, *(len(part[NAME]) for part in parts)]).tolist()
    cuts = tuple(map(Range, ends[:-1], ends[1:]))
    return Kept(rule, tuple(map(InMemory, parts)), cuts)


def in_memory(vector: Array) -> Kept:
    """A vector, (n,)."""
    return Kept(None, (InMemory({NAME: vector}),), (Range(0, len(vector)),))


def whole(kept: Kept) -> Kept:
    """A copy in memory, whatever its size."""
    return in_memory(kept.vector())


def apart(kept: Kept) -> Kept:
    """A copy that stays when the snapshot goes: in memory if it is small, else in a file without a
    name, which ends with the process."""
    if kept.n * kept.read(0, 1).itemsize <= SMALL:
        return whole(kept)
    stream = tempfile.TemporaryFile(prefix="widemargin-")  # noqa: SIM115  closed with the Kept
    write(stream, kept)
    return read_from(stream, "a temporary file")


def write(stream: IO[bytes], kept: Kept) -> None:
    """Write a safetensors file of the vector, piece by piece."""
    kind, _ = kind_of(kept.read(0, 1))
    layout = laid_out({NAME: (kind, (kept.n,))}, {})
    stream.write(layout.head)
    for start in range(0, kept.n, PIECE):
        put(stream, layout.places[NAME], kept.read(start, min(start + PIECE, kept.n)), start)
    stream.flush()


def read_from(stream: IO[bytes], name: str) -> Kept:
    """What `write` wrote; SnapshotError for anything else."""
    try:
        file = TensorFile(stream, name)
        return Kept(None, (file,), (Range(0, file.places[NAME].shape[0]),))
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"{name}: found no parameters that widemargin wrote ({type(error).__name__}: {error}). "
            "Take the file away, or give another folder."
        ) from None
