"""Inner products with panels of rows, against plain NumPy."""

import numpy as np
import pytest
from scipy.sparse import random_array

from widemargin.data import panels
from widemargin.data.rows import Dense, Sparse, as_rows
from widemargin.kernels import Linear, Polynomial, Rbf, Sigmoid, diagonal
from widemargin.solvers.gram import Crew, Matrix, at, diagonal_of, features_of, weigh, write_rows

KERNELS = [Linear(), Rbf(0.3), Polynomial(3, 0.2, 1.0), Sigmoid(0.1, -0.5)]


def matrix(kind, n=90, d=13, seed=0):
    X = random_array((n, d), density=0.4, rng=np.random.default_rng(seed), format="csr")
    return X.toarray() + 3.0 if kind == "dense" else X


def plain(kernel, X, Z):
    """K(x, z) from the definition."""
    match kernel:
        case Linear():
            return X @ Z.T
        case Rbf(gamma):
            return np.exp(-gamma * ((X[:, None] - Z[None]) ** 2).sum(-1))
        case Polynomial(degree, gamma, coef0):
            return (gamma * X @ Z.T + coef0) ** degree
        case Sigmoid(gamma, coef0):
            return np.tanh(gamma * X @ Z.T + coef0)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("dtype, tol", [(np.float64, 1e-12), (np.float32, 2e-5)])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_rows_of_the_kernel_matrix(kind, dtype, tol, kernel):
    X = matrix(kind)
    full = np.asarray(X if kind == "dense" else X.toarray())
    rows = panels.held_as(as_rows(X), dtype)
    assert isinstance(rows, Dense if kind == "dense" else Sparse)
    source, which = features_of(kernel, rows), np.random.default_rng(1).permutation(90)[:70]
    K = plain(kernel, full, full)
    out = np.zeros((80, 90), dtype)
    slots = np.random.default_rng(2).permutation(80)[:70]
    write_rows(source, which, slots, out)
    scale = np.abs(K).max()
    np.testing.assert_allclose(out[slots], K[which], atol=tol * scale)
    np.testing.assert_allclose(diagonal_of(source), np.diag(K), atol=tol * scale)
    coef, sums = np.random.default_rng(3).normal(size=(2, 70)), np.zeros((90, 2))
    weigh(source, source, which, coef, sums)
    np.testing.assert_allclose(sums, K[:, which] @ coef.T, atol=70 * tol * scale)
    some = np.flatnonzero(np.arange(90) % 3)
    part = np.zeros((70, len(some)), dtype)
    write_rows(at(source, some), np.arange(20), np.arange(20), part)
    np.testing.assert_allclose(part[:20], K[np.ix_(some[:20], some)], atol=tol * scale)


def test_a_given_matrix_is_a_source_too():
    K = plain(Rbf(0.1), matrix("dense"), matrix("dense"))
    some = np.array([3, 50, 7, 8, 88])
    source, out = at(Matrix(K, np.arange(90)), some), np.zeros((2, 5))
    write_rows(source, np.array([1, 4]), np.array([1, 0]), out)
    np.testing.assert_array_equal(out, K[np.ix_(some[[4, 1]], some)])
    np.testing.assert_array_equal(diagonal_of(source), np.diag(K)[some])


def test_threads_change_nothing():
    from concurrent.futures import ThreadPoolExecutor

    X = matrix("sparse", 5000)
    source, which = features_of(Rbf(0.5), panels.held_as(as_rows(X), np.float32)), np.arange(9)
    one, two = np.zeros((2, 9, 5000), np.float32)
    write_rows(source, which, which, one)
    with ThreadPoolExecutor(2) as pool:
        write_rows(source, which, which, two, Crew(pool, 2))
    np.testing.assert_array_equal(one, two)


def test_norms_of_long_sums_keep_their_digits():
    X = matrix("sparse", 3000)
    X.data[:5] = 1e-9
    rows = as_rows(X)
    np.testing.assert_allclose(
        panels.squared_norms(rows), (X.toarray() ** 2).sum(1), rtol=1e-9, atol=1e-13
    )


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_the_diagonal_is_the_kernel_of_a_row_with_itself(kernel):
    x = np.array([[1.0, -2.0, 0.5]])
    assert diagonal(kernel, (x**2).sum(1))[0] == pytest.approx(plain(kernel, x, x)[0, 0])


def test_wide_rows_have_narrow_panels():
    assert panels.width_for(100) == 64
    assert panels.width_for(1 << 20) == 8
    assert panels.width_for(1 << 30) == 1
