"""The passes of a dual solver over all rows, cut into ranges for threads.

On one thread a pass is one range, on more the ranges of `Crew.parts`, whose sums are added in a
fixed order: what comes out does not depend on how many threads there are beyond one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.rows import Array, n_nonzeros
from widemargin.data.samples import Samples, take_samples, without_rows
from widemargin.losses import Loss
from widemargin.objective import Objective
from widemargin.objective import combine as combine_rows
from widemargin.objective import conjugate_sums as conjugate_sums_of
from widemargin.solvers import dual_kernels as kernels
from widemargin.threads import Crew, ranges

SUMS = 4  # ranges that add up weights of their own


def scores_and_losses(
    crew: Crew, loss: Loss, samples: Samples, W: Array, b: Array, scores: Array
) -> Array:
    """scores[i, k] = wₖᵀxᵢ; returns Σᵢ sᵢₖ ℓ(scoresᵢₖ + bₖ; yᵢₖ) of each column."""

    def part(start: int, stop: int) -> Array:
        some = take_samples(samples, start, stop)
        return kernels.scores_and_losses(loss, some, W, b, scores[start:stop])

    return crew.added(len(scores), part)


def losses_at(crew: Crew, loss: Loss, samples: Samples, scores: Array, b: Array) -> Array:
    """Σᵢ sᵢₖ ℓ(scoresᵢₖ + bₖ; yᵢₖ) of each column."""

    def part(start: int, stop: int) -> Array:
        some = without_rows(take_samples(samples, start, stop))
        return kernels.losses_at(loss, some, scores[start:stop], b)

    return crew.added(len(scores), part)


def conjugate_sums(crew: Crew, loss: Loss, C: float, samples: Samples, alpha: Array) -> Array:
    """Σᵢ cᵢₖ ℓ*(−αᵢₖ / cᵢₖ) of each column."""
    ones = np.ones(alpha.shape[1])

    def part(start: int, stop: int) -> Array:
        some = without_rows(take_samples(samples, start, stop))
        return conjugate_sums_of(loss, C, some, alpha[start:stop], ones)

    return crew.added(len(alpha), part)


def total_shares(crew: Crew, samples: Samples, columns: int) -> Array:
    """Σᵢ sᵢₖ of each column."""

    def part(start: int, stop: int) -> Array:
        sums: Array = kernels.total_shares(
            without_rows(take_samples(samples, start, stop)), columns
        )
        return sums

    return crew.added(len(samples.codes), part)


def rebalance(crew: Crew, objective: Objective, samples: Samples, state: Any) -> None:
    """Make Σᵢ αᵢₖ yᵢₖ = 0 in every column, in place; the rows that give way are few."""

    def part(start: int, stop: int) -> Array:
        totals = np.zeros((state.b.size, 2, 2))
        some = without_rows(take_samples(samples, start, stop))
        kernels.side_totals(objective, some, state.alpha[start:stop], totals)
        return totals

    kernels.rebalance(objective, samples, state, crew.added(len(state.alpha), part))


def reselect(crew: Crew, objective: Objective, samples: Samples, scores: Array, state: Any) -> None:
    """keep[i]: some live column of row i is free, or at a bound by no more than `slack`."""

    def part(start: int, stop: int) -> None:
        some = without_rows(take_samples(samples, start, stop))
        keep, alpha = state.keep[start:stop], state.alpha[start:stop]
        here = state._replace(keep=keep, alpha=alpha)
        kernels.reselect(objective, some, scores[start:stop], here)

    crew.over(len(scores), part)


def combine(crew: Crew, samples: Samples, alpha: Array, W: Array) -> None:
    """wₖ = Σᵢ αᵢₖ yᵢₖ xᵢ, in place; by ranges where their sums do not outweigh the data."""
    n = len(alpha)
    parts = ranges(n, SUMS) if SUMS * W.size <= n_nonzeros(samples.rows) else [(0, n)]
    if crew.pool is None or len(parts) == 1:
        combine_rows(samples, alpha, W)
        return

    def part(start: int, stop: int) -> Array:
        V = np.empty_like(W)
        combine_rows(take_samples(samples, start, stop), alpha[start:stop], V)
        return V

    first, *others = crew.each(part, parts)
    W[:] = first
    for other in others:
        W += other
