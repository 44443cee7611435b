"""How long a simulated gradient takes."""

from __future__ import annotations

import math
import random
from typing import NamedTuple


class Pace(NamedTuple):
    """t = mean · exp(spread Z) · (1 + P) · least / 2, at most `longest`, Z normal.

    All but a share `tail` of the gradients lack the last two factors; P ≥ 1 follows Pareto's law
    Pr(P > x) = x^(−alpha): rare and without a natural length, as the stragglers of Chen et
    al., Revisiting distributed synchronous SGD, 2016. Constant: spread = tail = 0; lognormal:
    tail = 0.
    """

    mean: float = 0.1
    spread: float = 0.0
    tail: float = 0.0
    alpha: float = 1.5
    longest: float = math.inf
    least: float = 2.0  # times longer the shortest straggler is


def drawn(pace: Pace, rng: random.Random, times: float = 1.0) -> float:
    """Seconds of one gradient, of a worker that is so many times slower."""
    seconds = pace.mean * times
    if pace.spread:
        seconds *= math.exp(rng.gauss(0.0, pace.spread))
    if pace.tail and rng.random() < pace.tail:
        seconds *= (1.0 + rng.paretovariate(pace.alpha)) * (pace.least / 2.0)
    return min(seconds, pace.longest)
