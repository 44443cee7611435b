"""Proximal Newton: the L1 optimum on few features, certified, also with tied features."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from reference import binary_samples
from widemargin.losses import Logistic, SquaredHinge
from widemargin.objective import Objective
from widemargin.penalties import L1
from widemargin.run.fit import fit_newton, fit_primal_cd
from widemargin.solvers.newton import column_side
from widemargin.solvers.prox_newton import ProximalNewton, expansion, minimise_model

LOSSES = [SquaredHinge(), Logistic()]


def problem(seed, n=200, d=12, sparse=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.6)
    y = np.where(X[:, 0] - 2.0 * X[:, 1] + 0.7 * rng.normal(size=n) > 0.4, 1, -1)
    return binary_samples(csr_matrix(X) if sparse else X, y, rng.uniform(0.5, 2.0, n))


def fit(samples, loss, C, tol=1e-9, fit_intercept=True):
    objective = Objective(loss, C, L1(), fit_intercept)
    return fit_newton(ProximalNewton(), objective, samples, max_epochs=200, tol=tol)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_optimum_is_proved_and_equals_coordinate_descent(loss, C, fit_intercept):
    samples = problem(1)
    ours = fit(samples, loss, C, fit_intercept=fit_intercept)
    assert ours.solved
    objective = Objective(loss, C, L1(), fit_intercept)
    other = fit_primal_cd(
        objective, samples, tol=1e-8, max_epochs=5000, rng=np.random.default_rng(0)
    )
    assert ours.certificate.primal == pytest.approx(other.certificate.primal, rel=1e-7)
    np.testing.assert_allclose(ours.W, other.W, atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_hot_columns_that_add_up_to_the_intercept(loss):
    rng = np.random.default_rng(5)
    kinds = rng.integers(0, 6, 400)
    X = np.eye(6)[kinds]
    y = np.where(rng.random(400) < 0.2 + 0.1 * kinds, 1, -1)
    ours = fit(binary_samples(X, y), loss, 1.0, tol=1e-7)
    assert ours.solved
    assert ours.epochs < 50


def test_sparse_and_dense_agree():
    dense, sparse = (fit(problem(2, sparse=s), SquaredHinge(), 1.0) for s in (False, True))
    np.testing.assert_allclose(dense.W, sparse.W, atol=1e-9)


def test_weights_stand_for_repetition():
    rng = np.random.default_rng(8)
    X, times = rng.normal(size=(60, 5)), rng.integers(0, 4, 60)
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=60) > 0.0, 1, -1)
    weighted = fit(binary_samples(X, y, times.astype(float)), Logistic(), 1.0, tol=1e-10)
    again = np.repeat(np.arange(60), times)
    repeated = fit(binary_samples(X[again], y[again]), Logistic(), 1.0, tol=1e-10)
    np.testing.assert_allclose(weighted.W, repeated.W, atol=1e-6)
    assert weighted.certificate.primal == pytest.approx(repeated.certificate.primal, rel=1e-9)


def test_the_model_is_minimised():
    samples = problem(4)
    objective = Objective(Logistic(), 1.0, L1())
    y, c = column_side(1.0, samples, 0)
    rng = np.random.default_rng(0)
    v = rng.normal(size=13)
    g, H = expansion(objective, samples.rows, y, c, rng.normal(size=len(y)))
    u = v.copy()
    minimise_model(g, H, v, u, 10_000, 1e-14)
    slopes = g + H @ (u - v)
    moving = u[:-1] != 0.0
    np.testing.assert_allclose(slopes[:-1][moving], -np.sign(u[:-1][moving]), atol=1e-8)
    assert (np.abs(slopes[:-1][~moving]) <= 1.0 + 1e-8).all()
    assert slopes[-1] == pytest.approx(0.0, abs=1e-8)
