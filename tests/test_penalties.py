"""Penalties: value from the definition, conjugate from the supremum."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from widemargin.penalties import (
    L1,
    L2,
    ElasticNet,
    NoPenalty,
    largest_feasible_scale,
    penalty_conjugate,
    penalty_value,
)

PENALTIES = [L2(), L1(), ElasticNet(0.15), ElasticNet(0.9), NoPenalty()]


def definition(penalty, w):
    match penalty:
        case L2():
            return sum(v * v for v in w) / 2
        case L1():
            return sum(abs(v) for v in w)
        case ElasticNet(rho):
            return sum((1 - rho) * v * v / 2 + rho * abs(v) for v in w)
    return 0.0


def supremum(penalty, z):
    """sup_w wᵀz − r(w): all penalties are sums over the coordinates, so one at a time."""
    best = 0.0
    for v in z:
        found = minimize_scalar(
            lambda w, v=v: definition(penalty, [w]) - w * v,
            bounds=(-200.0, 200.0),
            options={"xatol": 1e-12},
        )
        best += max(0.0, -found.fun)
    return best


def vectors(scale):
    rng = np.random.default_rng(2)
    return [scale * rng.uniform(-1.0, 1.0, size=d) for d in (0, 1, 3, 6)] + [np.zeros(4)]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_value_is_its_definition(penalty):
    for w in vectors(5.0):
        assert penalty_value(penalty, w) == pytest.approx(definition(penalty, w), rel=1e-13)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_conjugate_is_the_supremum(penalty):
    for scale in (0.1, 0.99, 4.0):
        for z in vectors(scale):
            found = penalty_conjugate(penalty, z)
            if math.isinf(found):
                assert supremum(penalty, z) > 5.0  # as far as the search reaches
            else:
                assert found == pytest.approx(supremum(penalty, z), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_fenchel_young(penalty):
    for w in vectors(2.0):
        for z in vectors(1.0):
            if w.size == z.size:
                total = penalty_value(penalty, w) + penalty_conjugate(penalty, z)
                assert total >= w @ z - 1e-12


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_feasible_scale_is_the_largest(penalty):
    for scale in (0.5, 1.0, 7.0, 1e12):
        for z in vectors(scale):
            t = largest_feasible_scale(penalty, z)
            assert 0.0 <= t <= 1.0
            assert math.isfinite(penalty_conjugate(penalty, t * z))
            assert t == 1.0 or math.isinf(penalty_conjugate(penalty, (t + 1e-9 * (t or 1)) * z))
