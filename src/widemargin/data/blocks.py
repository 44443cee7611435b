"""A store as blocks of consecutive rows, of which two at a time are in memory.

`visit` walks blocks in any order: a thread brings in the next one while the caller computes on
the one at hand, whose pages are given back when the caller goes on. What the caller sees are
ordinary `Samples`, so no solver needs to know.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from widemargin.data.dataset import Dataset
from widemargin.data.rows import Array, Sparse, as_read_only, read_only
from widemargin.data.samples import Samples, make_samples
from widemargin.data.windows import bring_in, give_back, span_of, want_large_pages
from widemargin.errors import InputError


class Block(NamedTuple):
    """Samples start..stop-1 of a store."""

    start: int
    stop: int
    samples: Samples


class Blocks(NamedTuple):
    """The blocks of a store; block j holds the rows edges[j] … edges[j + 1] − 1."""

    samples: Samples  # of the whole store but for `weight`, which has ones for one block only
    edges: Array  # (B + 1,) int64
    entries: Array  # (B + 1,) int64: indptr at the edges
    source: str

    @property
    def n(self) -> int:
        return int(self.edges[-1])

    @property
    def many(self) -> int:
        return len(self.edges) - 1


def make_blocks(
    data: Dataset, window: int, *, beside: int = 0, class_weight: Array | None = None
) -> Blocks:
    """Blocks of at most `window` bytes each, counting `beside` bytes for every row."""
    rows = read_only(data.rows)
    assert isinstance(rows, Sparse)
    edges, entries = cut(rows.indptr, window, entry_bytes(rows), row_bytes(rows) + beside)
    weight = np.ones(int(np.diff(edges).max(initial=0)))
    few = make_samples(rows, data.codes[:0], len(data.label_names), weight, class_weight)
    samples = few._replace(codes=as_read_only(data.codes))
    want_large_pages([rows.indices, rows.values])
    return Blocks(samples, edges, entries, data.source)


def entry_bytes(rows: Sparse) -> int:
    return rows.values.itemsize + rows.indices.itemsize


def row_bytes(rows: Sparse) -> int:
    """Of indptr, label and weight."""
    return rows.indptr.itemsize + 4 + 8


def cut(indptr: Array, window: int, entry: int, row: int) -> tuple[Array, Array]:
    """(edges, indptr at the edges) of blocks that fit the window, of one row at least."""
    n, edges, entries = len(indptr) - 1, [0], [0]
    while edges[-1] < n:
        a, p = edges[-1], entries[-1]

        def size(e: int, a: int = a, p: int = p) -> int:
            return (int(indptr[e]) - p) * entry + (e - a) * row

        edges.append(a + max(1, bisect_right(range(a + 1, n + 1), window, key=size)))
        entries.append(int(indptr[edges[-1]]))
        give_back([indptr])
    return np.array(edges), np.array(entries)


def visit(
    blocks: Blocks, order: Sequence[int] | Array, *, beside: Iterable[Array] = ()
) -> Iterator[Block]:
    """The blocks in this order, each in memory until the next is asked for.

    `beside` are arrays (n, …) whose rows are used with the block, and given back with it.
    """
    order, beside, left = [int(j) for j in order], tuple(beside), threading.Event()

    def turn(done: int | None, coming: int | None) -> None:
        """Give back the pages of one block and bring in those of another."""
        if done is not None:
            give_back([*_arrays(blocks, done), *_beside(blocks, done, beside)])
        if coming is not None:
            _bring_in(blocks, coming, left)

    try:
        with ThreadPoolExecutor(1, thread_name_prefix="widemargin-blocks") as reader:
            ready = [reader.submit(turn, None, j) for j in order[:1]]
            for done, here, after in zip([None, *order], order, [*order[1:], None], strict=False):
                ready.pop().result()
                ready.append(reader.submit(turn, done, after))
                try:
                    yield block_at(blocks, here)
                except GeneratorExit:
                    left.set()  # the reader need not finish what nobody will see
                    raise
    finally:
        give_back([*_whole(blocks), *beside])


def through(blocks: Blocks, *, beside: Iterable[Array] = ()) -> Iterator[Block]:
    """All blocks one after the other, for who needs their labels but not their entries."""
    beside = tuple(beside)
    for j in range(blocks.many):
        block = block_at(blocks, j)
        yield block
        give_back([block.samples.codes, *_beside(blocks, j, beside)])


def block_at(blocks: Blocks, j: int) -> Block:
    start, stop = int(blocks.edges[j]), int(blocks.edges[j + 1])
    rows = blocks.samples.rows
    assert isinstance(rows, Sparse)
    samples = blocks.samples._replace(
        rows=rows._replace(indptr=rows.indptr[start : stop + 1]),
        codes=blocks.samples.codes[start:stop],
        weight=blocks.samples.weight[: stop - start],
    )
    return Block(start, stop, samples)


def _arrays(blocks: Blocks, j: int) -> list[Array]:
    """What of the store's arrays belongs to a block."""
    rows = blocks.samples.rows
    assert isinstance(rows, Sparse)
    (start, stop), (p, q) = blocks.edges[j : j + 2], blocks.entries[j : j + 2]
    entries = [rows.indices[p:q], rows.values[p:q]]
    return [*entries, rows.indptr[start : stop + 1], blocks.samples.codes[start:stop]]


def _whole(blocks: Blocks) -> list[Array]:
    rows = blocks.samples.rows
    assert isinstance(rows, Sparse)
    return [rows.indices, rows.values, rows.indptr, blocks.samples.codes]


def _beside(blocks: Blocks, j: int, arrays: Iterable[Array]) -> list[Array]:
    start, stop = blocks.edges[j : j + 2]
    return [array[start:stop] for array in arrays]


def _bring_in(blocks: Blocks, j: int, left: threading.Event) -> None:
    """Read a block; stops early once the caller has left."""
    try:
        for array in _arrays(blocks, j):
            span = span_of(array)
            for _ in bring_in(span) if span is not None else ():
                if left.is_set():
                    return
    except OSError as error:
        start, stop = blocks.edges[j : j + 2]
        raise InputError(
            f"{blocks.source}: rows {start} to {stop - 1} cannot be read ({error.strerror}): a "
            "file of the store was cut short or its disk fails; accepted: a store as widemargin "
            "pack writes it; pack the data again."
        ) from None
