"""Platt's sigmoid: the optimum of its objective, whatever the scores."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.calibration import _SigmoidCalibration

from widemargin.calibration import (
    Sigmoid,
    fit_sigmoid,
    fit_sigmoids,
    log_probabilities,
    probabilities,
)


def drawn(n=200, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    f = spread * rng.normal(size=n)
    return f, rng.random(n) < 1.0 / (1.0 + np.exp(-1.5 * f + 0.4)), rng.random(n)


def twin(A, B, f, positive, s):
    """The objective as the docstring has it, sample by sample."""
    gained, rest = s[positive].sum(), s[~positive].sum()
    total = 0.0
    for fi, yi, si in zip(f, positive, s, strict=True):
        t = (gained + 1.0) / (gained + 2.0) if yi else 1.0 / (rest + 2.0)
        z = A * fi + B
        log_p = -np.log1p(np.exp(z)) if z < 0.0 else -z - np.log1p(np.exp(-z))
        total -= si * (t * log_p + (1.0 - t) * (z + log_p))
    return total


@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_is_scipys(weighted):
    f, positive, s = drawn()
    s = s if weighted else np.ones(len(f))
    A, B, _ = fit_sigmoid(f, positive, s if weighted else None)
    best = minimize(
        lambda v: twin(*v, f, positive, s),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000},
    )
    assert twin(A, B, f, positive, s) <= best.fun + 1e-9
    assert (A, B) == pytest.approx(best.x, abs=1e-5)


def test_the_slope_at_the_end_is_zero():
    f, positive, s = drawn(seed=3)
    A, B, _ = fit_sigmoid(f, positive, s)
    h = 1e-5
    rise = twin(A + h, B, f, positive, s) - twin(A - h, B, f, positive, s)
    tilt = twin(A, B + h, f, positive, s) - twin(A, B - h, f, positive, s)
    assert abs(rise) < 1e-11 and abs(tilt) < 1e-11


def test_the_sigmoid_is_scikit_learns():
    f, positive, s = drawn(seed=1)
    theirs = _SigmoidCalibration().fit(f, positive.astype(int), s)
    ours = fit_sigmoid(f, positive, s)
    np.testing.assert_allclose(probabilities(f, [ours])[:, 1], theirs.predict(f), rtol=0, atol=1e-5)


def test_a_weight_is_a_count():
    f, positive, _ = drawn(40)
    times = np.arange(40) % 3
    once = fit_sigmoid(f, positive, times)
    often = fit_sigmoid(np.repeat(f, times), np.repeat(positive, times))
    assert once == pytest.approx(often, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e9, 1e200])
def test_the_unit_of_the_scores_does_not_matter(scale):
    f, positive, _ = drawn()
    plain, scaled = fit_sigmoid(f, positive), fit_sigmoid(scale * f, positive)
    np.testing.assert_allclose(
        probabilities(scale * f, [scaled]), probabilities(f, [plain]), atol=1e-9
    )


def tailed(n, seed=0):
    """Sides drawn from a curve that is steeper in its tails than a sigmoid."""
    rng = np.random.default_rng(seed)
    f = 1e3 * rng.normal(size=n)
    return f, rng.random(n) < 1.0 / (1.0 + np.exp(-0.4e-3 * f + 0.3 - (1e-3 * f) ** 3))


@pytest.mark.parametrize("weighted", [False, True])
def test_tails_that_ask_for_it_are_fitted_to_the_optimum(weighted):
    f, positive = tailed(2000)
    s = np.random.default_rng(1).random(2000) if weighted else np.ones(2000)
    A, B, D = found = fit_sigmoid(f, positive, s, tails=True)
    assert A < 0.0 and D == pytest.approx(-1e-3, rel=0.2)
    gained, rest = s[positive].sum(), s[~positive].sum()
    t = np.where(positive, (gained + 1) / (gained + 2), 1 / (rest + 2))

    def at(v):
        z = v[0] * f / 1e3 + v[1] + v[2] * (f / 1e3) ** 3
        return s @ (np.logaddexp(0.0, z) - (1.0 - t) * z)

    v = np.array([A * 1e3, B, (D * 1e3) ** 3])
    best = minimize(at, v + 0.1, method="BFGS", options={"gtol": 1e-8})
    assert at(v) <= best.fun + 1e-9
    P = probabilities(np.sort(f), [found])[:, 1]
    assert (np.diff(P) >= 0.0).all()
    np.testing.assert_array_equal(probabilities([-1e200, 1e200], [found])[:, 1], [0.0, 1.0])


def test_tails_are_left_out_where_chance_explains_them():
    kept = [fit_sigmoid(*drawn(400, seed)[:2], tails=True).D for seed in range(40)]
    assert kept == [0.0] * 40
    f, positive = tailed(2000)
    assert fit_sigmoid(f, positive).D == 0.0
    assert fit_sigmoid(f[:40], positive[:40], tails=True).D == 0.0
    assert fit_sigmoid(f, ~positive, tails=True).D == 0.0  # reversed scores
    flat = np.cbrt(f)  # tails the other way would make the curve fall far out
    assert fit_sigmoid(flat, positive, tails=True) == fit_sigmoid(flat, positive)
    huge = fit_sigmoid(*drawn(400)[:2], np.full(400, 1e9), tails=True)
    assert huge.D == 0.0  # weights in another unit are no more samples
    assert fit_sigmoid(f, positive, np.full(2000, 1e9), tails=True).D < 0.0


def test_separable_scores_stay_short_of_certainty():
    f = np.concatenate([np.linspace(-3, -1, 50), np.linspace(1, 3, 30)])
    P = probabilities(f, [fit_sigmoid(f, f > 0.0)])[:, 1]
    assert (P[f > 0.0] > 0.5).all() and (P[f < 0.0] < 0.5).all()
    assert (np.diff(P) >= 0.0).all() and P.min() > 1e-4 and P.max() < 1.0 - 1e-4


def test_equal_scores_give_the_share_of_the_sides():
    positive = np.arange(10) < 3
    P = probabilities(np.zeros(10), [fit_sigmoid(np.full(10, 0.0), positive)])
    targets = (3 * (4 / 5) + 7 * (1 / 9)) / 10
    np.testing.assert_allclose(P[:, 1], targets, atol=1e-9)
    P = probabilities([5.0], [fit_sigmoid(np.full(10, 5.0), positive)])
    np.testing.assert_allclose(P[:, 1], targets, atol=1e-6)


def test_one_side_alone():
    A, B, _ = fit_sigmoid([1.0, 2.0, 3.0], [True] * 3)
    np.testing.assert_allclose(probabilities([1.0, 2.0, 3.0], [(A, B)])[:, 1], 0.8, atol=1e-6)


def test_classes_share_what_there_is():
    rng = np.random.default_rng(0)
    f, codes = rng.normal(size=(60, 3)), np.arange(60) % 3
    f[np.arange(60), codes] += 1.5
    sigmoids = fit_sigmoids(f, codes)
    P = probabilities(f, sigmoids)
    alone = np.stack([probabilities(f[:, k], sigmoids[k : k + 1])[:, 1] for k in range(3)], 1)
    np.testing.assert_allclose(P, alone / alone.sum(axis=1, keepdims=True), rtol=1e-12)
    assert sigmoids[1] == fit_sigmoid(f[:, 1], codes == 1)
    two = fit_sigmoids(f[:, :1], codes % 2)
    assert two == (fit_sigmoid(f[:, 0], codes % 2 == 1),)


def test_no_score_is_too_far():
    sure = [Sigmoid(-1.0, 0.0)]
    np.testing.assert_array_equal(probabilities([-1e4, 1e4], sure), [[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(log_probabilities([-1e4, 1e4], sure), [[0, -1e4], [-1e4, 0]])
    far = probabilities([[-1e4, -1e4], [-1e4, -2e4]], sure * 2)
    np.testing.assert_allclose(far, [[0.5, 0.5], [1.0, 0.0]])


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([1.0, 2.0], [True]), "(2,), (1,) and (2,)"),
        (([1.0, np.nan], [True, False]), "not finite"),
        (([1.0, 2.0], [True, False], [1.0, -2.0]), "-2.0 to 1.0"),
        (([1.0, 2.0], [True, False], [0.0, 0.0]), "0.0 to 0.0"),
    ],
)
def test_refusals_say_what_came(arguments, words):
    with pytest.raises(ValueError) as caught:
        fit_sigmoid(*arguments)
    assert words in str(caught.value)


def test_as_many_sigmoids_as_columns():
    with pytest.raises(ValueError, match="2 columns for 1 sigmoids"):
        probabilities([[1.0, 2.0]], [Sigmoid(-1.0, 0.0)])
