"""Learning rates: how long step t is, t = 0, 1, 2, … counting the updates already made.

Optimal      ηₜ = η₀ / (1 + λ η₀ t)           Bottou, Large-scale machine learning with SGD, 2010
Averaged     ηₜ = η₀ / (1 + λ η₀ t)^¾         Xu, Towards optimal one pass learning, 2011
Constant     ηₜ = η₀
InvScaling   ηₜ = η₀ / (t + 1)^power
PA1          ηₜ = a,  ℓ′ → −y min(1, ℓ / (a ‖x‖²))     Crammer et al., Online passive-aggressive
PA2          ηₜ = a,  ℓ′ → −y ℓ / (a ‖x‖² + ½)         algorithms, JMLR 7, 2006

A step is w ← (1 − ηₜ λ) w − ηₜ sᵢ `pull` xᵢ: `rate` is ηₜ, and `pull` is ℓ′(p; y), except for
the passive-aggressive schedules, whose step is as long as the sample's own loss asks, up to the
aggressiveness a. An adaptive rate is a `Constant` that the runner makes `slower` when the
objective stalls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from widemargin._jit import compiled_as
from widemargin.data.rows import row, squared_norm
from widemargin.losses import Loss, slope, value


class Optimal(NamedTuple):
    """ηₜ = η₀ / (1 + λ η₀ t): the optimal rate for a λ-strongly convex objective."""

    eta0: float
    lam: float


class Averaged(NamedTuple):
    """ηₜ = η₀ / (1 + λ η₀ t)^¾: slower to fall, for weights that are averaged."""

    eta0: float
    lam: float


class Constant(NamedTuple):
    """ηₜ = η₀."""

    eta0: float


class InvScaling(NamedTuple):
    """ηₜ = η₀ / (t + 1)^power."""

    eta0: float
    power: float = 0.5


class PA1(NamedTuple):
    """The step ηₜ pull = min(a, ℓ / ‖x‖²); eta0 is the aggressiveness a, the longest step."""

    eta0: float


class PA2(NamedTuple):
    """The step ηₜ pull = ℓ / (‖x‖² + 1 / (2a)); eta0 is the aggressiveness a."""

    eta0: float


Schedule: TypeAlias = Optimal | Averaged | Constant | InvScaling | PA1 | PA2
Rule: TypeAlias = Callable[..., Any]
SLOWER = 5.0  # what an adaptive rate is divided by


def slower(schedule: Constant) -> Constant:
    """The next rate of an adaptive schedule."""
    return Constant(schedule.eta0 / SLOWER)


def _optimal_rate(schedule: Any, t: Any) -> Any:
    return schedule.eta0 / (1.0 + schedule.lam * schedule.eta0 * t)


def _averaged_rate(schedule: Any, t: Any) -> Any:
    root = math.sqrt(1.0 + schedule.lam * schedule.eta0 * t)
    return schedule.eta0 / (root * math.sqrt(root))  # pow would cost as much as a short row


def _constant_rate(schedule: Any, t: Any) -> Any:
    return schedule.eta0


def _invscaling_rate(schedule: Any, t: Any) -> Any:
    return schedule.eta0 / (t + 1.0) ** schedule.power


def _slope_pull(schedule: Any, loss: Any, rows: Any, i: Any, p: Any, y: Any) -> Any:
    return slope(loss, p, y)


def _pa1_pull(schedule: Any, loss: Any, rows: Any, i: Any, p: Any, y: Any) -> Any:
    q = schedule.eta0 * squared_norm(row(rows, i))
    return -y * min(1.0, value(loss, p, y) / q) if q > 0.0 else 0.0


def _pa2_pull(schedule: Any, loss: Any, rows: Any, i: Any, p: Any, y: Any) -> Any:
    return -y * value(loss, p, y) / (schedule.eta0 * squared_norm(row(rows, i)) + 0.5)


RATES: dict[type[Any], Rule] = {
    Optimal: _optimal_rate,
    Averaged: _averaged_rate,
    Constant: _constant_rate,
    InvScaling: _invscaling_rate,
    PA1: _constant_rate,
    PA2: _constant_rate,
}
PULLS: dict[type[Any], Rule] = {
    Optimal: _slope_pull,
    Averaged: _slope_pull,
    Constant: _slope_pull,
    InvScaling: _slope_pull,
    PA1: _pa1_pull,
    PA2: _pa2_pull,
}


def rate(schedule: Schedule, t: int) -> float:
    """ηₜ."""
    return float(RATES[type(schedule)](schedule, t))


def pull(schedule: Schedule, loss: Loss, rows: Any, i: int, p: float, y: float) -> float:
    """What stands for ℓ′(p; y) in a step at row i, of score p and sign y."""
    return float(PULLS[type(schedule)](schedule, loss, rows, i, p, y))


@compiled_as(rate)
def _rate(schedule: Any, t: Any) -> Any:
    return RATES.get(getattr(schedule, "instance_class", type(None)))


@compiled_as(pull)
def _pull(schedule: Any, loss: Any, rows: Any, i: Any, p: Any, y: Any) -> Any:
    return PULLS.get(getattr(schedule, "instance_class", type(None)))
