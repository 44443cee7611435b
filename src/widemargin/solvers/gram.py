"""The kernel matrix of samples, a tile at a time: rows of it for a solver, weighted sums of it.

A source gives K(xᵢ, zₖ) for its samples i and a panel of samples k. Tiles are computed by ranges
of samples, on threads, and do not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin.data.panels import (
    add_weighted,
    arguments,
    clear_panel,
    fill_panel,
    rows_at,
    squared_norms,
    store_columns,
    width_for,
)
from widemargin.data.rows import Array, Rows, n_features, n_rows
from widemargin.kernels import Kernel, diagonal, offsets, scale_of, shape, shift_of

TILE_BYTES = 1 << 19  # of kernel values: half of a core's second cache
FEWEST = 2048  # samples below which a range is not worth a thread


class Features(NamedTuple):
    """Samples as rows of features, with their part u(x) of the kernel's argument."""

    kernel: Kernel
    rows: Rows
    offset: Array  # (n,) of the type that products are taken in


class Matrix(NamedTuple):
    """Samples as rows of a given kernel matrix: sample i is K[number[i]]."""

    K: Array
    number: Array


Source: TypeAlias = Features | Matrix


class Panel(NamedTuple):
    """The samples k of K(xᵢ, zₖ): columns of features, or of the given matrix."""

    W: Array  # (d, q); (0, q) where the matrix is given
    start: Array  # (q,)
    columns: Array  # (q,) of the given matrix


def features_of(kernel: Kernel, rows: Rows) -> Features:
    dtype = rows[0].dtype
    return Features(kernel, rows, offsets(kernel, squared_norms(rows)).astype(dtype))


def size(source: Source) -> int:
    return n_rows(source.rows) if isinstance(source, Features) else len(source.number)


def dtype_of(source: Source) -> Any:
    return source.offset.dtype if isinstance(source, Features) else source.K.dtype


def at(source: Source, which: Array) -> Source:
    """The source of some of the samples."""
    if isinstance(source, Features):
        return source._replace(rows=rows_at(source.rows, which), offset=source.offset[which])
    return source._replace(number=source.number[which])


def diagonal_of(source: Source) -> Array:
    """(n,) K(xᵢ, xᵢ)."""
    if isinstance(source, Features):
        return diagonal(source.kernel, squared_norms(source.rows))
    return np.asarray(source.K[source.number, source.number], np.float64)


# -- a panel and tiles of it ---------------------------------------------------------------------


def width_of(source: Source) -> int:
    return width_for(n_features(source.rows) if isinstance(source, Features) else 1)


def panels(source: Source, which: Array) -> Any:
    """Yield (panel, part) for consecutive parts of `which`; a panel is good until the next one."""
    width, none = width_of(source), np.zeros(0, np.int64)
    room = np.zeros((n_features(source.rows) if isinstance(source, Features) else 0, width))
    room = room.astype(dtype_of(source))
    for begin in range(0, len(which), width):
        part = which[begin : begin + width]
        if isinstance(source, Matrix):
            yield Panel(room, np.zeros(len(part)), source.number[part]), part
            continue
        W = room if len(part) == width else np.zeros_like(room[:, : len(part)])
        fill_panel(source.rows, part, scale_of(source.kernel), W)
        start = source.offset[part] + room.dtype.type(shift_of(source.kernel))
        yield Panel(W, start, none), part
        clear_panel(source.rows, part, W)


def kernel_tile(source: Source, panel: Panel, first: int, out: Array) -> None:
    """out[i, k] = K(x of sample first + i, z of panel column k)."""
    if isinstance(source, Matrix):
        out[:] = source.K[np.ix_(source.number[first : first + len(out)], panel.columns)]
        return
    arguments(source.rows, source.offset, panel.W, panel.start, first, out)
    shape(source.kernel, out)


def tiled(
    source: Source, panel: Panel, begin: int, end: int, use: Callable[[int, Array], None]
) -> None:
    """use(first, tile) for consecutive tiles of samples begin … end − 1."""
    q, dtype = len(panel.start), dtype_of(source)
    height = max(64, TILE_BYTES // (max(q, 1) * dtype.itemsize))
    room = np.empty((height, q), dtype)
    for first in range(begin, end, height):
        tile = room[: min(height, end - first)]
        kernel_tile(source, panel, first, tile)
        use(first, tile)


def spread(pool: Executor | None, threads: int, n: int, work: Callable[[int, int], None]) -> None:
    """work(begin, end) over ranges that cover 0 … n − 1, on so many threads."""
    parts = max(1, min(threads, n // FEWEST))
    edges = [n * k // parts for k in range(parts + 1)]
    if pool is None or parts == 1:
        work(0, n)
        return
    list(pool.map(work, edges[:-1], edges[1:]))


class Crew(NamedTuple):
    """The threads of a fit."""

    pool: Executor | None = None
    threads: int = 1

    def over(self, n: int, work: Callable[[int, int], None]) -> None:
        spread(self.pool, self.threads, n, work)


ALONE = Crew()


# -- what solvers ask for ------------------------------------------------------------------------


def write_rows(source: Source, which: Array, slots: Array, out: Array, crew: Crew = ALONE) -> None:
    """out[slots[k], i] = K(xᵢ, x of sample which[k]) for all samples i."""
    done = 0
    for panel, part in panels(source, which):
        some = slots[done : done + len(part)]
        done += len(part)

        def work(begin: int, end: int, panel: Panel = panel, some: Array = some) -> None:
            tiled(
                source,
                panel,
                begin,
                end,
                lambda first, tile: store_columns(tile, some, first, out),
            )

        crew.over(size(source), work)


def weigh(
    source: Source, among: Source, which: Array, coef: Array, out: Array, crew: Crew = ALONE
) -> None:
    """out[i, m] += Σₖ coef[m, k] K(xᵢ, z of sample which[k] of `among`), in float64."""
    done = 0
    for panel, part in panels(among, which):
        some = np.ascontiguousarray(coef[:, done : done + len(part)])
        done += len(part)

        def work(begin: int, end: int, panel: Panel = panel, some: Array = some) -> None:
            tiled(
                source,
                panel,
                begin,
                end,
                lambda first, tile: add_weighted(tile, some, out[first : first + len(tile)]),
            )

        crew.over(size(source), work)
