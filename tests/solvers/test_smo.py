"""Sequential minimal optimisation: optima, working sets, shrinking, precision, bounds of time."""

import numpy as np
import pytest
from sklearn.datasets import make_classification

from widemargin.data.panels import held_as
from widemargin.data.rows import as_rows
from widemargin.kernels import Rbf
from widemargin.solvers import smo
from widemargin.solvers.gram import Matrix, features_of
from widemargin.solvers.kernel_certificate import best_intercept, look_at
from widemargin.solvers.smo import Plan, Problem, rounds
from widemargin.solvers.smo_kernels import descend, solve_working, working


def problem(n=700, C=1.0, dtype=np.float64, seed=0):
    X, codes = make_classification(n, 12, n_informative=6, flip_y=0.1, random_state=seed)
    y = np.where(codes == 1, 1.0, -1.0)
    exact = features_of(Rbf(0.1), held_as(as_rows(X), np.float64))
    source = features_of(Rbf(0.1), held_as(as_rows(X), dtype))
    K = np.exp(-0.1 * ((X[:, None] - X[None]) ** 2).sum(-1))
    return Problem(source, exact, y, np.full(n, C)), K


def last(found):
    *_, end = found
    return end


def value(K, y, alpha):
    return alpha.sum() - 0.5 * (alpha * y) @ K @ (alpha * y)


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_small_sets_shrinking_and_few_rows_change_nothing(monkeypatch, C):
    whole, K = problem(C=C)
    best = last(rounds(whole, Plan(tol=1e-8)))
    assert best.solved and best.look.certificate.relative_gap <= 1e-8
    monkeypatch.setattr(smo, "SET", 40)
    for plan in (Plan(tol=1e-7), Plan(tol=1e-7, shrinking=False), Plan(tol=1e-7, cache_bytes=3e5)):
        found = last(rounds(whole, plan))
        assert found.solved
        assert found.look.certificate.dual == pytest.approx(
            value(K, whole.y, found.alpha), rel=1e-9
        )
        assert found.look.certificate.dual == pytest.approx(best.look.certificate.dual, rel=1e-7)
        assert abs(found.alpha @ whole.y) <= 1e-9 * C * 700
        assert (found.alpha >= 0.0).all() and (found.alpha <= C).all()


def test_variables_leave_and_are_looked_at_again(monkeypatch):
    monkeypatch.setattr(smo, "SET", 32)
    monkeypatch.setattr(smo, "LARGEST_SET", 32)
    left, shrink = [], smo.shrink
    monkeypatch.setattr(smo, "shrink", lambda a, stay: (left.append(stay.sum()), shrink(a, stay)))
    whole, K = problem(C=10.0)
    found = last(rounds(whole, Plan(tol=1e-6)))
    assert left and min(left) < 700 and found.solved
    v = whole.y - K @ (found.alpha * whole.y)
    assert look_at(whole.y, found.alpha, whole.upper, v).violation <= 1e-6


@pytest.mark.parametrize("tol", [1e-3, 1e-9])
def test_rows_in_float32_reach_tolerances_of_float64(monkeypatch, tol):
    monkeypatch.setattr(smo, "SET", 64)
    whole, K = problem(dtype=np.float32)
    found = last(rounds(whole, Plan(tol=tol)))
    assert found.solved
    v = whole.y - K @ (found.alpha * whole.y)
    true = look_at(whole.y, found.alpha, whole.upper, v)
    assert true.certificate.relative_gap <= tol + 1e-9
    assert true.violation <= tol + 1e-5 * (tol > 1e-5) + 1e-12


def test_it_stops_at_max_steps_and_at_the_precision_of_numbers():
    whole, _ = problem()
    ends = list(rounds(whole, Plan(tol=1e-6, max_steps=7)))
    assert len(ends) == 1 and ends[0].steps == 7 and not ends[0].solved
    hopeless = last(rounds(whole, Plan(tol=1e-18)))
    assert not hopeless.solved and hopeless.look.certificate.relative_gap < 1e-12


def test_the_pair_with_the_largest_gain_is_moved():
    rng = np.random.default_rng(0)
    n = 50
    Z = rng.normal(size=(n, 4))
    K, y = Z @ Z.T + np.eye(n), np.where(rng.random(n) < 0.5, -1.0, 1.0)
    alpha, upper = np.zeros(n), np.full(n, 0.7)
    w = working(K, y, alpha, upper, y.copy(), np.diag(K).copy())
    steps, i, _ = solve_working(w, n, 1e-3, 1)
    assert (steps, i) == (1, -1) and w.K.shape == (64, 64)
    (i,), (j,) = (np.flatnonzero((w.alpha[:n] > 0) & (y == side)) for side in (1.0, -1.0))
    low = np.flatnonzero(y < 0)  # all v are y, so every i is among the most violating
    h = K[i, i] + np.diag(K)[low] - 2.0 * K[i, low]
    assert j == low[np.argmax(4.0 / h)]
    step = min(2.0 / h.min(), 0.7)
    np.testing.assert_allclose(w.alpha[[i, j]], step)
    np.testing.assert_allclose(w.v[:n], y - K @ (w.alpha[:n] * y), atol=1e-12)


def test_v_follows_the_moves():
    rng = np.random.default_rng(1)
    for dtype in (np.float32, np.float64):
        rows = rng.normal(size=(9, 2100)).astype(dtype)
        slots, weight, v = (
            np.array([8, 1, 0, 3, 5, 2, 7]),
            rng.normal(size=7),
            rng.normal(size=2000),
        )
        expected = v - weight @ rows[slots, 50:2050].astype(float)
        descend(rows, slots, weight, 50, v)
        np.testing.assert_allclose(v, expected, atol=1e-12 if dtype == np.float64 else 1e-5)


def test_the_intercept_is_the_best_one():
    rng = np.random.default_rng(2)
    for _ in range(50):
        n = 15
        y = np.where(rng.random(n) < 0.4, 1.0, -1.0)
        y[:2] = 1.0, -1.0
        F, c = rng.normal(size=n), rng.random(n) + 0.1
        v = y - F
        price = [(c * np.maximum(0.0, 1.0 - y * (F + b))).sum() for b in v]
        b = best_intercept(y, c, v, 0.3)
        assert (c * np.maximum(0.0, 1.0 - y * (F + b))).sum() <= min(price) + 1e-12


def test_a_flat_stretch_of_intercepts_takes_the_one_wished_for():
    y, v = np.array([1.0, -1.0]), np.array([-2.0, 3.0])  # F = 3, −4: any b in [−2, 3] costs nothing
    assert best_intercept(y, np.ones(2), v, 0.25) == 0.25
    assert best_intercept(y, np.ones(2), v, 9.0) == 3.0


def test_a_kernel_matrix_that_is_given(monkeypatch):
    monkeypatch.setattr(smo, "SET", 64)
    whole, K = problem(300)
    given = Matrix(K, np.arange(300))
    found = last(rounds(Problem(given, given, whole.y, whole.upper), Plan(tol=1e-8)))
    other = last(rounds(whole, Plan(tol=1e-8)))
    assert found.look.certificate.dual == pytest.approx(other.look.certificate.dual, rel=1e-8)
