"""Rows as the kernels see them: one vocabulary for sparse and dense data, without a copy.

`row(rows, i)` is a view of sample i; `dot`, `axpy`, `squared_norm` work on it, and on all columns
of weights at once `dots` and `axpys` of `columns.py`.
Weights are float64 throughout: a vector of shape (d,) for one column, a matrix (d, K) for K
columns that are updated together. Every function runs as plain NumPy too, and is compiled by
the type of its arguments inside kernels, so there are no twins for sparse and dense.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from widemargin._jit import compiled_as, fast_kernel, lean_kernel

Array: TypeAlias = NDArray[Any]


class Sparse(NamedTuple):
    """Compressed sparse rows: row i is values[a:e] at columns indices[a:e], a = indptr[i]."""

    values: Array  # (nnz,) float32 or float64
    indices: Array  # (nnz,) uint32 or uint64, each below n_features
    indptr: Array  # (n + 1,) int64
    n_features: int


class Dense(NamedTuple):
    """A matrix of shape (n, d), float32 or float64, of any memory order."""

    X: Array


Rows: TypeAlias = Sparse | Dense


def n_rows(rows: Rows) -> int:
    return len(rows.indptr) - 1 if isinstance(rows, Sparse) else rows.X.shape[0]


def n_features(rows: Rows) -> int:
    return rows.n_features if isinstance(rows, Sparse) else int(rows.X.shape[1])


def n_nonzeros(rows: Rows) -> int:
    return len(rows.values) if isinstance(rows, Sparse) else int(rows.X.size)


def as_rows(X: Any) -> Rows:
    """The rows of a NumPy array or a SciPy CSR matrix, sharing its memory, read-only.

    Indices are seen as unsigned integers of the same width: that spares the kernels the test
    for negative positions. Read-only views give memory maps and plain arrays one compiled type.
    """
    if isinstance(X, np.ndarray):
        return Dense(as_read_only(X))
    indptr = np.asarray(X.indptr).astype(np.int64, copy=False)
    used = int(indptr[-1])  # SciPy allows room behind the last entry
    indices = np.asarray(X.indices)[:used]
    unsigned = indices.view(np.dtype(f"u{indices.dtype.itemsize}"))
    values = as_read_only(X.data[:used])
    return Sparse(values, as_read_only(unsigned), as_read_only(indptr), int(X.shape[1]))


def as_read_only(array: Array) -> Array:
    """A view of the same memory that cannot be written through."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def read_only(rows: Rows) -> Rows:
    """The same rows, seen through read-only views: one compiled type for all sources."""
    if isinstance(rows, Dense):
        return Dense(as_read_only(rows.X))
    views = [as_read_only(array) for array in (rows.values, rows.indices, rows.indptr)]
    return Sparse(views[0], views[1], views[2], rows.n_features)


def take_rows(rows: Rows, start: int, stop: int) -> Rows:
    """Rows start..stop-1, sharing memory."""
    if isinstance(rows, Dense):
        return Dense(rows.X[start:stop])
    return rows._replace(indptr=rows.indptr[start : stop + 1])


def order_type(n: int) -> type[np.uint32] | type[np.int64]:
    """What a position among n rows is held in: orders are read beside the rows."""
    return np.uint32 if n <= 2**32 else np.int64


def block_order(n: int, block: int, rng: np.random.Generator) -> Array:
    """A permutation of 0..n-1 that shuffles blocks of rows and walks in order inside a block.

    A walk in memory order is what the prefetcher can follow; a fully random order of rows is
    several times slower on data larger than the cache. block = 1 is the full shuffle.
    """
    if block <= 1:
        return rng.permutation(n).astype(order_type(n))
    blocks, kind = rng.permutation(-(-n // block)), order_type(n)
    starts: Array = (blocks * block).astype(kind)
    flat: Array = np.add.outer(starts, np.arange(block, dtype=kind)).reshape(-1)
    short = -n % block  # what the last block lacks
    if short:
        end = (int(np.flatnonzero(blocks == len(blocks) - 1)[0]) + 1) * block
        flat[end - short : -short] = flat[end:].copy()
    return flat[:n]


# -- one row -------------------------------------------------------------------------------


def row(rows: Any, i: int) -> Any:
    """Sample i: (values, indices) if sparse, a vector if dense."""
    if isinstance(rows, Sparse):
        a, e = rows.indptr[i], rows.indptr[i + 1]
        return rows.values[a:e], rows.indices[a:e]
    return rows.X[i]


@compiled_as(row)
def _row(rows: Any, i: Any) -> Any:
    if rows.instance_class is Sparse:

        def sparse(rows: Any, i: Any) -> Any:
            a, e = rows.indptr[i], rows.indptr[i + 1]
            return rows.values[a:e], rows.indices[a:e]

        return sparse
    return lambda rows, i: (rows.X[i],)  # in a tuple: a `lean_kernel` takes no array from a call


def is_sparse(x: Any) -> bool:
    """Of the type of a compiled row: (values, indices), or (vector,) where it is dense."""
    return len(x) == 2


def dot(x: Any, w: Array) -> Any:
    """xᵀw for one column of weights."""
    return x[0] @ w[x[1]] if isinstance(x, tuple) else x @ w


@fast_kernel
def _dot_sparse(xs: Array, js: Array, w: Array) -> float:
    p = 0.0
    for k in range(xs.size):
        p += xs[k] * w[js[k]]
    return p


@fast_kernel
def _dot_dense(x: Array, w: Array) -> float:
    p = 0.0
    for j in range(x.size):
        p += x[j] * w[j]
    return p


@compiled_as(dot)
def _dot(x: Any, w: Any) -> Any:
    if is_sparse(x):
        return lambda x, w: _dot_sparse(x[0], x[1], w)
    return lambda x, w: _dot_dense(x[0], w)


def axpy(g: float, x: Any, w: Array) -> None:
    """w ← w + g x, in place. The columns of a row are distinct."""
    if isinstance(x, tuple):
        w[x[1]] += g * x[0]
    else:
        w += g * x


@lean_kernel
def _axpy_sparse(g: float, xs: Array, js: Array, w: Array) -> None:
    for k in range(xs.size):
        w[js[k]] += g * xs[k]


@lean_kernel
def _axpy_dense(g: float, x: Array, w: Array) -> None:
    for j in range(x.size):
        w[j] += g * x[j]


@compiled_as(axpy)
def _axpy(g: Any, x: Any, w: Any) -> Any:
    if is_sparse(x):
        return lambda g, x, w: _axpy_sparse(g, x[0], x[1], w)
    return lambda g, x, w: _axpy_dense(g, x[0], w)


def dot_row(rows: Any, i: int, w: Array) -> Any:
    """xᵢᵀw. As `dot(row(rows, i), w)`, but it compiles to fewer instructions in a loop that goes
    on to use the row: a row held in a variable has its references counted, with locked memory."""
    return dot(row(rows, i), w)


@compiled_as(dot_row)
def _dot_row(rows: Any, i: Any, w: Any) -> Any:
    if rows.instance_class is Sparse:

        def sparse(rows: Any, i: Any, w: Any) -> Any:
            a, e = rows.indptr[i], rows.indptr[i + 1]
            return _dot_sparse(rows.values[a:e], rows.indices[a:e], w)

        return sparse
    return lambda rows, i, w: _dot_dense(rows.X[i], w)


def add_row(g: float, rows: Any, i: int, w: Array) -> None:
    """w ← w + g xᵢ, in place; `axpy(g, row(rows, i), w)` as `dot_row` is to `dot`."""
    axpy(g, row(rows, i), w)


@compiled_as(add_row)
def _add_row(g: Any, rows: Any, i: Any, w: Any) -> Any:
    if rows.instance_class is Sparse:

        def sparse(g: Any, rows: Any, i: Any, w: Any) -> None:
            a, e = rows.indptr[i], rows.indptr[i + 1]
            _axpy_sparse(g, rows.values[a:e], rows.indices[a:e], w)

        return sparse
    return lambda g, rows, i, w: _axpy_dense(g, rows.X[i], w)


def squared_norm(x: Any) -> Any:
    """‖x‖², in float64."""
    xs = np.asarray(x[0] if isinstance(x, tuple) else x, dtype=np.float64)
    return xs @ xs


@fast_kernel
def _squared_norm(xs: Array) -> float:
    q = 0.0
    for k in range(xs.size):
        q += np.float64(xs[k]) * np.float64(xs[k])
    return q


@compiled_as(squared_norm)
def _squared_norm_of(x: Any) -> Any:
    return lambda x: _squared_norm(x[0])


def n_entries(x: Any) -> int:
    """How many entries of a row are held: its nonzeros if sparse, all if dense."""
    return int((x[0] if isinstance(x, tuple) else x).size)


@compiled_as(n_entries)
def _n_entries(x: Any) -> Any:
    return lambda x: x[0].size


def entry(x: Any, k: int) -> Any:
    """(column, value) of the k-th entry that a row holds."""
    return (x[1][k], x[0][k]) if isinstance(x, tuple) else (k, x[k])


@compiled_as(entry)
def _entry(x: Any, k: Any) -> Any:
    if is_sparse(x):
        return lambda x, k: (x[1][k], np.float64(x[0][k]))
    return lambda x, k: (k, np.float64(x[0][k]))
