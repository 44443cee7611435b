"""Losses ℓ(p; y) of a score p and a sign y ∈ {−1, +1}: value and slope.

Each loss is a NamedTuple of its parameters; `value` and `slope` run as plain Python and compile
inside kernels, chosen by the type of the loss. One argument order, (p, y), and one sign, +ℓ′,
everywhere. Conjugates and steps in the dual are in `duals.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from widemargin._jit import compiled_as


class Hinge(NamedTuple):
    """ℓ(p; y) = max(0, 1 − y p)."""


class SquaredHinge(NamedTuple):
    """ℓ(p; y) = max(0, 1 − y p)²."""


class Logistic(NamedTuple):
    """ℓ(p; y) = log(1 + exp(−y p))."""


class PerceptronLoss(NamedTuple):
    """ℓ(p; y) = max(0, −y p)."""


class ModifiedHuber(NamedTuple):
    """ℓ(p; y) = max(0, 1 − y p)² where y p ≥ −1, −4 y p below (Zhang, 2004)."""


class SquaredError(NamedTuple):
    """ℓ(p; y) = ½ (p − y)²."""


class Huber(NamedTuple):
    """ℓ(p; y) = ½ r² where |r| ≤ ε, ε |r| − ½ ε² beyond; r = p − y."""

    epsilon: float = 0.1


class EpsilonInsensitive(NamedTuple):
    """ℓ(p; y) = max(0, |p − y| − ε)."""

    epsilon: float = 0.1


class SquaredEpsilonInsensitive(NamedTuple):
    """ℓ(p; y) = max(0, |p − y| − ε)²."""

    epsilon: float = 0.1


Loss: TypeAlias = (
    Hinge
    | SquaredHinge
    | Logistic
    | PerceptronLoss
    | ModifiedHuber
    | SquaredError
    | Huber
    | EpsilonInsensitive
    | SquaredEpsilonInsensitive
)
Rule: TypeAlias = Callable[..., Any]

LOSSES: dict[str, type[Any]] = {
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "log_loss": Logistic,
    "perceptron": PerceptronLoss,
    "modified_huber": ModifiedHuber,
    "squared_error": SquaredError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
}


# -- value -------------------------------------------------------------------------------------


def _hinge_value(loss: Any, p: Any, y: Any) -> Any:
    return max(0.0, 1.0 - y * p)


def _squared_hinge_value(loss: Any, p: Any, y: Any) -> Any:
    z = max(0.0, 1.0 - y * p)
    return z * z


def _logistic_value(loss: Any, p: Any, y: Any) -> Any:
    m = y * p
    return math.log1p(math.exp(-abs(m))) + max(0.0, -m)  # never overflows


def _perceptron_value(loss: Any, p: Any, y: Any) -> Any:
    return max(0.0, -y * p)


def _modified_huber_value(loss: Any, p: Any, y: Any) -> Any:
    m = y * p
    z = max(0.0, 1.0 - m)
    return z * z if m >= -1.0 else -4.0 * m


def _squared_error_value(loss: Any, p: Any, y: Any) -> Any:
    return 0.5 * (p - y) * (p - y)


def _huber_value(loss: Any, p: Any, y: Any) -> Any:
    r, eps = abs(p - y), loss.epsilon
    return 0.5 * r * r if r <= eps else eps * r - 0.5 * eps * eps


def _epsilon_insensitive_value(loss: Any, p: Any, y: Any) -> Any:
    return max(0.0, abs(p - y) - loss.epsilon)


def _squared_epsilon_insensitive_value(loss: Any, p: Any, y: Any) -> Any:
    z = max(0.0, abs(p - y) - loss.epsilon)
    return z * z


# -- slope: the derivative in p, or one subgradient at a kink ------------------------------------


def _hinge_slope(loss: Any, p: Any, y: Any) -> Any:
    return -y if y * p < 1.0 else 0.0


def _squared_hinge_slope(loss: Any, p: Any, y: Any) -> Any:
    return -2.0 * y * max(0.0, 1.0 - y * p)


def _logistic_slope(loss: Any, p: Any, y: Any) -> Any:
    e = math.exp(-abs(y * p))
    return -y * (e if y * p > 0.0 else 1.0) / (1.0 + e)


def _perceptron_slope(loss: Any, p: Any, y: Any) -> Any:
    return -y if y * p <= 0.0 else 0.0  # a score of zero is a mistake: else w = 0 never moves


def _modified_huber_slope(loss: Any, p: Any, y: Any) -> Any:
    m = y * p
    return -2.0 * y * max(0.0, 1.0 - m) if m >= -1.0 else -4.0 * y


def _squared_error_slope(loss: Any, p: Any, y: Any) -> Any:
    return p - y


def _huber_slope(loss: Any, p: Any, y: Any) -> Any:
    return min(max(p - y, -loss.epsilon), loss.epsilon)


def _epsilon_insensitive_slope(loss: Any, p: Any, y: Any) -> Any:
    r = p - y
    return 0.0 if abs(r) <= loss.epsilon else math.copysign(1.0, r)


def _squared_epsilon_insensitive_slope(loss: Any, p: Any, y: Any) -> Any:
    r = p - y
    return math.copysign(2.0 * max(0.0, abs(r) - loss.epsilon), r)


VALUES: dict[type[Any], Rule] = {
    Hinge: _hinge_value,
    SquaredHinge: _squared_hinge_value,
    Logistic: _logistic_value,
    PerceptronLoss: _perceptron_value,
    ModifiedHuber: _modified_huber_value,
    SquaredError: _squared_error_value,
    Huber: _huber_value,
    EpsilonInsensitive: _epsilon_insensitive_value,
    SquaredEpsilonInsensitive: _squared_epsilon_insensitive_value,
}
SLOPES: dict[type[Any], Rule] = {
    Hinge: _hinge_slope,
    SquaredHinge: _squared_hinge_slope,
    Logistic: _logistic_slope,
    PerceptronLoss: _perceptron_slope,
    ModifiedHuber: _modified_huber_slope,
    SquaredError: _squared_error_slope,
    Huber: _huber_slope,
    EpsilonInsensitive: _epsilon_insensitive_slope,
    SquaredEpsilonInsensitive: _squared_epsilon_insensitive_slope,
}


def value(loss: Loss, p: float, y: float) -> float:
    """ℓ(p; y)."""
    return float(VALUES[type(loss)](loss, p, y))


def slope(loss: Loss, p: float, y: float) -> float:
    """ℓ′(p; y): the derivative in p, or one subgradient at a kink."""
    return float(SLOPES[type(loss)](loss, p, y))


@compiled_as(value)
def _value(loss: Any, p: Any, y: Any) -> Any:
    return VALUES.get(getattr(loss, "instance_class", type(None)))


@compiled_as(slope)
def _slope(loss: Any, p: Any, y: Any) -> Any:
    return SLOPES.get(getattr(loss, "instance_class", type(None)))
