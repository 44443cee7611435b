"""L1 by primal coordinate descent: against LIBLINEAR, and SciPy where it has an intercept."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from reference import binary_samples, columns_of, full, objective_value, optimum
from widemargin._jit import njit
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import Logistic, SquaredHinge, slope
from widemargin.objective import Objective
from widemargin.penalties import L1
from widemargin.run.fit import fit_primal_cd
from widemargin.solvers.primal_cd import (
    CURVES,
    STEEPEST,
    Job,
    by_columns,
    curve,
    intercept_step,
    shrunk,
)

LOSSES = [SquaredHinge(), Logistic()]


def problem_of(n=100, d=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.6)
    y = np.where(X[:, 0] - X[:, 1] + rng.normal(size=n) > 0.3, 1, -1)
    return X, y


def fit(samples, loss, C, *, fit_intercept=True, tol=1e-8, seed=0, max_epochs=5000):
    objective, rng = Objective(loss, C, L1(), fit_intercept), np.random.default_rng(seed)
    return fit_primal_cd(objective, samples, tol=tol, max_epochs=max_epochs, rng=rng)


@pytest.mark.parametrize("C", [0.05, 0.5, 10.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_liblinear_without_an_intercept(loss, C):
    X, y = problem_of(seed=1)
    peer = dict(penalty="l1", dual=False, fit_intercept=False, tol=1e-10, max_iter=100_000)
    if isinstance(loss, SquaredHinge):
        theirs = LinearSVC(C=C, random_state=0, **peer).fit(X, y)
    else:
        del peer["penalty"], peer["dual"]
        theirs = LogisticRegression(C=C, l1_ratio=1.0, solver="liblinear", **peer).fit(X, y)
    samples = binary_samples(csr_matrix(X), y)
    (problem,) = columns_of(samples, C)
    f = objective_value(loss, L1(), problem, theirs.coef_.ravel(), 0.0)
    found = fit(samples, loss, C, fit_intercept=False)
    assert found.solved and found.certificate.primal == pytest.approx(f, rel=1e-6)
    assert found.certificate.dual <= f
    np.testing.assert_allclose(found.W, theirs.coef_.ravel(), atol=1e-3)
    assert found.b[0] == 0.0


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_scipy_with_an_intercept(loss, sparse):
    X, y = problem_of(seed=2)
    samples = binary_samples(csr_matrix(X) if sparse else X, y, class_weight=np.array([0.5, 2.0]))
    (problem,) = columns_of(samples, 0.4)
    f, w, b = optimum(loss, L1(), problem, True)
    found = fit(samples, loss, 0.4)
    assert found.certificate.primal == pytest.approx(f, rel=1e-6)
    assert found.certificate.dual <= f * (1 + 1e-12)
    np.testing.assert_allclose([*found.W, *found.b], [*w, b], atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_conditions_of_the_optimum(loss):
    """|∂ⱼ| ≤ 1, with equality and the opposite sign where wⱼ ≠ 0; the slope in b vanishes."""
    X, y = problem_of(seed=3)
    samples = binary_samples(csr_matrix(X), y)
    (problem,) = columns_of(samples, 0.3)
    found = fit(samples, loss, 0.3, tol=1e-10)
    p = X @ found.W + found.b[0]
    g = problem.c * [slope(loss, s, z) for s, z in zip(p, y, strict=True)]
    down, held = X.T @ g, found.W == 0.0
    assert 0 < held.sum() < 8
    assert (np.abs(down) <= 1.0 + 1e-4).all() and abs(g.sum()) <= 1e-8
    np.testing.assert_allclose(down[~held], -np.sign(found.W[~held]), atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_small_C_leaves_the_intercept_alone(loss):
    X, y = problem_of(seed=4)
    found = fit(binary_samples(X, y), loss, 1e-4)
    assert not found.W.any() and found.solved
    share = (y > 0).mean()
    best = math.log(share / (1 - share)) if isinstance(loss, Logistic) else 2 * share - 1
    assert found.b[0] == pytest.approx(best, rel=1e-6)


def test_a_weight_is_a_repetition():
    X, y = problem_of(seed=5)
    times = np.random.default_rng(6).integers(0, 3, 100)
    again = np.repeat(np.arange(100), times)
    one = fit(binary_samples(csr_matrix(X), y, times.astype(float)), SquaredHinge(), 0.5)
    two = fit(binary_samples(csr_matrix(X[again]), y[again]), SquaredHinge(), 0.5)
    assert one.certificate.primal == pytest.approx(two.certificate.primal, rel=2e-8)
    np.testing.assert_allclose(one.W, two.W, atol=1e-4)


def test_columns_together_are_columns_alone():
    X, _ = problem_of(seed=7)
    samples = make_samples(as_rows(X), np.random.default_rng(8).integers(0, 3, 100), 3)
    found = fit(samples, SquaredHinge(), 0.5)
    for k, problem in enumerate(columns_of(samples, 0.5)):
        alone = fit(binary_samples(problem.X, problem.y), SquaredHinge(), 0.5)
        np.testing.assert_allclose(found.W[:, k], alone.W, atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [1e-6, 1e5])
def test_extreme_C_ends_with_an_honest_gap(loss, C):
    X, y = problem_of(seed=9)
    X[:, 3] = 0.0  # a feature that nobody has
    samples = binary_samples(X, y)
    found = fit(samples, loss, C, tol=1e-4, max_epochs=300)
    (problem,) = columns_of(samples, C)
    here = objective_value(loss, L1(), problem, found.W, found.b[0])
    best, _, _ = optimum(loss, L1(), problem, True)
    assert found.certificate.primal == pytest.approx(here, rel=1e-10)
    assert found.certificate.dual <= min(here, best) * (1 + 1e-9)
    assert found.W[3] == 0.0


# -- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_curve_is_the_second_derivative(loss, y):
    ps = np.array([-800.0, -3.3, -0.4, 0.2, 1.7, 800.0])
    for p in ps:
        rise = (slope(loss, p + 1e-6, y) - slope(loss, p - 1e-6, y)) / 2e-6
        assert curve(loss, p, y) == pytest.approx(rise, abs=1e-6)
        assert 0.0 <= curve(loss, p, y) <= STEEPEST[type(loss)]
    assert set(CURVES) == set(STEEPEST)

    @njit
    def compiled(loss, p, y):
        return curve(loss, p, y)

    assert [compiled(loss, p, y) for p in ps] == pytest.approx([curve(loss, p, y) for p in ps])


def test_shrunk_is_the_proximal_step():
    for z in (-3.0, -0.5, 0.0, 0.4, 2.0):
        for a in (0.0, 0.5, 1.0):
            ws = np.linspace(-4, 4, 8001)
            best = ws[np.argmin(0.5 * (ws - z) ** 2 + a * np.abs(ws))]
            assert shrunk(z, a) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("dtype, index", [(np.float32, np.int32), (np.float64, np.int64)])
def test_by_columns_is_the_transpose(dtype, index):
    X, _ = problem_of(30)
    Z = csr_matrix(X.astype(dtype))
    Z.indices, Z.indptr = Z.indices.astype(index), Z.indptr.astype(index)
    turned = by_columns(as_rows(Z))
    np.testing.assert_array_equal(full(turned), X.astype(dtype).T)
    assert turned.values.dtype == dtype and turned.indices.dtype.kind == "u"
    dense = by_columns(as_rows(X))
    assert np.shares_memory(dense.X, X) and dense.X.shape == (8, 30)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_intercept_step_zeroes_the_slope(loss):
    rng = np.random.default_rng(10)
    for scale in (0.1, 1.0, 30.0):
        y, c = rng.choice([-1.0, 1.0], 50), rng.uniform(0, 2, 50)
        y[:2], p = [1.0, -1.0], scale * rng.normal(size=50)
        before = p.copy()
        moved = intercept_step(Job(loss, y, c, STEEPEST[type(loss)]), p)
        np.testing.assert_allclose(p, before + moved, atol=1e-10)
        total = sum(k * slope(loss, s, z) for k, s, z in zip(c, p, y, strict=True))
        assert abs(total) <= 1e-9 * c.sum()
