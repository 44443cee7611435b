"""Inner products of all rows with a panel of a few: the work behind rows of a kernel matrix.

A panel holds q rows as the columns of a dense matrix W (d, q), so each entry of a row meets q
numbers that lie together: one pass gives q products per row, sparse or dense.
"""

from __future__ import annotations

import numpy as np

from widemargin._jit import fast_kernel, lean_kernel
from widemargin.data.rows import Array, Dense, Rows, Sparse, as_read_only, n_rows

WIDTH = 64  # rows of a panel: four AVX-512 registers of float32
ROOM = 1 << 23  # numbers that a panel may hold: panels of more features have fewer rows
FULL = 0.7  # share of nonzeros from which a dense matrix is better held dense


def width_for(n_features: int) -> int:
    return max(1, min(WIDTH, ROOM // max(n_features, 1)))


def held_as(rows: Rows, dtype: type) -> Rows:
    """The rows in the type that products are taken in; a dense matrix of few nonzeros as CSR."""
    if isinstance(rows, Sparse):
        indices = rows.indices.astype(np.uint32, copy=False)
        values: Array = rows.values.astype(dtype, copy=False)
        return rows._replace(values=as_read_only(values), indices=as_read_only(indices))
    X: Array = np.ascontiguousarray(rows.X, dtype)
    if X.size and np.count_nonzero(X) < FULL * X.size:
        return sparse_from(X)
    return Dense(as_read_only(X))


def sparse_from(X: Array) -> Sparse:
    """The nonzeros of a dense matrix."""
    at, columns = np.nonzero(X)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(X)))])
    values = X[at, columns]
    return _sparse(values, columns.astype(np.uint32), indptr.astype(np.int64), X.shape[1])


def _sparse(values: Array, indices: Array, indptr: Array, d: int) -> Sparse:
    return Sparse(as_read_only(values), as_read_only(indices), as_read_only(indptr), d)


def rows_at(rows: Rows, at: Array) -> Rows:
    """The rows of the given numbers, copied."""
    if isinstance(rows, Dense):
        return Dense(as_read_only(rows.X[at]))
    begins = rows.indptr[:-1][at]
    lengths = rows.indptr[1:][at] - begins
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = np.repeat(begins - indptr[:-1], lengths) + np.arange(indptr[-1])
    return _sparse(rows.values[entries], rows.indices[entries], indptr, rows.n_features)


def squared_norms(rows: Rows) -> Array:
    """(n,) ‖x‖² in float64."""
    if isinstance(rows, Dense):
        norms: Array = np.einsum("ij,ij->i", rows.X, rows.X, dtype=np.float64)
        return norms
    squares = np.square(rows.values, dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    if sums[-1] > 1e6 * squares.max(initial=1.0):  # differences of long sums lose digits
        owner = np.repeat(np.arange(n_rows(rows)), np.diff(rows.indptr))
        return np.bincount(owner, squares, n_rows(rows))
    return np.asarray(sums[rows.indptr[1:]] - sums[rows.indptr[:-1]])


def fill_panel(rows: Rows, at: Array, scale: float, W: Array) -> None:
    """W[:, k] = scale · x of row at[k]; W holds zeros where no row reaches."""
    if isinstance(rows, Dense):
        np.multiply(rows.X[at].T, scale, out=W)
        return
    some = rows_at(rows, at)
    assert isinstance(some, Sparse)
    W[some.indices, np.repeat(np.arange(len(at)), np.diff(some.indptr))] = scale * some.values


def clear_panel(rows: Rows, at: Array, W: Array) -> None:
    """Zeros again where `fill_panel` of sparse rows wrote."""
    if isinstance(rows, Sparse):
        some = rows_at(rows, at)
        assert isinstance(some, Sparse)
        W[some.indices] = 0.0


def arguments(rows: Rows, offset: Array, W: Array, start: Array, first: int, out: Array) -> None:
    """out[i, k] = offset[first + i] + start[k] + x · W[:, k] for x the row first + i."""
    if isinstance(rows, Sparse):
        _arguments_sparse(rows, offset, W, start, first, out)
    else:
        _arguments_dense(rows.X, offset, W, start, first, out)


@fast_kernel
def _arguments_sparse(
    rows: Sparse, offset: Array, W: Array, start: Array, first: int, out: Array
) -> None:
    for i in range(out.shape[0]):
        t, u = out[i], offset[first + i]
        for c in range(t.size):
            t[c] = u + start[c]
        a, e = rows.indptr[first + i], rows.indptr[first + i + 1]
        _add_products(rows.values[a:e], rows.indices[a:e], W, t)


@fast_kernel
def _add_products(xs: Array, js: Array, W: Array, t: Array) -> None:
    """Four entries at a time: t is loaded and stored once for all four."""
    fours = xs.size - xs.size % 4
    for k in range(0, fours, 4):
        a, b, c, d = xs[k], xs[k + 1], xs[k + 2], xs[k + 3]
        A, B, C, D = W[js[k]], W[js[k + 1]], W[js[k + 2]], W[js[k + 3]]
        for m in range(t.size):
            t[m] += a * A[m] + b * B[m] + c * C[m] + d * D[m]
    for k in range(fours, xs.size):
        a, A = xs[k], W[js[k]]
        for m in range(t.size):
            t[m] += a * A[m]


@fast_kernel
def _arguments_dense(
    X: Array, offset: Array, W: Array, start: Array, first: int, out: Array
) -> None:
    fours = X.shape[1] - X.shape[1] % 4
    for i in range(out.shape[0]):
        x, t, u = X[first + i], out[i], offset[first + i]
        for m in range(t.size):
            t[m] = u + start[m]
        for k in range(0, fours, 4):
            a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
            A, B, C, D = W[k], W[k + 1], W[k + 2], W[k + 3]
            for m in range(t.size):
                t[m] += a * A[m] + b * B[m] + c * C[m] + d * D[m]
        for k in range(fours, x.size):
            a, A = x[k], W[k]
            for m in range(t.size):
                t[m] += a * A[m]


@lean_kernel
def store_columns(tile: Array, slots: Array, first: int, out: Array) -> None:
    """out[slots[k], first + i] = tile[i, k], in blocks that stay in the nearest cache."""
    for begin in range(0, tile.shape[0], 64):
        end = min(begin + 64, tile.shape[0])
        for k in range(tile.shape[1]):
            row = out[slots[k]]
            for i in range(begin, end):
                row[first + i] = tile[i, k]


@fast_kernel
def add_weighted(tile: Array, coef: Array, out: Array) -> None:
    """out[i, m] += Σₖ coef[m, k] tile[i, k]."""
    for i in range(tile.shape[0]):
        t = tile[i]
        for m in range(coef.shape[0]):
            c, total = coef[m], 0.0
            for k in range(t.size):
                total += c[k] * t[k]
            out[i, m] += total
