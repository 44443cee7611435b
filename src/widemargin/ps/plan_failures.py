"""What failures cost a run of hours, and how often it should take a snapshot.

When all replicas of a range are lost, work goes back to the last snapshot. At a rate λ of such
losses, each with D seconds until work goes on, P seconds of work and a snapshot that holds it up
for C take, by Daly (A higher order estimate of the optimum checkpoint interval for restart dumps,
2006, equation 13, failures during recovery left out),

    T(P) = (1/λ + D) (exp(λ (P + C)) − 1)

on average, and T(P) / P is least near Young's P = √(2 C / λ) (A first order approximation to the
optimum checkpoint interval, 1974).
"""

from __future__ import annotations

import math
from typing import NamedTuple

LONGEST = 1e8  # seconds: no snapshot at all
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
STEPS = 90  # of the search: the width of 1e-3 … 1e8 shrinks to 1e-17 of it


class Failures(NamedTuple):
    """How often processes die, and how many seconds until their work goes on."""

    mtbf: float = math.inf  # of one process
    worker: float = 3.0
    server: float = 3.0
    coordinator: float = 3.0
    snapshot: float = 0.0  # work stands still for so long while the whole model is copied


def losses(failures: Failures, servers: int, replicas: int) -> float:
    """How often a second all replicas of some range are dead at the same time.

    One dies; before it is back, the others do, in any order.
    """
    once = failures.server / failures.mtbf
    return servers * math.factorial(replicas) / failures.mtbf * once ** (replicas - 1)


def stretch(period: float, stall: float, rate: float, recovery: float) -> float:
    """T(P) / P: seconds for a second of work."""
    if rate == 0.0:
        return 1.0 + stall / period
    exponent = rate * (period + stall)
    return math.inf if exponent > 700.0 else (1.0 / rate + recovery) * math.expm1(exponent) / period


def best_period(stall: float, rate: float, recovery: float, least: float) -> float:
    """The P of at least `least` seconds with the smallest T(P) / P; infinite without losses.

    >>> round(best_period(1.0, 1e-4, 0.0, 1e-3)), round(young(1.0, 1e-4))
    (141, 141)
    """
    if rate == 0.0:
        return math.inf
    low, high = math.log(least), math.log(max(LONGEST, 2.0 * least))
    for _ in range(STEPS):  # the ratio falls, then rises
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if stretch(math.exp(a), stall, rate, recovery) <= stretch(
            math.exp(b), stall, rate, recovery
        ):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2.0)


def young(stall: float, rate: float) -> float:
    """√(2 C / λ)."""
    return math.sqrt(2.0 * stall / rate) if rate else math.inf
