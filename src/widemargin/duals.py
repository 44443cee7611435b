"""The losses seen from the dual: conjugate, slope and exact step in one dual variable.

A sample of weight c in the objective has the dual variable α = c u, and adds −c ℓ*(−u) to the
dual, with

    conjugate(u) = ℓ*(−u) = sup_m { −u m − ℓ(m) },      m = y p the margin.

The dual solver moves one α at a time with the others held:

    ascend = argmin_z  ½ q (z − α)² + m (z − α) + c ℓ*(−z / c),      q = ‖x‖² (+ ρ)
"""

from __future__ import annotations

import math
from typing import Any

from widemargin._jit import compiled_as, jitable
from widemargin.losses import (
    EpsilonInsensitive,
    Hinge,
    Huber,
    Logistic,
    Loss,
    ModifiedHuber,
    PerceptronLoss,
    Rule,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
)

NEWTON_STEPS = 60  # a guard: three to eight are usual

# -- conjugate, as a function of u; +∞ outside its domain ----------------------------------------


def _hinge_conjugate(loss: Any, u: Any) -> Any:
    return -u if 0.0 <= u <= 1.0 else math.inf


def _squared_hinge_conjugate(loss: Any, u: Any) -> Any:
    return 0.25 * u * u - u if u >= 0.0 else math.inf


def _logistic_conjugate(loss: Any, u: Any) -> Any:
    if u < 0.0 or u > 1.0:
        return math.inf
    if u == 0.0 or u == 1.0:
        return 0.0
    return u * math.log(u) + (1.0 - u) * math.log1p(-u)


def _perceptron_conjugate(loss: Any, u: Any) -> Any:
    return 0.0 if 0.0 <= u <= 1.0 else math.inf


def _modified_huber_conjugate(loss: Any, u: Any) -> Any:
    return 0.25 * u * u - u if 0.0 <= u <= 4.0 else math.inf


def _squared_error_conjugate(loss: Any, u: Any) -> Any:
    return 0.5 * u * u - u


def _huber_conjugate(loss: Any, u: Any) -> Any:
    return 0.5 * u * u - u if abs(u) <= loss.epsilon * (1.0 + 1e-14) else math.inf


def _epsilon_insensitive_conjugate(loss: Any, u: Any) -> Any:
    return loss.epsilon * abs(u) - u if abs(u) <= 1.0 else math.inf


def _squared_epsilon_insensitive_conjugate(loss: Any, u: Any) -> Any:
    return loss.epsilon * abs(u) - u + 0.25 * u * u


# -- slope of the subproblem at z = α, largest α, and the exact step ------------------------------


def _hinge_dual_slope(loss: Any, a: Any, m: Any, c: Any) -> Any:
    return m - 1.0


def _hinge_largest(loss: Any, c: Any) -> Any:
    return c


def _hinge_ascend(loss: Any, a: Any, m: Any, q: Any, c: Any) -> Any:
    return min(max(a - (m - 1.0) / max(q, 1e-300), 0.0), c)


def _squared_hinge_dual_slope(loss: Any, a: Any, m: Any, c: Any) -> Any:
    return m - 1.0 + 0.5 * a / c


def _squared_hinge_largest(loss: Any, c: Any) -> Any:
    return math.inf


def _squared_hinge_ascend(loss: Any, a: Any, m: Any, q: Any, c: Any) -> Any:
    return max(a - (m - 1.0 + 0.5 * a / c) / (q + 0.5 / c), 0.0)


def _logistic_dual_slope(loss: Any, a: Any, m: Any, c: Any) -> Any:
    return m + math.log(max(a, 1e-300) / max(c - a, 1e-300))  # finite at both ends


def _logistic_largest(loss: Any, c: Any) -> Any:
    return c


@jitable
def _sigmoid(u: float) -> float:
    e = math.exp(-abs(u))  # never overflows
    return 1.0 / (1.0 + e) if u >= 0.0 else e / (1.0 + e)


def _logistic_ascend(loss: Any, a: Any, m: Any, q: Any, c: Any) -> Any:
    # Newton in u = log(z / (c − z)) on q (z − a) + m + u = 0, kept inside a bracket of the root;
    # the bracket is halved where a step leaves it or is not half the one before
    low, high = -m - q * (c - a), -m + q * a
    u, before = min(max(-m, low), high), high - low
    for _ in range(NEWTON_STEPS):
        z = c * _sigmoid(u)
        miss = q * (z - a) + m + u
        low, high = (low, u) if miss > 0.0 else (u, high)
        step = miss / (1.0 + q * z * (1.0 - z / c))
        if abs(step) <= 1e-14 * (1.0 + abs(u)):
            break
        good = low < u - step < high and abs(step) <= 0.5 * abs(before)
        before = step if good else 0.5 * (high - low)
        u = u - step if good else 0.5 * (low + high)
    return z


CONJUGATES: dict[type[Any], Rule] = {
    Hinge: _hinge_conjugate,
    SquaredHinge: _squared_hinge_conjugate,
    Logistic: _logistic_conjugate,
    PerceptronLoss: _perceptron_conjugate,
    ModifiedHuber: _modified_huber_conjugate,
    SquaredError: _squared_error_conjugate,
    Huber: _huber_conjugate,
    EpsilonInsensitive: _epsilon_insensitive_conjugate,
    SquaredEpsilonInsensitive: _squared_epsilon_insensitive_conjugate,
}


DUAL_SLOPES: dict[type[Any], Rule] = {
    Hinge: _hinge_dual_slope,
    SquaredHinge: _squared_hinge_dual_slope,
    Logistic: _logistic_dual_slope,
}
LARGEST: dict[type[Any], Rule] = {
    Hinge: _hinge_largest,
    SquaredHinge: _squared_hinge_largest,
    Logistic: _logistic_largest,
}
ASCENDS: dict[type[Any], Rule] = {
    Hinge: _hinge_ascend,
    SquaredHinge: _squared_hinge_ascend,
    Logistic: _logistic_ascend,
}


def conjugate(loss: Loss, u: float) -> float:
    """ℓ*(−u) = sup_m { −u m − ℓ(m) }; +∞ outside its domain."""
    return float(CONJUGATES[type(loss)](loss, u))


def dual_slope(loss: Loss, a: float, m: float, c: float) -> float:
    """The derivative of m z + c ℓ*(−z / c) at z = a: negative where α wants to grow."""
    return float(DUAL_SLOPES[type(loss)](loss, a, m, c))


def largest(loss: Loss, c: float) -> float:
    """The largest α of a sample of weight c; the smallest is 0."""
    return float(LARGEST[type(loss)](loss, c))


def ascend(loss: Loss, a: float, m: float, q: float, c: float) -> float:
    """argmin_z ½ q (z − a)² + m (z − a) + c ℓ*(−z / c), 0 ≤ z ≤ largest."""
    return float(ASCENDS[type(loss)](loss, a, m, q, c))


@compiled_as(conjugate)
def _conjugate(loss: Any, u: Any) -> Any:
    return CONJUGATES.get(getattr(loss, "instance_class", type(None)))


@compiled_as(dual_slope)
def _dual_slope(loss: Any, a: Any, m: Any, c: Any) -> Any:
    return DUAL_SLOPES.get(getattr(loss, "instance_class", type(None)))


@compiled_as(largest)
def _largest(loss: Any, c: Any) -> Any:
    return LARGEST.get(getattr(loss, "instance_class", type(None)))


@compiled_as(ascend)
def _ascend(loss: Any, a: Any, m: Any, q: Any, c: Any) -> Any:
    return ASCENDS.get(getattr(loss, "instance_class", type(None)))
