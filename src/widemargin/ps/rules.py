"""What the servers of a run do with every gradient, as plain data."""

from __future__ import annotations

import math
from typing import NamedTuple

from widemargin.ps.optimizers import Optimizer, refuse_optimizer, shrinking
from widemargin.schedules import RATES, Schedule, rate


class Rule(NamedTuple):
    """θ ← (1 − ηₜ λ) θ, then a step of the optimizer with the rate ηₜ, t commits being applied.

    The keys from `free_from` on, those of the intercept, do not shrink, neither by λ nor by a
    weight decay, and step with `free_share` ηₜ.

    Of the updates of one commit the servers take the mean, or, with `adding` = σ, the sum: each
    counts in full while they are σ at most, else σ / N, so that N of them never weigh more than σ.
    """

    optimizer: Optimizer
    schedule: Schedule
    lam: float = 0.0
    free_from: int | None = None  # counted over all shards; None: no key is free
    free_share: float = 1.0
    decay: float | None = None  # α of the average θ̄ ← α θ̄ + (1 − α) θ; None: none is kept
    adding: float | None = None  # σ ≥ 1: updates are added; None: averaged


def refuse_rule(rule: Rule) -> None:
    """ValueError or TypeError for a rule that no server can follow."""
    refuse_optimizer(rule.optimizer)
    if type(rule.schedule) not in RATES:
        names = ", ".join(kind.__name__ for kind in RATES)
        raise TypeError(f"schedule={rule.schedule!r} is none. Give one of: {names}.")
    eta0, lam = rate(rule.schedule, 0), rule.lam + shrinking(rule.optimizer)
    for name, value in [("eta0", eta0), ("lam", rule.lam), ("free_share", rule.free_share)]:
        if not (0.0 <= value < math.inf):
            raise ValueError(f"{name} must be finite and at least 0, got {value!r}. Change it.")
    if lam * eta0 >= 1.0:
        raise ValueError(
            f"lam * eta0 must be below 1, got {lam:g} * {eta0:g} = {lam * eta0:g}: the first step "
            f"would flip the sign of the weights. Lower eta0 below {1.0 / lam:g}."
        )
    if rule.decay is not None and not (0.0 <= rule.decay < 1.0):
        raise ValueError(
            f"decay must be None or at least 0 and below 1, got {rule.decay!r}. "
            "Give the share that the average keeps, such as 0.999."
        )
    if rule.adding is not None and not (1.0 <= rule.adding < math.inf):
        raise ValueError(
            f"adding must be None or finite and at least 1, got {rule.adding!r}: a single update "
            "counts in full. Give the number of updates that may be added."
        )
    if rule.free_from is not None and rule.free_from < 0:
        raise ValueError(
            f"free_from must be None or a key of at least 0, got {rule.free_from!r}. Change it."
        )
