"""The best intercept: a one-dimensional convex problem, solved to a stated accuracy."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from reference import columns_of
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge, Logistic, SquaredHinge, slope, value
from widemargin.objective import Objective
from widemargin.solvers.intercept import best_intercept, bracket, slope_sums


def cost(loss, problem, scores, b):
    losses = [value(loss, s + b, y) for s, y in zip(scores, problem.y, strict=True)]
    return float(problem.c @ losses)


def least(loss, problem, scores):
    """By search between and at the points where a slope jumps."""
    reach = np.abs(scores).max() + 40.0
    kinks = problem.y - scores
    found = minimize_scalar(
        lambda b: cost(loss, problem, scores, b), bounds=(-reach, reach), options={"xatol": 1e-10}
    )
    return min(found.fun, *(cost(loss, problem, scores, b) for b in kinks))


def random_problem(seed, n_classes):
    rng = np.random.default_rng(seed)
    n = 25
    codes = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    weight = rng.choice([0.0, 1.0, 3.0], n)
    weight[:n_classes] = 1.0
    samples = make_samples(as_rows(np.zeros((n, 1))), codes, n_classes, weight)
    k = samples.factor.shape[1]
    scores = 10.0 ** rng.uniform(-2, 3) * rng.normal(size=(n, k))
    return samples, scores, 10.0 ** rng.uniform(-2, 2) * rng.normal(size=k)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge(), Logistic()])
def test_no_intercept_is_better_by_more_than_eps(loss, n_classes):
    for seed in range(12):
        samples, scores, start = random_problem(seed, n_classes)
        C, eps = 0.5, np.full(start.size, 1e-7)
        b = best_intercept(Objective(loss, C), samples, scores, start, eps)
        for k, problem in enumerate(columns_of(samples, C)):
            best = least(loss, problem, scores[:, k])
            assert cost(loss, problem, scores[:, k], b[k]) <= best + 1e-7 + 1e-9 * best


def test_slope_sums_are_sums_of_slopes():
    samples, scores, b = random_problem(1, 3)
    found = slope_sums(Hinge(), 0.5, samples, scores, b)
    for k, (_, y, c) in enumerate(columns_of(samples, 0.5)):
        slopes = [slope(Hinge(), s + b[k], z) for s, z in zip(scores[:, k], y, strict=True)]
        assert found[k] == pytest.approx(c @ slopes, rel=1e-12)


@pytest.mark.parametrize("zero", [-1e6, -3.0, 0.0, 1e-9, 17.0, 1e9])
def test_the_bracket_holds_the_zero(zero):
    def slopes(b):
        return b - zero

    for start in (-5.0, 0.0, 123.0):
        low, high = bracket(slopes, np.array([start]))
        assert low[0] <= zero <= high[0]


def test_a_slope_that_never_changes_sign_leaves_b_alone():
    for constant in (1.0, -1.0, 0.0):
        low, high = bracket(lambda b, v=constant: np.full_like(b, v), np.array([2.5]))
        assert low[0] == high[0] == 2.5
