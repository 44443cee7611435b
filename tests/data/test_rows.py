"""Rows: every function on every layout against plain NumPy, as Python and compiled."""

import numpy as np
import pytest
from scipy.sparse import random_array

from widemargin._jit import njit
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import (
    Dense,
    Sparse,
    as_read_only,
    as_rows,
    axpy,
    block_order,
    dot,
    entry,
    n_entries,
    n_features,
    n_nonzeros,
    n_rows,
    row,
    squared_norm,
    take_rows,
)

N, D, K = 6, 9, 3


def sparse_matrix(dtype, index):
    """A CSR matrix with an empty row, a row whose columns fall, and the last column used."""
    X = random_array((N, D), density=0.5, rng=np.random.default_rng(3), dtype=dtype).tolil()
    X[2], X[4, D - 1], X[4, 0] = 0.0, 1.5, -2.5
    X = X.tocsr()
    a, e = X.indptr[4], X.indptr[5]
    X.indices[a:e], X.data[a:e] = X.indices[a:e][::-1].copy(), X.data[a:e][::-1].copy()
    X.indices = X.indices.astype(index)
    return X


def dense_matrix(layout, dtype):
    X = np.random.default_rng(4).normal(size=(N, D)).astype(dtype)
    X[2] = 0.0
    if layout == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    return np.array(X, order=layout)


LAYOUTS = {
    "sparse f4 u4": lambda: sparse_matrix(np.float32, np.int32),
    "sparse f8 u8": lambda: sparse_matrix(np.float64, np.int64),
    "dense C f4": lambda: dense_matrix("C", np.float32),
    "dense F f8": lambda: dense_matrix("F", np.float64),
    "strided f8": lambda: dense_matrix("strided", np.float64),
}


@pytest.fixture(params=LAYOUTS)
def matrix(request):
    return LAYOUTS[request.param]()


@pytest.fixture
def full(matrix):
    """The same matrix as a dense float64 array."""
    plain = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    return plain.astype(np.float64)


def of_one_column(rows, w, g):
    """(Xw, ‖x‖², entries a row, w + Σ gᵢ xᵢ, the matrix spelt from its entries)"""
    n = g.size
    found = np.zeros((3, n))
    spelt = np.zeros((n, w.size))
    moved = w.copy()
    for i in range(n):
        x = row(rows, i)
        found[0, i], found[1, i], found[2, i] = dot(x, w), squared_norm(x), n_entries(x)
        axpy(g[i], x, moved)
        for k in range(n_entries(x)):
            j, v = entry(x, k)
            spelt[i, j] = v
    return found, moved, spelt


def of_all_columns(rows, W, G):
    """(XW, W + XᵀG)"""
    out, moved = np.empty((len(G), W.shape[1])), W.copy()
    for i in range(len(G)):
        dots(row(rows, i), W, out[i])
        axpys(G[i], row(rows, i), moved)
    return out, moved


def of_a_flat_column(rows, w, g):
    """The same two for W of shape (d,)."""
    out, moved = np.empty((g.size, 1)), w.copy()
    for i in range(g.size):
        dots(row(rows, i), w, out[i])
        axpys(g[i : i + 1], row(rows, i), moved)
    return out, moved


PARTS = (of_one_column, of_all_columns, of_a_flat_column)
WAYS = {
    "plain": {part: part for part in PARTS},
    "compiled": {part: njit(error_model="numpy")(part) for part in PARTS},
}
BOTH = pytest.mark.parametrize("how", WAYS)


def room(matrix):
    """Plain NumPy sums a float32 row in float32."""
    return 1e-14 if matrix.dtype == np.float64 else 1e-6


@BOTH
def test_one_column(matrix, full, how):
    rng = np.random.default_rng(5)
    w, g = rng.normal(size=D), rng.normal(size=N)
    (p, q, entries), moved, spelt = WAYS[how][of_one_column](as_rows(matrix), w, g)
    np.testing.assert_allclose(p, full @ w, rtol=room(matrix), atol=room(matrix))
    np.testing.assert_allclose(moved, w + g @ full, rtol=room(matrix), atol=room(matrix))
    np.testing.assert_allclose(q, (full * full).sum(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(spelt, full)
    expected = np.full(N, D) if isinstance(matrix, np.ndarray) else np.diff(matrix.indptr)
    np.testing.assert_array_equal(entries, expected)


@BOTH
def test_all_columns_at_once(matrix, full, how):
    rng = np.random.default_rng(6)
    W, G = rng.normal(size=(D, K)), rng.normal(size=(N, K))
    out, moved = WAYS[how][of_all_columns](as_rows(matrix), W, G)
    np.testing.assert_allclose(out, full @ W, rtol=room(matrix), atol=room(matrix))
    np.testing.assert_allclose(moved, W + full.T @ G, rtol=room(matrix), atol=room(matrix))


@BOTH
def test_a_flat_column(matrix, full, how):
    rng = np.random.default_rng(7)
    w, g = rng.normal(size=D), rng.normal(size=N)
    out, moved = WAYS[how][of_a_flat_column](as_rows(matrix), w, g)
    np.testing.assert_allclose(out[:, 0], full @ w, rtol=room(matrix), atol=room(matrix))
    np.testing.assert_allclose(moved, w + g @ full, rtol=room(matrix), atol=room(matrix))


def test_rows_share_memory_and_cannot_be_written(matrix):
    rows = as_rows(matrix)
    if isinstance(rows, Dense):
        pairs = [(rows.X, matrix)]
    else:
        pairs = [(rows.values, matrix.data), (rows.indices, matrix.indices)]
    for seen, held in pairs:
        assert np.shares_memory(seen, held) and not seen.flags.writeable and held.flags.writeable
    if isinstance(rows, Sparse):
        assert rows.indices.dtype.kind == "u" and rows.indptr.dtype == np.int64
        assert not rows.indptr.flags.writeable


def test_sizes(matrix, full):
    rows = as_rows(matrix)
    assert (n_rows(rows), n_features(rows)) == (N, D) == full.shape
    assert n_nonzeros(rows) == (full.size if isinstance(rows, Dense) else matrix.nnz)


@pytest.mark.parametrize("start, stop", [(0, N), (2, 5), (3, 3), (N - 1, N)])
def test_take_rows(matrix, full, start, stop):
    part = take_rows(as_rows(matrix), start, stop)
    assert n_rows(part) == stop - start
    for i in range(stop - start):
        x, spelt = row(part, i), np.zeros(D)
        axpy(1.0, x, spelt)
        np.testing.assert_array_equal(spelt, full[start + i])
    whole = as_rows(matrix)
    assert np.shares_memory(part[0], whole[0]) or stop == start


def test_room_behind_the_last_entry_is_not_seen():
    """SciPy allows it, and fills it when a matrix is changed in place."""
    X = sparse_matrix(np.float64, np.int32)
    indices, data = X.indices.copy(), X.data.copy()
    X.indices, X.data = np.append(indices, [0, 0]).astype(np.int32), np.append(data, np.ones(5))
    rows = as_rows(X)
    np.testing.assert_array_equal(rows.indices, indices)
    np.testing.assert_array_equal(rows.values, data)


def test_a_negative_index_is_seen_as_a_huge_one():
    X = sparse_matrix(np.float64, np.int32)
    X.indices[0] = -1
    assert as_rows(X).indices[0] == 2**32 - 1


def test_read_only_memory_maps_stay_maps(tmp_path):
    np.save(tmp_path / "x.npy", dense_matrix("C", np.float64))
    held = np.load(tmp_path / "x.npy", mmap_mode="r")
    rows = as_rows(held)
    assert np.shares_memory(rows.X, held)
    view = as_read_only(held)
    assert not view.flags.writeable


@pytest.mark.parametrize("n", [0, 1, 7, 256, 1000])
@pytest.mark.parametrize("block", [1, 3, 256, 5000])
def test_block_order_is_a_permutation(n, block):
    order = block_order(n, block, np.random.default_rng(8))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert order.dtype == np.uint32


def test_block_order_walks_in_order_inside_a_block_and_jumps_between():
    order = block_order(1000, 100, np.random.default_rng(9))
    blocks = order.reshape(10, 100)
    np.testing.assert_array_equal(blocks, blocks[:, :1] + np.arange(100))
    assert not np.array_equal(blocks[:, 0], np.sort(blocks[:, 0]))
    again = block_order(1000, 100, np.random.default_rng(9))
    np.testing.assert_array_equal(order, again)
