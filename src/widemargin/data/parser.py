"""From a text in memory to rows: cut at newlines, count, parse by threads, close the gaps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from widemargin.data import svmlight_kernels as kernels
from widemargin.data.faults import Fault, explain

CHUNK = 1 << 22  # bytes that a thread parses at a time
BOM = b"\xef\xbb\xbf"  # what some editors put before UTF-8

ZeroBased: TypeAlias = bool | Literal["auto"]
Bytes: TypeAlias = NDArray[np.uint8]


class Options(NamedTuple):
    """How to read: the same for every block of a source."""

    zero_based: ZeroBased = "auto"
    n_features: int | None = None
    unlabelled: bool = False
    dtype: DTypeLike = np.float32
    threads: int = 1
    chunk_bytes: int = CHUNK


class Part(NamedTuple):
    """Rows of one text; codes count the spellings in the order in which they were met."""

    values: NDArray[Any]
    indices: NDArray[np.uint32]
    indptr: NDArray[np.int64]
    codes: NDArray[np.int32]
    spellings: tuple[str, ...]
    high: int  # highest index as written, −1 if there is none
    zero: bool  # an index 0 was met in a file read as 1-based


def options(
    *,
    zero_based: ZeroBased = "auto",
    n_features: int | None = None,
    unlabelled: bool = False,
    dtype: DTypeLike = np.float32,
    threads: int | None = None,
    chunk_bytes: int = CHUNK,
) -> Options:
    """Checked options; threads=None is one thread per core that this process may use."""
    if zero_based not in (True, False, "auto"):
        raise ValueError(f"zero_based={zero_based!r} is unknown. Choose from: True, False, 'auto'.")
    if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype={dtype!r} is not read. Choose from: float32, float64.")
    if n_features is not None and n_features < 0:
        raise ValueError(f"n_features={n_features} must be at least 0.")
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads} must be at least 1, or None for all cores.")
    threads = threads or len(os.sched_getaffinity(0))
    return Options(zero_based, n_features, unlabelled, np.dtype(dtype), threads, chunk_bytes)


class Chunk(NamedTuple):
    """Whole lines text[start:stop], and the most entries and rows they can hold."""

    start: int
    stop: int
    entries: int
    rows: int


class Parsed(NamedTuple):
    """What a thread made of a chunk."""

    place: kernels.Place
    spellings: tuple[str, ...]


def parse(text: Bytes, name: str, line: int, choice: Options) -> Part:
    """The rows of a text of whole lines; line is the count of lines before it in file `name`."""
    text = text.view()
    text.flags.writeable = False  # one compiled type for maps and buffers
    rule = rule_of(choice)
    edges = boundaries(text, choice.chunk_bytes, first=line == 0)
    with crew(choice.threads if len(edges) > 1 else 1) as each:
        counts = each(lambda edge: kernels.count(text, *edge), edges)
        chunks = [Chunk(*edge, n, m + 1) for edge, (n, m) in zip(edges, counts, strict=True)]
        out = target(chunks, choice.dtype)
        rooms = list(room_of(chunks))
        jobs = zip(chunks, rooms, strict=True)
        try:
            done = list(each(lambda job: parse_chunk(text, job[0], rule, out, job[1]), jobs))
        except Fault as fault:
            raise explain(fault, text, name, line, rule) from None
    return gathered(out, rooms, done)


@contextmanager
def crew(threads: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` that keeps the order, on so many threads; the first failure cancels the rest."""
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield pool.map
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def rule_of(choice: Options) -> kernels.Rule:
    """What the kernels are to accept; "auto" reads as 1-based and lets an index 0 pass."""
    one = 0 if choice.zero_based is True else 1
    below = 0 if choice.zero_based is False else -1
    last = kernels.LARGEST_INDEX
    if choice.n_features is not None:
        last = min(last, choice.n_features - 1 + one)
    return kernels.Rule(below, last, one, choice.unlabelled)


def boundaries(text: Bytes, chunk_bytes: int, first: bool) -> list[tuple[int, int]]:
    """Start and stop of chunks of about chunk_bytes, each of whole lines."""
    start = len(BOM) if first and text[: len(BOM)].tobytes() == BOM else 0
    edges = []
    while start < len(text):
        stop = line_stop(text, min(start + chunk_bytes, len(text)) - 1)
        edges.append((start, stop))
        start = stop
    return edges


def line_stop(text: Bytes, p: int) -> int:
    """One past the newline at or after p, or the end of the text."""
    return min(int(kernels.line_end(text, p, len(text))) + 1, len(text))


def target(chunks: Iterable[Chunk], dtype: DTypeLike) -> kernels.Target:
    """Arrays for every chunk at once. Memory is touched only by what is written."""
    entries = sum(chunk.entries for chunk in chunks)
    rows = sum(chunk.rows for chunk in chunks)
    indptr = np.empty(rows + 1, np.int64)
    indptr[0] = 0
    return kernels.Target(
        np.empty(entries, dtype), np.empty(entries, np.uint32), indptr, np.empty(rows, np.int32)
    )


def room_of(chunks: Iterable[Chunk]) -> Iterator[kernels.Room]:
    """The consecutive parts of the target that belong to the chunks."""
    k = r = 0
    for chunk in chunks:
        yield kernels.Room(k, k + chunk.entries, r, r + chunk.rows)
        k, r = k + chunk.entries, r + chunk.rows


def parse_chunk(
    text: Bytes, chunk: Chunk, rule: kernels.Rule, out: kernels.Target, room: kernels.Room
) -> Parsed:
    """One thread's work; raises the chunk's earliest Fault."""
    slots = np.full(1 << (2 * chunk.rows).bit_length(), -1, np.int32)
    labels = kernels.Labels(slots, np.empty((chunk.rows, 2), np.int64))
    place = kernels.parse(text, chunk.start, chunk.stop, rule, out, labels, room)
    spellings = tuple(spelt(text, *span) for span in labels.spans[: place.labels].tolist())
    if place.code != kernels.OK:
        raise Fault(place.code, place.p)
    return Parsed(place, spellings)


def spelt(text: Bytes, start: int, stop: int) -> str:
    try:
        return text[start:stop].tobytes().decode()
    except UnicodeDecodeError:
        raise Fault(kernels.LABEL, start) from None


def gathered(out: kernels.Target, rooms: list[kernels.Room], done: list[Parsed]) -> Part:
    """One part: gaps between chunks closed, codes counted over the whole text."""
    table: dict[str, int] = {}
    k = r = 0
    for room, (place, spellings) in zip(rooms, done, strict=True):
        entries, rows = place.k - room.k, place.r - room.r
        codes = out.codes[room.r : place.r]
        new = [table.setdefault(name, len(table)) for name in spellings]
        if new != list(range(len(new))):
            codes[:] = np.array([*new, -1], np.int32)[codes]
        if room.k != k:  # ':' in comments or qid: fewer entries than were counted
            out.values[k : k + entries] = out.values[room.k : place.k]
            out.indices[k : k + entries] = out.indices[room.k : place.k]
        if room.r != r or room.k != k:
            out.codes[r : r + rows] = codes
            out.indptr[r + 1 : r + rows + 1] = out.indptr[room.r + 1 : place.r + 1] - (room.k - k)
        k, r = k + entries, r + rows
    high = max((place.high for place, _ in done), default=-1)
    zero = any(place.zero for place, _ in done)
    return Part(
        out.values[:k],
        out.indices[:k],
        out.indptr[: r + 1],
        out.codes[:r],
        tuple(table),
        high,
        zero,
    )


def joined(parts: list[Part], choice: Options) -> Part:
    """The parts of one source, one after the other, as one."""
    if len(parts) == 1:
        return parts[0]
    table: dict[str, int] = {}
    starts = np.cumsum([0] + [len(part.values) for part in parts])
    indptr = [part.indptr[1:] + start for part, start in zip(parts, starts, strict=False)]
    codes = [_recoded(part, table) for part in parts]
    return Part(
        np.concatenate([np.empty(0, choice.dtype), *(part.values for part in parts)]),
        np.concatenate([np.empty(0, np.uint32), *(part.indices for part in parts)]),
        np.concatenate([np.zeros(1, np.int64), *indptr]),
        np.concatenate([np.empty(0, np.int32), *codes]),
        tuple(table),
        max((part.high for part in parts), default=-1),
        any(part.zero for part in parts),
    )


def _recoded(part: Part, table: dict[str, int]) -> NDArray[np.int32]:
    """The part's codes, counted over the spellings of all parts so far."""
    new = [table.setdefault(name, len(table)) for name in part.spellings]
    codes: NDArray[np.int32] = np.array([*new, -1], np.int32)[part.codes]
    return codes


def lifted(part: Part) -> Part:
    """A part read as 1-based that turned out to be 0-based; its indices change in place."""
    np.add(part.indices, np.uint32(1), out=part.indices)
    return part
