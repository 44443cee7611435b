"""Eight dual problems over one data set in one walk: the folds of a cross-validation along C.

Dual coordinate descent of `dual.py` on columns in lanes (`data/lanes.py`). What differs is how a
value of C starts and how it is looked at:

    α ← √(C / C₀) α     from the solution at the C₀ before, which keeps Σ αᵢ yᵢ = 0 and the box.

Between "α ∝ C", true where all samples are inside the margin, and "α stands still", true where
none is at its bound, the geometric mean was the best start of all that were tried at every
tolerance: docs/decisions/0009.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from widemargin.data.folds import Folds
from widemargin.data.lanes import WIDTH, lane_weights
from widemargin.data.rows import Array, n_features, n_rows
from widemargin.data.samples import Samples, without_rows
from widemargin.objective import Objective, combine, conjugate_sums
from widemargin.solvers.dual import (
    CLIMB_AFTER,
    DRIFT_TOL,
    NOTHING,
    RHO,
    DualState,
    mean_squared_norm,
)
from widemargin.solvers.dual_kernels import (
    losses_at,
    rebalance,
    reselect,
    scores_and_losses,
    side_totals,
    total_shares,
)
from widemargin.solvers.free_set import climb, has_faces
from widemargin.solvers.intercept import slope_sums

MARGIN = 2.0  # how far b may still have to go, in margins, for its slope to matter
EXACT_B = 0.2  # of the tolerance: what b may cost
LOOKS = 40  # halvings of the bracket of b


def first_state(objective: Objective, samples: Samples, folds: Folds, used: int) -> DualState:
    """Zero weights for `used` of eight columns; the rest is not live and never will be."""
    n = n_rows(folds.rows)
    return DualState(
        W=lane_weights(n_features(folds.rows)),
        b=np.zeros(WIDTH),
        alpha=np.zeros((n, WIDTH)),
        delta=np.zeros(WIDTH),
        keep=np.ones(n, np.bool_),
        live=np.arange(WIDTH) < used,
        rho=RHO * mean_squared_norm(samples) if objective.fit_intercept else 0.0,
        scale=1.0,
        slack=math.inf,
        gain=math.inf,
        floor=NOTHING * objective.C * total_shares(without_rows(folds), WIDTH),
        epochs=0,
        visited=0,
    )


def at_next_C(
    objective: Objective, folds: Folds, ratio: float, used: int, state: DualState, scores: Array
) -> DualState:
    """The state to start from at `ratio` ≥ 1 times the C before; α, W, δ and scores in place."""
    grown = math.sqrt(ratio)
    for array in (state.alpha, state.W, state.delta, scores):
        array *= grown
    state.live[:] = np.arange(WIDTH) < used
    floor = state.floor * ratio
    state = state._replace(gain=1.0, scale=1.0, floor=floor, epochs=0, visited=0)
    reselect(objective, without_rows(folds), scores, state)
    return state


def look(
    objective: Objective, folds: Folds, tol: float, state: DualState, scores: Array
) -> tuple[Array, Array]:
    """(primal, dual) of the eight columns; fills scores (n, 8), sets b, `live` and `keep`.

    One pass over the data gives the certificates and the scores of the rows held out alike. What
    is not solved after many epochs goes on along the faces of its box: see `free_set.py`.
    """
    if objective.fit_intercept:
        totals = np.zeros((WIDTH, 2, 2))
        side_totals(objective, without_rows(folds), state.alpha, totals)
        rebalance(objective, folds, state, totals)
    if tol < DRIFT_TOL:
        combine(folds, state.alpha, state.W)
    upper, lower = bounds(objective, folds, tol, state, scores)
    if state.live.any() and state.epochs >= CLIMB_AFTER and has_faces(objective):
        for k in map(int, np.flatnonzero(state.live)):
            climb(objective, folds, state, k, state.visited // 2)  # type: ignore[arg-type]
        upper, lower = bounds(objective, folds, tol, state, scores)
    if state.live.any():
        reselect(objective, without_rows(folds), scores, state)
    return upper, lower


def bounds(
    objective: Objective, folds: Folds, tol: float, state: DualState, scores: Array
) -> tuple[Array, Array]:
    """(primal, dual) of the columns; fills scores, sets b and live."""
    loss, C = objective.loss, objective.C
    W = state.W[:, 0]
    norms = np.ones(len(W)) @ (W * W)
    upper = 0.5 * norms + C * scores_and_losses(loss, folds, state.W, state.b, scores)
    lower = -0.5 * norms - conjugate_sums(loss, C, without_rows(folds), state.alpha, np.ones(WIDTH))
    if objective.fit_intercept and settle_b(objective, folds, scores, EXACT_B * tol * upper, state):
        upper = 0.5 * norms + C * losses_at(loss, without_rows(folds), scores, state.b)
    state.live[:] &= ~(upper - lower <= tol * upper + state.floor)
    return upper, lower


def settle_b(
    objective: Objective, folds: Folds, scores: Array, eps: Array, state: DualState
) -> bool:
    """Better b of the live columns until at most eps is left to win; whether any moved.

    The slope in b is monotone: a bracket is opened downhill, then halved.
    """

    def slopes(at: Array) -> Array:
        sums: Array = slope_sums(objective.loss, objective.C, without_rows(folds), scores, at)
        return sums

    first = slopes(state.b)
    moving = state.live & (np.abs(first) * MARGIN > eps)
    if not moving.any():
        return False
    near, far = state.b.copy(), state.b - np.where(moving, 0.01 * np.sign(first), 0.0)
    for _ in range(LOOKS):
        short = moving & (slopes(far) * first > 0.0)
        if not short.any():
            break
        near[short], far[short] = far[short], far[short] + 3.0 * (far - near)[short]
    for _ in range(LOOKS):
        middle = 0.5 * (near + far)
        there = slopes(middle)
        if (np.abs(there) * np.abs(far - near) <= eps)[moving].all():
            break
        short = there * first > 0.0
        near, far = np.where(short, middle, near), np.where(short, far, middle)
    state.b[moving] = middle[moving]
    return True


def relative_gaps(upper: Array, lower: Array) -> Any:
    """(primal − dual) / primal, at least 0; 0 where there is nothing to minimise."""
    gaps = np.maximum(upper - lower, 0.0)
    return np.divide(gaps, upper, out=np.zeros_like(gaps), where=upper > 0.0)
