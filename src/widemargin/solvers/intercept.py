"""The best intercept for given scores: a convex problem in one number per column.

    min_b  Σᵢ cᵢ ℓ(pᵢ + b; yᵢ)

The slope in b is monotone, so a bracket around its zero is halved; |slope| times the width of
the bracket bounds what is left to win.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array
from widemargin.data.samples import Samples, share, sign, take_samples, without_rows
from widemargin.losses import slope
from widemargin.objective import Objective
from widemargin.threads import ALONE, Crew

HALVINGS = 100  # enough to exhaust float64 from any bracket


@kernel
def slope_sums(loss: Any, C: float, samples: Any, scores: Array, b: Array) -> Array:
    """Σᵢ cᵢₖ ℓ′(scoresᵢₖ + bₖ; yᵢₖ) of each column."""
    sums = np.zeros(b.size)
    for i in range(scores.shape[0]):
        for k in range(b.size):
            y = sign(samples, i, k)
            sums[k] += C * share(samples, i, k) * slope(loss, scores[i, k] + b[k], y)
    return sums


def best_intercept(
    objective: Objective,
    samples: Samples,
    scores: Array,
    b: Array,
    eps: Array,
    crew: Crew = ALONE,
) -> Array:
    """b of each column, at most eps above the least value that any intercept reaches."""

    return where_level(lambda at: all_slopes(objective, samples, scores, at, crew), b, eps)


def all_slopes(
    objective: Objective, samples: Samples, scores: Array, b: Array, crew: Crew
) -> Array:
    """`slope_sums` on the threads of a crew."""

    def part(start: int, stop: int) -> Array:
        some = without_rows(take_samples(samples, start, stop))
        sums: Array = slope_sums(objective.loss, objective.C, some, scores[start:stop], b)
        return sums

    return crew.added(len(scores), part)


def where_level(slopes: Any, b: Array, eps: Array) -> Array:
    """`best_intercept` from the slopes, a function of the intercepts."""
    low, high = bracket(slopes, b)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        rising = slopes(middle)
        low, high = np.where(rising > 0.0, low, middle), np.where(rising > 0.0, middle, high)
        if (np.abs(rising) * (high - low) <= eps).all():
            break  # what is left to win is bounded at `middle`, and nowhere else
    return middle


def bracket(slopes: Any, b: Array) -> tuple[Array, Array]:
    """low ≤ high of each column with slope ≤ 0 at low and slope > 0 at high, near b.

    Where the slope never changes sign (a column with one side only) the bracket stays at b.
    """
    first = slopes(b)
    direction = np.where(first > 0.0, -1.0, 1.0)
    near, far, width = b.copy(), b.copy(), 1e-3
    open_ = np.ones(b.size, bool)
    for _ in range(40):
        far = np.where(open_, b + direction * width, far)
        crossed = (slopes(far) > 0.0) != (first > 0.0)
        near = np.where(open_ & ~crossed, far, near)
        open_ &= ~crossed
        if not open_.any():
            break
        width *= 4.0
    near, far = np.where(open_, b, near), np.where(open_, b, far)
    return np.minimum(near, far), np.maximum(near, far)
