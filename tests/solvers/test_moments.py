"""Second moments: both ways to sum them against the formula."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from widemargin.data.rows import as_rows
from widemargin.solvers import moments as module
from widemargin.solvers.moments import CHUNK, moments


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n", [1, 40, CHUNK + 5])
@pytest.mark.parametrize("kind", ["dense", "fortran", "full CSR", "thin CSR", "unsorted CSR"])
def test_moments_are_the_formula(kind, n, fit_intercept):
    rng = np.random.default_rng(n)
    share = 0.1 if kind == "thin CSR" or kind == "unsorted CSR" else 0.9
    X = rng.normal(size=(n, 20)) * (rng.random((n, 20)) < share)
    h, g = rng.random(n) * (rng.random(n) < 0.7), rng.normal(size=n) * (rng.random(n) < 0.7)
    given = {"dense": X, "fortran": np.asfortranarray(X)}.get(kind)
    given = csr_matrix(X) if given is None else given
    if kind == "unsorted CSR":
        for i in range(n):
            part = slice(given.indptr[i], given.indptr[i + 1])
            given.indices[part] = given.indices[part][::-1]
            given.data[part] = given.data[part][::-1]
    H, first = moments(as_rows(given), h, g, fit_intercept)
    Z = np.column_stack([X, np.full(n, float(fit_intercept))])
    np.testing.assert_allclose(H, Z.T @ (h[:, None] * Z), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(first, Z.T @ g, rtol=1e-12, atol=1e-11)


def test_thin_rows_are_never_made_dense(monkeypatch):
    def refuse(*_):
        raise AssertionError("made dense")

    monkeypatch.setattr(module, "dense_chunk", refuse)
    X = csr_matrix(np.eye(10))
    H, _ = moments(as_rows(X), np.ones(10), np.ones(10), True)
    assert H[-1, -1] == 10.0
    with pytest.raises(AssertionError, match="made dense"):
        moments(as_rows(np.eye(10)), np.ones(10), np.ones(10), True)
