"""Conjugates against the supremum they stand for, dual steps against root finding."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from widemargin._jit import njit
from widemargin.duals import (
    ASCENDS,
    CONJUGATES,
    DUAL_SLOPES,
    LARGEST,
    ascend,
    conjugate,
    dual_slope,
    largest,
)
from widemargin.losses import (
    LOSSES,
    EpsilonInsensitive,
    Hinge,
    Huber,
    Logistic,
    ModifiedHuber,
    PerceptronLoss,
    SquaredHinge,
    slope,
    value,
)

SOLVED = [Hinge(), SquaredHinge(), Logistic()]  # the losses with an exact step in the dual
DOMAINS = {  # the u with a finite conjugate
    Hinge: (0.0, 1.0),
    SquaredHinge: (0.0, math.inf),
    Logistic: (0.0, 1.0),
    PerceptronLoss: (0.0, 1.0),
    ModifiedHuber: (0.0, 4.0),
    Huber: (-0.1, 0.1),
    EpsilonInsensitive: (-1.0, 1.0),
}
EVERYWHERE = (-math.inf, math.inf)


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]()


def supremum(loss, u):
    """sup_m −u m − ℓ(m), by search; the objective is concave in m."""
    found = minimize_scalar(
        lambda m: u * m + value(loss, m, 1.0), bounds=(-60.0, 60.0), options={"xatol": 1e-11}
    )
    return -min(found.fun, *(u * m + value(loss, m, 1.0) for m in (-1.0, 0.0, 0.9, 1.0, 1.1)))


def test_every_loss_has_a_conjugate_and_three_an_exact_step():
    assert set(CONJUGATES) == set(LOSSES.values())
    assert set(ASCENDS) == set(DUAL_SLOPES) == set(LARGEST) == {type(loss) for loss in SOLVED}


def test_conjugate_is_the_supremum(loss):
    low, high = DOMAINS.get(type(loss), EVERYWHERE)
    low, high = max(low, -5.0), min(high, 5.0)
    for u in np.concatenate([np.linspace(low, high, 21), np.clip([1e-6, 1 - 1e-6], low, high)]):
        assert conjugate(loss, u) == pytest.approx(supremum(loss, u), abs=1e-8), u


def test_conjugate_is_infinite_exactly_where_the_supremum_is(loss):
    low, high = DOMAINS.get(type(loss), EVERYWHERE)
    for u in (low - 1e-6, low - 3.0, high + 1e-6, high + 3.0):
        if math.isfinite(u):
            assert conjugate(loss, u) == math.inf
            assert max(-u * m - value(loss, m, 1.0) for m in (-1e9, 1e9)) > 100.0


def test_fenchel_young(loss):
    """ℓ(m) + ℓ*(−u) ≥ −u m, with equality at u = −ℓ′(m)."""
    rng = np.random.default_rng(0)
    low, high = DOMAINS.get(type(loss), EVERYWHERE)
    for m in np.concatenate([rng.normal(scale=3.0, size=200), [0.0, 1.0, -1.0]]):
        u = rng.uniform(max(low, -6.0), min(high, 6.0))
        assert value(loss, m, 1.0) + conjugate(loss, u) >= -u * m - 1e-12
        u = -slope(loss, m, 1.0)
        assert value(loss, m, 1.0) + conjugate(loss, u) == pytest.approx(-u * m, abs=1e-11)


@pytest.mark.parametrize("loss", SOLVED)
@pytest.mark.parametrize("c", [1e-7, 0.3, 1e7])
def test_largest_is_the_end_of_the_domain(loss, c):
    top = largest(loss, c)
    if math.isinf(top):
        assert conjugate(loss, 1e12) < math.inf
    else:
        assert conjugate(loss, top / c) < math.inf
        assert conjugate(loss, top * (1 + 1e-9) / c) == math.inf


@pytest.mark.parametrize("loss", SOLVED)
@pytest.mark.parametrize("c", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.97])
@pytest.mark.parametrize("m", [-2.0, 0.4, 5.0])
def test_dual_slope_is_the_derivative(loss, c, share, m):
    a, h = share * c, 1e-6 * c
    rise = m * 2 * h + c * (conjugate(loss, (a + h) / c) - conjugate(loss, (a - h) / c))
    assert dual_slope(loss, a, m, c) == pytest.approx(rise / (2 * h), rel=1e-5, abs=1e-5)


def test_logistic_slope_is_finite_at_both_ends():
    for c in (1e-8, 1.0, 1e8):
        assert -800.0 < dual_slope(Logistic(), 0.0, 0.0, c) < -600.0
        assert 600.0 < dual_slope(Logistic(), c, 0.0, c) < 800.0


def problems():
    """(a, m, q, c) of every scale, then random ones."""
    for c, q in itertools.product((1e-8, 1.0, 1e8), (0.0, 1e-12, 1e-3, 1.0, 1e8)):
        for a, m in itertools.product((0.0, 1e-13, 0.5, 1.0), (-1e4, -1.0, 0.0, 1.0, 1.7, 1e4)):
            yield a * c, m, q, c
    rng = np.random.default_rng(1)
    for _ in range(1000):
        c, q = 10.0 ** rng.uniform(-6, 6, 2)
        yield c * rng.uniform(), rng.normal(scale=5.0), q, c


def best_step(loss, a, m, q, c):
    """The root of q (z − a) + m + (c ℓ*(−z/c))′, found without the code under test."""
    if isinstance(loss, Logistic):  # z = c σ(u) and the slope of the conjugate is u
        room = abs(m) + q * c + 1.0
        return c * expit(brentq(lambda u: q * (c * expit(u) - a) + m + u, -room, room, xtol=1e-14))
    bent = 0.5 / c if isinstance(loss, SquaredHinge) else 0.0
    top = c if isinstance(loss, Hinge) else max(10.0 * a, (q * a + abs(m) + 2.0) / (q + bent))
    slopes = [q * (z - a) + (m - 1.0) + bent * z for z in (0.0, top)]
    if slopes[0] >= 0.0 or slopes[1] <= 0.0:
        # flat all along: where the walk begins is as good as anywhere
        return a if slopes[0] == slopes[1] == 0.0 else (0.0 if slopes[0] >= 0.0 else top)
    tiny = 1e-15 * top
    return brentq(lambda z: q * (z - a) + (m - 1.0) + bent * z, 0.0, top, xtol=tiny, rtol=1e-14)


@pytest.mark.parametrize("loss", SOLVED)
def test_ascend_is_the_root(loss):
    for a, m, q, c in problems():
        expected, z = best_step(loss, a, m, q, c), ascend(loss, a, m, q, c)
        assert 0.0 <= z <= largest(loss, c)
        # a root is known no better than rounding of the slope lets it be
        room = 1e-10 * max(expected, a) + 1e-15 * c
        if isinstance(loss, Hinge) and q > 0.0:
            room += 1e-15 * abs(m - 1.0) / q
        assert abs(z - expected) <= room, (a, m, q, c)


@pytest.mark.parametrize("loss", SOLVED)
def test_ascend_never_worsens_the_dual(loss):
    """½ q (z − a)² + m (z − a) + c ℓ*(−z/c) is no more than at z = a, nor anywhere around z."""
    for a, m, q, c in problems():

        def cost(z, a=a, m=m, q=q, c=c):
            return 0.5 * q * (z - a) ** 2 + m * (z - a) + c * conjugate(loss, min(z / c, 1e300))

        z = ascend(loss, a, m, q, c)
        for other in (a, 0.5 * z, min(1.5 * z, largest(loss, c))):
            terms = 0.5 * q * (other - a) ** 2 + abs(m * (other - a)) + abs(m * (z - a)) + c
            assert cost(z) <= cost(other) + 1e-9 * terms, (a, m, q, c)


@njit(error_model="numpy")
def compiled_conjugates(loss, us):
    found = np.empty(us.size)
    for i in range(us.size):
        found[i] = conjugate(loss, us[i])
    return found


@njit(error_model="numpy")
def compiled_steps(loss, table):
    found = np.empty((3, len(table)))
    for i in range(len(table)):
        a, m, q, c = table[i]
        found[0, i] = ascend(loss, a, m, q, c)
        found[1, i] = dual_slope(loss, a, m, c)
        found[2, i] = largest(loss, c)
    return found


def test_compiled_conjugates_equal_python(loss):
    us = np.array([-5.0, -1.0, -0.1, 0.0, 0.05, 0.1, 0.4, 1.0, 1.0 + 1e-9, 4.0, 4.1])
    plain = [conjugate(loss, u) for u in us]
    np.testing.assert_allclose(compiled_conjugates(loss, us), plain, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("loss", SOLVED)
def test_compiled_steps_equal_python(loss):
    table = list(problems())
    plain = [
        [ascend(loss, *row) for row in table],
        [dual_slope(loss, a, m, c) for a, m, _, c in table],
        [largest(loss, c) for *_, c in table],
    ]
    np.testing.assert_allclose(compiled_steps(loss, np.array(table)), plain, rtol=1e-12, atol=1e-12)
