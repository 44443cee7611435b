"""Rows against whole lines of weights: compiled as NumPy has it, for every number of lines."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from widemargin._jit import lean_kernel
from widemargin.data.lines import all_axpys, all_dots, line_weights, width_of
from widemargin.data.rows import as_rows, row

D = 40


@lean_kernel
def both(rows, i, W, out, g):
    all_dots(row(rows, i), W, out)
    all_axpys(g, row(rows, i), W)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("K", [1, 8, 9, 20, 32, 33, 71])
def test_dots_and_steps_are_numpys(K, sparse):
    rng = np.random.default_rng(K)
    X = (rng.normal(size=(3, D)) * (rng.random((3, D)) < 0.4)).astype(np.float32)
    W, out, g = line_weights(D, K), np.full(width_of(K), np.nan), np.zeros(width_of(K))
    W[:, :K], g[:K] = rng.normal(size=(D, K)), rng.normal(size=K)
    before, rows = W.copy(), as_rows(csr_matrix(X) if sparse else X)
    both(rows, 1, W, out, g)
    np.testing.assert_allclose(out, X[1] @ before, atol=1e-12)
    np.testing.assert_allclose(W, before + np.outer(X[1].astype(float), g), atol=1e-12)
    assert not W[:, K:].any() and not out[K:].any()


@pytest.mark.parametrize("d, K", [(5, 3), (40_000, 20)])
def test_weights_begin_with_a_line_of_the_cache(d, K):
    W = line_weights(d, K)
    assert W.shape == (d, width_of(K)) and W.flags.c_contiguous and not W.any()
    assert W.ctypes.data % 64 == 0
