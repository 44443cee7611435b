"""How long the gradients of a planned run take: a law, that of published measurements, or measured.

PUBLISHED is shaped after figures 3 and 4 of Chen et al., Revisiting distributed synchronous SGD,
2016, of 100 workers that wait for all: most gradients come after 1.4 to 1.8 s, 80 % of the 98th
but only 30 % of the 100th in under 2 s, and the last one seen took 310 s. If workers are alike, a
share p is later than 2 s with (1 − p)¹⁰⁰ = 0.3 for the last and, nearly, Pr(Poisson(100 p) ≤ 2) =
0.8 for the 98th: p = 0.012 and 0.0154; between them p = 0.0135. Stragglers begin at 2 s. That of
some 10⁴ of them the longest takes 310 s makes alpha about 1.5. The rest lie between 1.4 and 1.8 s,
some 4.3 standard deviations of the logarithm apart.
"""

from __future__ import annotations

import random
from typing import NamedTuple, TypeAlias

from widemargin.ps.simulate_pace import Pace, drawn

PUBLISHED = Pace(mean=1.58, spread=0.058, tail=0.0135, alpha=1.5, longest=310.0, least=1.266)


class Measured(NamedTuple):
    """Durations that a run had, for each of its workers; of more workers, the same again."""

    seconds: tuple[tuple[float, ...], ...]


Gradients: TypeAlias = Pace | Measured


class Laws(NamedTuple):
    """What `law` makes of the mean, by name."""

    spread: float
    tail: float
    longest: float  # times the mean


LAWS = {
    "constant": Laws(0.0, 0.0, 1.0),
    "lognormal": Laws(0.2, 0.0, 10.0),
    "published": Laws(PUBLISHED.spread, PUBLISHED.tail, PUBLISHED.longest / PUBLISHED.mean),
    "heavy": Laws(PUBLISHED.spread, 0.05, PUBLISHED.longest / PUBLISHED.mean),
}


def law(name: str, seconds: float) -> Pace:
    """The law of this name, of gradients that take so long but for stragglers.

    >>> law("constant", 0.3)
    Pace(mean=0.3, spread=0.0, tail=0.0, alpha=1.5, longest=0.3, least=1.266)
    """
    spread, tail, longest = LAWS[name]
    return Pace(seconds, spread, tail, PUBLISHED.alpha, seconds * longest, PUBLISHED.least)


def draw(pace: Gradients, worker: int, slower: float, rng: random.Random) -> float:
    """Seconds of a worker's next gradient."""
    if isinstance(pace, Pace):
        return drawn(pace, rng, slower)
    return slower * rng.choice(pace.seconds[worker % len(pace.seconds)])


def mean(pace: Gradients, draws: int = 4000) -> float:
    """The mean duration, drawn with a seed of its own."""
    if isinstance(pace, Measured):
        return sum(map(sum, pace.seconds)) / sum(map(len, pace.seconds))
    rng = random.Random(0)
    return sum(drawn(pace, rng) for _ in range(draws)) / draws
