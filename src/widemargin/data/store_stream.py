"""`pack` in bounded memory: rows are dealt to piles, and each pile is shuffled by itself.

Every row goes to one of some piles at random, in the order in which it is read; then pile after
pile is read, put in a random order and written. That is a uniformly random order of all rows
(Rao, 1961; Sandelius, 1962), and needs memory for one pile. A pile that is too large for it is
dealt again in the same way.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from widemargin.data.labels import classes
from widemargin.data.parser import Part, ZeroBased
from widemargin.data.rows import as_read_only
from widemargin.data.store_kernels import gather_rows
from widemargin.data.store_writer import StoreWriter
from widemargin.data.svmlight import read_parts
from widemargin.errors import InputError
from widemargin.memory import in_words, resident

PILES = 64
LEAST = 48 << 20  # bytes beside what the process holds
TEXT_SHARE, PILE_SHARE = 24, 4  # of the room: a block of text, a pile
LEAST_TEXT, MOST_TEXT = 1 << 19, 1 << 24
AT_ONCE = 1 << 20  # entries written at once


class Rows(NamedTuple):
    """Rows on their way."""

    values: NDArray[Any]
    indices: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    codes: NDArray[np.int32]


class Facts(NamedTuple):
    """What is known of all rows once they are written."""

    names: tuple[str, ...]
    width: int
    top: int  # highest index, −1 if there is none
    zero_based: bool


class Met:
    """What reading has met so far: spellings of labels, highest index as written, an index 0."""

    def __init__(self) -> None:
        self.table: dict[str, int] = {}
        self.high, self.zero = -1, False

    def rows(self, part: Part) -> Rows:
        """The rows of a part, their labels told by the table."""
        self.high, self.zero = max(self.high, part.high), self.zero or part.zero
        new = [self.table.setdefault(name, len(self.table)) for name in part.spellings]
        codes = np.array(new, np.int32)[part.codes]
        return Rows(part.values, part.indices, np.diff(part.indptr), codes)


class Pile:
    """A temporary file of rows, and how many it has."""

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any]) -> None:
        self.file, self.dtype, self.frames = file, dtype, list[tuple[int, int]]()

    @property
    def bytes(self) -> int:
        return sum(n * 12 + entries * (4 + self.dtype.itemsize) for n, entries in self.frames)

    def append(self, rows: Rows) -> None:
        self.frames.append((len(rows.codes), len(rows.values)))
        for array in rows:
            self.file.write(array.tobytes())

    def read(self) -> Iterator[Rows]:
        """The rows as they were appended; the file is empty afterwards."""
        self.file.seek(0)
        for n, entries in self.frames:
            yield Rows(
                self._take(self.dtype, entries),
                self._take(np.uint32, entries),
                self._take(np.int64, n),
                self._take(np.int32, n),
            )
        self.file.truncate(0)

    def whole(self) -> Rows:
        """All rows at once."""
        n, entries = (sum(sizes) for sizes in zip((0, 0), *self.frames, strict=True))
        sizes = ((entries, self.dtype), (entries, np.uint32), (n, np.int64), (n, np.int32))
        into, at = Rows(*[np.empty(size, dtype) for size, dtype in sizes]), [0, 0, 0, 0]
        for rows in self.read():
            for k, some in enumerate(rows):
                into[k][at[k] : at[k] + len(some)] = some
                at[k] += len(some)
        return into

    def _take(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        array = np.empty(count, dtype)
        self.file.readinto(array.view(np.uint8).data)  # type: ignore[attr-defined]
        return array


class Piles:
    """Temporary files of rows in a folder."""

    def __init__(self, dtype: DTypeLike, stack: ExitStack, folder: Path) -> None:
        self.dtype, self.stack, self.folder = np.dtype(dtype), stack, folder

    def deal(self, parts: Iterable[Rows], path: tuple[int, ...], count: int) -> list[Pile]:
        """The rows in `count` piles, each row in one drawn by the generator of (path, 0)."""
        rng, piles = np.random.default_rng((*path, 0)), [self._new() for _ in range(count)]
        for rows in parts:
            where = (rng.random(len(rows.codes)) * count).astype(np.int64)
            for pile, some in zip(piles, split(rows, where, count), strict=True):
                if len(some.codes):
                    pile.append(some)
        return piles

    def shuffled(self, pile: Pile, path: tuple[int, ...], room: int) -> Iterator[Rows]:
        """The rows of a pile in a random order, some at a time."""
        if pile.bytes <= room or len(pile.frames) < 2:
            whole = pile.whole()
            order = np.random.default_rng(path).permutation(len(whole.codes))
            yield from in_order(whole, order)
            return
        for j, smaller in enumerate(self.deal(pile.read(), path, PILES)):
            yield from self.shuffled(smaller, (*path, 1 + j), room)

    def _new(self) -> Pile:
        file = tempfile.TemporaryFile(prefix="pile", dir=self.folder)  # noqa: SIM115
        return Pile(self.stack.enter_context(file), self.dtype)


def room_for(limit: int) -> int:
    """The bytes that a bound leaves; ValueError where they are too few."""
    room = limit - resident()
    if room < LEAST:
        least = in_words(resident() + LEAST)
        raise ValueError(
            f"max_memory={in_words(limit)} is too small: the process holds "
            f"{in_words(resident())} and packing needs {in_words(LEAST)} more. Give {least} or "
            "more."
        )
    return room


def write_stream(
    sources: Sequence[str | os.PathLike[str]],
    draft: Path,
    *,
    room: int,
    seed: int | None,
    dtype: DTypeLike,
    zero_based: ZeroBased,
    n_features: int | None,
    threads: int | None,
) -> Facts:
    """Write the arrays of a store into `draft`, shuffled by a seed or, without one, in order."""
    text, met = min(max(room // TEXT_SHARE, LEAST_TEXT), MOST_TEXT), Met()
    how: dict[str, Any] = {
        "zero_based": zero_based,
        "dtype": dtype,
        "threads": threads,
        "block_bytes": text,
    }
    parts = (met.rows(part) for source in sources for part in read_parts(source, **how))
    with ExitStack() as stack, StoreWriter(draft, dtype) as out:
        piles = Piles(dtype, stack, draft)
        dealt = piles.deal(parts, (seed or 0,), 1 if seed is None else PILES)
        facts, codes = facts_of(met, zero_based is True, sources[0], n_features)
        for j, pile in enumerate(dealt):
            share = room // PILE_SHARE
            some = pile.read() if seed is None else piles.shuffled(pile, (seed, 1 + j), share)
            for rows in some:
                up = np.uint32(met.zero)  # read as if counted from 1
                out.append(rows.values, rows.indices + up, rows.lengths, codes[rows.codes])
    return facts


def facts_of(
    met: Met, zero_based: bool, source: str | os.PathLike[str], n_features: int | None
) -> tuple[Facts, NDArray[np.int32]]:
    """(what is known at the end, the code of each spelling)."""
    found, zero_based = classes(met.table), zero_based or met.zero
    width = met.high + 1 if zero_based else max(met.high, 0)
    if n_features is not None and width > n_features:
        raise InputError(
            f"{os.fspath(source)}: found {width} features; accepted: at most {n_features} as "
            "asked for; raise n_features or leave it out."
        )
    top = max(met.high - (not zero_based), -1)
    return Facts(found.names, n_features or width, top, zero_based), found.codes


def split(rows: Rows, where: NDArray[np.int64], count: int) -> Iterator[Rows]:
    """The rows of each pile, in the order in which they came."""
    if count == 1:
        yield rows
        return
    order = np.argsort(where, kind="stable")
    dealt = taken(rows, order)
    edges = np.searchsorted(where[order], np.arange(count + 1))
    entries = np.concatenate([[0], np.cumsum(dealt.lengths)])[edges]
    for j in range(count):
        (a, e), (p, q) = edges[j : j + 2], entries[j : j + 2]
        yield Rows(dealt.values[p:q], dealt.indices[p:q], dealt.lengths[a:e], dealt.codes[a:e])


def in_order(rows: Rows, order: NDArray[np.int64]) -> Iterator[Rows]:
    """rows[order], about AT_ONCE entries at a time."""
    ends = np.cumsum(rows.lengths[order])
    count = -(-int(ends[-1]) // AT_ONCE) if len(ends) else 0
    edges = np.searchsorted(ends, np.arange(1, count) * AT_ONCE)
    for some in np.split(order, edges):
        yield taken(rows, some)


def taken(rows: Rows, order: NDArray[np.int64]) -> Rows:
    """rows[order], copied."""
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows.lengths)])
    lengths = rows.lengths[order]
    entries = int(lengths.sum())
    values, indices = np.empty(entries, rows.values.dtype), np.empty(entries, np.uint32)
    given: list[Any] = [as_read_only(array) for array in (indptr, rows.indices, rows.values)]
    gather_rows(order, given[0], given[1], given[2], indices, values)
    return Rows(values, indices, lengths, rows.codes[order])
