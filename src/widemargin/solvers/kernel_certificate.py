"""What a dual solution proves: the primal value with the best intercept, the dual value, the gap.

With Fᵢ = Σⱼ αⱼ yⱼ K(xⱼ, xᵢ), vᵢ = yᵢ − Fᵢ and ‖w‖² = Σᵢ αᵢ yᵢ Fᵢ:

    soft margin   f = ½‖w‖² + Σ cᵢ max(0, 1 − yᵢ(Fᵢ + b)),   D = Σ αᵢ − ½‖w‖²
    hard margin   f = ½‖w‖²/s²,  s = ½ (min Fᵢ over y = 1 − max Fᵢ over y = −1),
                  D = (Σ αᵢ)² / (2‖w‖²), the best along the ray through α

In the hard margin w/s separates with a margin of at least 1 exactly, so f is attained; where
s ≤ 0 nothing is separated yet, and f = ∞.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.objective import Certificate, certificate_of


class Look(NamedTuple):
    """The certificate, the intercept, how far the pair rule is from done, ‖w‖², and s."""

    certificate: Certificate
    b: float
    violation: float
    squared_norm: float
    margin: float


def movable(y: Array, alpha: Array, upper: Array) -> tuple[Array, Array]:
    """Where yᵢαᵢ may rise, and where it may fall."""
    above, below = alpha > 0.0, alpha < upper
    return np.where(y > 0.0, below, above), np.where(y > 0.0, above, below)


def look_at(y: Array, alpha: Array, upper: Array, v: Array) -> Look:
    F = y - v
    norm = float(alpha * y @ F)
    rises, falls = movable(y, alpha, upper)
    top, low = v[rises].max(initial=-np.inf), v[falls].min(initial=np.inf)
    violation = float(max(top - low, 0.0))
    if np.isinf(upper).all():
        return _hard(y, alpha, F, norm, violation)
    b = best_intercept(y, upper, v, _free_intercept(v, rises, falls, top, low))
    losses = float(upper @ np.maximum(0.0, 1.0 - y * (F + b)))
    proof = certificate_of(0.5 * norm + losses, float(alpha.sum()) - 0.5 * norm)
    return Look(proof, b, violation, norm, 1.0)


def _hard(y: Array, alpha: Array, F: Array, norm: float, violation: float) -> Look:
    lowest, highest = float(F[y > 0.0].min()), float(F[y < 0.0].max())
    s, total = 0.5 * (lowest - highest), float(alpha.sum())
    primal = 0.5 * norm / (s * s) if s > 0.0 else np.inf
    dual = total * total / (2.0 * norm) if norm > 0.0 else 0.0
    proof = certificate_of(primal, dual) if s > 0.0 else Certificate(primal, dual, np.inf, np.inf)
    return Look(proof, -0.5 * (lowest + highest), violation, norm, s)


def _free_intercept(v: Array, rises: Array, falls: Array, top: float, low: float) -> float:
    """The mean of v over the free α, else the middle of what the bounds allow."""
    free = rises & falls
    return float(v[free].mean()) if free.any() else 0.5 * (top + low)


def best_intercept(y: Array, upper: Array, v: Array, wish: float) -> float:
    """The b nearest to `wish` that minimises Σ cᵢ max(0, 1 − yᵢ(Fᵢ + b)).

    Its slope in b starts at −Σ cᵢ over y = 1 and rises by cᵢ at each kink b = vᵢ.
    """
    order = np.argsort(v, kind="stable")
    slope = np.cumsum(upper[order]) - float(upper[y > 0.0].sum())
    nothing = 1e-12 * float(upper.sum())
    first = int(np.searchsorted(slope, -nothing))
    last = int(np.searchsorted(slope, nothing, side="right"))
    kinks = v[order]
    low, high = kinks[min(first, len(v) - 1)], kinks[min(last, len(v) - 1)]
    return float(min(max(wish, low), high))
