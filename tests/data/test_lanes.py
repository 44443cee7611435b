"""Eight columns at once: the same numbers as one column after the other."""

import numpy as np
import pytest
from scipy.sparse import random_array

from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.folds import fold_samples
from widemargin.data.lanes import WIDTH, lane_weights
from widemargin.data.rows import as_rows, row
from widemargin.data.samples import make_samples, share, sign


@lean_kernel
def walk(rows, W, g, out):
    for i in range(out.shape[0]):
        dots(row(rows, i), W, out[i])
        axpys(g, row(rows, i), W)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_walk_is_its_twin(kind, sparse):
    rng = np.random.default_rng(0)
    X = random_array((30, 17), density=0.4, rng=rng, format="csr").astype(kind)
    rows = as_rows(X if sparse else X.toarray())
    W, g, out = lane_weights(17), rng.normal(size=WIDTH), np.empty((30, WIDTH))
    assert W.shape == (17, 1, WIDTH) and W.ctypes.data % 64 == 0
    W[:] = rng.normal(size=W.shape)
    V, seen = W[:, 0].copy(), np.empty_like(out)
    for i, x in enumerate(X.toarray().astype(float)):
        seen[i] = x @ V
        V += np.outer(x, g)
    again, plain = W.copy(), np.empty_like(out)
    walk(rows, W, g, out)
    np.testing.assert_allclose(out, seen, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(W[:, 0], V, rtol=1e-12, atol=1e-12)
    walk.py_func(rows, again, g, plain)
    np.testing.assert_allclose(plain, seen, rtol=1e-12, atol=1e-12)


def test_a_column_weighs_the_rows_of_its_fold_alone():
    codes, weight = np.arange(12) % 3, np.arange(12) + 1.0
    samples = make_samples(as_rows(np.eye(12)), codes, 3, weight, np.array([2.0, 3.0, 5.0]))
    trains = [np.arange(0, 9), np.arange(3, 12)]
    folds = fold_samples(samples, [(k, train) for k in range(3) for train in trains])
    for lane in range(WIDTH):
        for i in range(12):
            k, train = lane // 2, trains[lane % 2]
            used = lane < 6 and i in train
            assert share(folds, i, lane) == (share(samples, i, k) if used else 0.0)
            if lane < 6:
                assert sign(folds, i, lane) == sign(samples, i, k)
