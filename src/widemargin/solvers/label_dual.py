"""One dual problem of many over the same rows: what it costs follows what matters to it.

After a first epoch that eight columns share (`lane_dual.py`), each goes on by itself over the
rows that it still needs: those with α > 0 and, at first, all of its label. A look at all rows,
whose scores come eight columns at a time, certifies it or gives back rows that matter again.
For a rare label nearly all rows are held at α = 0, and an epoch costs next to nothing.

The loss is the hinge or the squared hinge, which no row with a margin above 1 adds to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.rows import Array, order_type
from widemargin.data.samples import Samples, share, sign
from widemargin.duals import conjugate, dual_slope, largest
from widemargin.losses import slope, value
from widemargin.objective import Objective
from widemargin.solvers.dual import CLIMB_AFTER, DRIFT_TOL, PARTS, SLACKS, DualState
from widemargin.solvers.dual_kernels import dual_epoch, held
from widemargin.solvers.dual_passes import combine, losses_at, rebalance
from widemargin.solvers.free_set import climb, inner
from widemargin.solvers.intercept import best_intercept
from widemargin.threads import ALONE

MARGIN = 1.0  # how far b may move before rows beyond it must be asked
CLOSE = 0.01  # of the gap: what b may cost


class Proof(NamedTuple):
    """Values of a column at w and at the intercept that is best for it."""

    primal: float
    dual: float
    b: float


def one_column(samples: Samples, state: DualState, k: int) -> DualState:
    """Column k of eight in lanes, by itself; it goes on with the rows that have α > 0 or the
    label."""
    alpha = np.ascontiguousarray(state.alpha[:, k : k + 1])
    return state._replace(
        W=np.ascontiguousarray(state.W[:, 0, k]),
        b=state.b[k : k + 1].copy(),
        alpha=alpha,
        delta=state.delta[k : k + 1].copy(),
        keep=(alpha[:, 0] > 0.0) | (samples.codes == 1),
        live=np.ones(1, np.bool_),
        floor=state.floor[k : k + 1].copy(),
        visited=0,
    )


def walk(
    objective: Objective, samples: Samples, state: DualState, rng: np.random.Generator
) -> DualState:
    """An epoch over the rows that are kept, in a fresh order."""
    kept = np.flatnonzero(state.keep)
    order = rng.permutation(kept.astype(order_type(len(state.keep))))
    gain, steepness = column_epoch(objective, samples, order, state, np.empty(1), np.empty(1))
    return state._replace(
        gain=gain,
        slack=SLACKS * steepness,
        epochs=state.epochs + 1,
        visited=state.visited + len(order),
    )


@lean_kernel
def column_epoch(objective: Any, samples: Any, order: Array, state: Any, p: Array, g: Array) -> Any:
    """`dual_epoch` in PARTS with a step of the multiplier after each; (gain, mean |slope|)."""
    gain, steepness, n = 0.0, 0.0, order.size
    for part in range(PARTS):
        some = order[part * n // PARTS : (part + 1) * n // PARTS]
        rise, steep = dual_epoch(objective, samples, some, state, p, g)
        gain += rise
        steepness += steep / PARTS
        state.b[0] += min(max(state.rho * state.delta[0], -1.0), 1.0)
    return gain, steepness


def feasible(objective: Objective, samples: Samples, tol: float, state: DualState) -> None:
    """Make Σ αᵢ yᵢ = 0 before a look; a column that many epochs did not solve climbs first."""
    if state.epochs >= CLIMB_AFTER:
        climb(objective, samples, state, 0, state.visited // 2)
    if objective.fit_intercept:
        rebalance(ALONE, objective, samples, state)
    if tol < DRIFT_TOL:
        combine(ALONE, samples, state.alpha, state.W)


def look(
    objective: Objective, samples: Samples, tol: float, state: DualState, scores: Array
) -> Proof:
    """What the scores (n, 1) of all rows prove; sets `live` and `keep`.

    The intercept that is best for w lowers the primal value; the next walk goes on with the
    multiplier, to which the dual variables belong, and with the rows that matter there.
    """
    losses, rise, conjugates = seen_at(objective, samples, scores, state)
    squares, b = 0.5 * inner(state.W, state.W), float(state.b[0])
    upper, lower = squares + objective.C * losses, -squares - conjugates
    eps = CLOSE * (upper - lower)
    if objective.fit_intercept and upper - lower > tol * upper and MARGIN * abs(rise) > eps:
        b, losses = settled_b(objective, samples, scores, b, eps)
        upper = squares + objective.C * losses
    state.live[:] = not upper - lower <= tol * upper + state.floor[0]
    return Proof(upper, lower, b)


def settled_b(
    objective: Objective, samples: Samples, scores: Array, b: float, eps: float
) -> tuple[float, float]:
    """(best b, Σ sᵢ ℓ there), from those rows alone that can come inside the margin."""
    margins = np.where(samples.codes == 1, 1.0, -1.0) * (scores[:, 0] + b)
    near = np.flatnonzero(margins < 1.0 + MARGIN)
    some = samples._replace(codes=samples.codes[near], weight=samples.weight[near])
    at, start, close = scores[near], np.array([b]), np.array([eps])
    best = best_intercept(objective, some, at, start, close)
    if abs(best[0] - b) > MARGIN:
        some, at = samples, scores
        best = best_intercept(objective, some, at, start, close)
    return float(best[0]), float(losses_at(ALONE, objective.loss, some, at, best)[0])


@lean_kernel
def seen_at(objective: Any, samples: Any, scores: Array, state: Any) -> Any:
    """(Σ sᵢ ℓ, the primal's slope in b, Σ cᵢ ℓ*) of a column; marks in `keep` the rows that matter,
    within `slack`."""
    losses, slopes, conjugates, b = 0.0, 0.0, 0.0, state.b[0]
    for i in range(scores.shape[0]):
        y, s, a = sign(samples, i, 0), share(samples, i, 0), state.alpha[i, 0]
        c, p = objective.C * s, scores[i, 0] + b
        state.keep[i] = False
        if c == 0.0:
            continue
        if y * p < 1.0:
            losses += s * value(objective.loss, p, y)
            slopes += c * slope(objective.loss, p, y)
        if a > 0.0:
            conjugates += c * conjugate(objective.loss, a / c)
        steep = dual_slope(objective.loss, a, y * p, c)
        out = held(a, steep, largest(objective.loss, c))
        state.keep[i] = not out or abs(steep) <= state.slack
    return losses, slopes, conjugates
