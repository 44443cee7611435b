"""Finite Newton: the optimum to rounding, certified."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from reference import binary_samples, columns_of, objective_value, optimum
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import SquaredHinge
from widemargin.objective import Objective, column
from widemargin.penalties import L2
from widemargin.run.fit import fit_newton
from widemargin.solvers.moments import CHUNK
from widemargin.solvers.newton import FiniteNewton, Side, column_side, search, solve_inside

LOSS = SquaredHinge()


def problem_of(n=120, d=5, seed=0, noise=1.5):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    y = np.where(X @ rng.normal(size=d) + noise * rng.normal(size=n) > 0.3, 1, -1)
    return X, y


def fit(samples, C, fit_intercept=True, max_epochs=100):
    objective, solver = Objective(LOSS, C, L2(), fit_intercept), FiniteNewton()
    return fit_newton(solver, objective, samples, tol=1e-9, max_epochs=max_epochs, to_the_end=True)


def slope_at(problem, w, b):
    """∇f at (w, b), in w and in b."""
    X, y, c = problem
    g = -2.0 * c * y * np.maximum(0.0, 1.0 - y * (X @ w + b))
    return X.T @ g + w, g.sum()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("sparse", [True, False])
def test_the_slope_vanishes_at_the_optimum(C, fit_intercept, sparse):
    X, y = problem_of()
    weight = np.random.default_rng(1).choice([0.0, 0.5, 3.0], len(y))
    factor = np.array([0.3, 2.0])
    samples = binary_samples(csr_matrix(X) if sparse else X, y, weight, factor)
    found = fit(samples, C, fit_intercept)
    (problem,) = columns_of(samples, C)
    g, g_b = slope_at(problem, found.W, found.b[0])
    room = 1e-9 * (1.0 + problem.c.sum())
    assert np.abs(g).max() <= room
    assert abs(g_b) <= room if fit_intercept else found.b[0] == 0.0
    assert found.solved and found.certificate.relative_gap <= 1e-9


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_scipy_finds_no_better_point(fit_intercept):
    X, y = problem_of(seed=2)
    samples = binary_samples(X, y)
    (problem,) = columns_of(samples, 0.4)
    f, w, b = optimum(LOSS, L2(), problem, fit_intercept)
    found = fit(samples, 0.4, fit_intercept)
    assert found.certificate.primal <= f * (1 + 1e-12)
    assert found.certificate.primal == pytest.approx(f, rel=1e-6)
    np.testing.assert_allclose(found.W, w, atol=1e-4)


def test_classes_together_are_classes_alone():
    X, _ = problem_of(150, seed=3)
    samples = make_samples(as_rows(X), np.random.default_rng(4).integers(0, 3, 150), 3)
    together = fit(samples, 0.5)
    for k, problem in enumerate(columns_of(samples, 0.5)):
        alone = fit(binary_samples(problem.X, problem.y), 0.5)
        np.testing.assert_allclose(together.W[:, k], alone.W, atol=1e-10)
        assert together.b[k] == pytest.approx(alone.b[0], abs=1e-10)


def test_a_weight_is_a_repetition():
    X, y = problem_of(80, seed=5)
    times = np.random.default_rng(6).integers(0, 4, 80)
    again = np.repeat(np.arange(80), times)
    weighted, repeated = (
        fit(binary_samples(X, y, times.astype(float)), 0.5),
        fit(binary_samples(X[again], y[again]), 0.5),
    )
    np.testing.assert_allclose(weighted.W, repeated.W, atol=1e-10)
    assert weighted.certificate.primal == pytest.approx(repeated.certificate.primal, rel=1e-12)


@pytest.mark.parametrize("case", ["separable", "zero rows", "one feature", "1 : 999", "chunks"])
@pytest.mark.parametrize("C", [1e-6, 1e6])
def test_awkward_data(case, C):
    X, y = problem_of(CHUNK + 10 if case == "chunks" else 1000, 4, seed=7, noise=0.5)
    if case == "separable":
        X, y = problem_of(100, 4, seed=7, noise=0.0)
    if case == "zero rows":
        X = np.zeros_like(X)
    if case == "one feature":
        X = X[:, :1].copy()
    if case == "1 : 999":
        y = np.where(np.arange(len(y)) == 3, 1, -1)
    samples = binary_samples(X, y)
    found = fit(samples, C)
    (problem,) = columns_of(samples, C)
    here = objective_value(LOSS, L2(), problem, found.W, found.b[0])
    assert found.certificate.primal == pytest.approx(here, rel=1e-9)
    assert found.solved and found.certificate.relative_gap <= 1e-6


def test_the_system_is_that_of_the_docstring():
    X, y = problem_of(30, 3, seed=8)
    c = np.random.default_rng(9).uniform(0.1, 2.0, 30)
    inside = np.random.default_rng(10).random(30) < 0.5
    Z = np.column_stack([X, np.ones(30)])[inside]
    H = np.diag([1.0, 1.0, 1.0, 0.0]) + 2.0 * Z.T @ (c[inside, None] * Z)
    expected = np.linalg.solve(H, 2.0 * Z.T @ (c * y)[inside])
    found = solve_inside(as_rows(X), Side(y.astype(float), c), inside, 4, True)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_line_search_finds_the_least_point_of_the_segment():
    X, y = problem_of(40, 3, seed=11)
    side = Side(y.astype(float), np.full(40, 0.7))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        v, target = rng.normal(size=4), 3.0 * rng.normal(size=4)
        Z = np.column_stack([X, np.ones(40)])

        def f(t, v=v, target=target, Z=Z):
            at = v + t * (target - v)
            z = np.maximum(0.0, 1.0 - side.y * (Z @ at))
            return 0.5 * at[:-1] @ at[:-1] + side.c @ (z * z)

        t = search(side, v, target, Z @ v, Z @ target)
        assert 0.0 <= t <= 1.0
        assert f(t) <= min(f(s) for s in np.linspace(0.0, 1.0, 501)) * (1 + 1e-12)


def test_signs_and_weights_of_a_column():
    X, _ = problem_of(20)
    factor, weight = np.array([1.0, 2.0, 3.0]), np.arange(20.0)
    samples = make_samples(as_rows(X), np.arange(20) % 3, 3, weight, factor)
    for k, problem in enumerate(columns_of(samples, 0.5)):
        y, c = column_side(0.5, samples, k)
        np.testing.assert_array_equal(y, problem.y)
        np.testing.assert_allclose(c, problem.c, rtol=1e-15)
    assert column(np.zeros((4, 3)), 2).shape == (4,)


def test_a_run_that_is_cut_short_says_so():
    X, y = problem_of(300, seed=12)
    found = fit(binary_samples(X, y), 100.0, max_epochs=1)
    assert not found.solved and found.epochs == 1 and len(found.history) == 1
    assert found.certificate.relative_gap > 0.0
