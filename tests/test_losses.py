"""Losses: the slope is the derivative, nothing overflows, compiled code says the same."""

import math

import numpy as np
import pytest

from widemargin._jit import njit
from widemargin.losses import (
    LOSSES,
    SLOPES,
    VALUES,
    EpsilonInsensitive,
    Hinge,
    ModifiedHuber,
    PerceptronLoss,
    slope,
    value,
)

SCORES = [-800.0, -37.3, -1.7, -0.45, 0.3, 0.62, 1.6, 2.5, 41.0, 800.0]  # away from every kink
FAR = 1e-6


def kinks(loss, y):
    """The scores where the slope jumps."""
    match loss:
        case Hinge():
            return [y]
        case PerceptronLoss():
            return [0.0]
        case EpsilonInsensitive(eps):
            return [y - eps, y + eps]
    return []


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]()


def test_every_loss_has_both_rules():
    assert set(VALUES) == set(SLOPES) == set(LOSSES.values())


@pytest.mark.parametrize("y", [-1.0, 1.0])
@pytest.mark.parametrize("p", SCORES)
def test_slope_is_the_derivative(loss, p, y):
    h = FAR * max(1.0, abs(p))
    rise = (value(loss, p + h, y) - value(loss, p - h, y)) / (2 * h)
    assert slope(loss, p, y) == pytest.approx(rise, rel=2e-6, abs=2e-6)


@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_slope_is_a_subgradient_everywhere(loss, y):
    """ℓ(q) ≥ ℓ(p) + ℓ′(p)(q − p) for all p, q: at kinks and across them."""
    edges = [*kinks(loss, y), y, -y, 0.0, 0.9 * y, 1.1 * y]
    grid = np.sort(np.concatenate([edges, np.linspace(-4, 4, 41), [-800.0, 800.0]]))
    for p in grid:
        f, g = value(loss, p, y), slope(loss, p, y)
        for q in grid:
            room = 1e-12 * (1 + abs(f) + abs(g * (q - p)))
            assert value(loss, q, y) >= f + g * (q - p) - room, (p, q)


@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_value_is_no_less_than_zero_and_never_overflows(loss, y):
    for p in (-800.0, 800.0):
        assert math.isfinite(value(loss, p, y)) and math.isfinite(slope(loss, p, y))
    values = [value(loss, p, y) for p in np.linspace(-3, 3, 61)]
    assert min(values) >= 0.0
    assert value(loss, -800.0 * y, y) > 70.0


def test_logistic_at_the_ends_is_exact():
    logistic = LOSSES["log_loss"]()
    assert value(logistic, 800.0, 1.0) == math.exp(-800.0) == 0.0
    assert value(logistic, 30.0, 1.0) == pytest.approx(math.exp(-30.0), rel=1e-12)
    assert value(logistic, -800.0, 1.0) == 800.0
    assert slope(logistic, 30.0, 1.0) == pytest.approx(-math.exp(-30.0), rel=1e-12)


def test_modified_huber_is_smooth_where_it_turns_linear():
    loss = ModifiedHuber()
    below, above = np.nextafter(-1.0, -2.0), -1.0
    assert value(loss, below, 1.0) == pytest.approx(value(loss, above, 1.0), abs=1e-12)
    assert slope(loss, below, 1.0) == pytest.approx(slope(loss, above, 1.0), abs=1e-12)


def test_a_score_of_zero_is_a_mistake_of_the_perceptron():
    assert slope(PerceptronLoss(), 0.0, 1.0) == -1.0
    assert slope(PerceptronLoss(), 0.0, -1.0) == 1.0


@njit(error_model="numpy")
def compiled(loss, scores, y):
    found = np.empty((2, scores.size))
    for i in range(scores.size):
        found[0, i], found[1, i] = value(loss, scores[i], y), slope(loss, scores[i], y)
    return found


def test_compiled_equals_python(loss):
    scores = np.concatenate([SCORES, [-1.0, 0.0, 1.0, 0.9, 1.1]])
    for y in (-1.0, 1.0):
        plain = [[rule(loss, p, y) for p in scores] for rule in (value, slope)]
        np.testing.assert_allclose(compiled(loss, scores, y), plain, rtol=1e-14, atol=0)
