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
from widemargin.data.prefetch import ask_for_row
from widemargin.data.rows import Array, axpy, dot, order_type, row, squared_norm
from widemargin.data.samples import Samples, share, sign, without_rows
from widemargin.duals import ascend, conjugate, dual_slope, largest
from widemargin.losses import slope, value
from widemargin.objective import Objective
from widemargin.solvers.dual import CLIMB_AFTER, DRIFT_TOL, PARTS, SLACKS, DualState
from widemargin.solvers.dual_kernels import held
from widemargin.solvers.dual_passes import combine, rebalance
from widemargin.solvers.free_set import climb, inner
from widemargin.solvers.intercept import HALVINGS
from widemargin.threads import ALONE

MARGIN = 1.0  # how far b may move before rows beyond it must be asked
WIDENINGS = 40  # of a bracket of b, each four times the one before
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
        keep=((alpha[:, 0] > 0.0) | (samples.codes == 1)) & (samples.weight > 0.0),
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
    gain, steepness = column_epoch(objective, samples, order, state)
    return state._replace(
        gain=gain,
        slack=SLACKS * steepness,
        epochs=state.epochs + 1,
        visited=state.visited + len(order),
    )


@lean_kernel
def column_epoch(objective: Any, samples: Any, order: Array, state: Any) -> Any:
    """`dual_epoch` of one column, in PARTS with a step of the multiplier after each.

    Returns (gain, mean |slope| of the steps).
    """
    loss, W, alpha, n = objective.loss, state.W, state.alpha, order.size
    gain, violation, steps, b, delta = 0.0, 0.0, 0, state.b[0], state.delta[0]
    for t in range(n):
        i = order[t]
        if t + 1 < n:
            ask_for_row(samples.rows, order[t + 1])
        x, y, a = row(samples.rows, i), sign(samples, i, 0), alpha[i, 0]
        c = objective.C * share(samples, i, 0)
        m = y * (dot(x, W) + b)
        s = dual_slope(loss, a, m, c)
        out = held(a, s, largest(loss, c))
        state.keep[i] = not out or abs(s) <= state.slack
        if not out:
            q = squared_norm(x) + state.rho
            z = ascend(loss, a, m, q, c)
            alpha[i, 0] = z
            axpy((z - a) * y, x, W)
            delta += (z - a) * y
            b += state.rho * (z - a) * y
            gain += abs(s * (z - a)) - 0.5 * q * (z - a) * (z - a)
            violation += abs(s)
            steps += 1
        if (t + 1) * PARTS // n > t * PARTS // n:
            b += min(max(state.rho * delta, -1.0), 1.0)
    state.b[0], state.delta[0] = b, delta
    return gain, violation / max(steps, 1)


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
    losses, rise, conjugates = seen_at(objective, without_rows(samples), scores, state)
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
    near = np.flatnonzero(margins_of(samples, scores[:, 0], b) < 1.0 + MARGIN)
    labels = without_rows(samples)
    some = labels._replace(codes=samples.codes[near], weight=samples.weight[near])
    best, losses = one_intercept(objective, some, scores[near, 0], b, eps)
    if abs(best - b) > MARGIN:
        best, losses = one_intercept(objective, labels, scores[:, 0], b, eps)
    return best, losses


def margins_of(samples: Samples, scores: Array, b: float) -> Array:
    margins: Array = np.where(samples.codes == 1, scores + b, -b - scores)
    return margins


@lean_kernel
def one_intercept(objective: Any, samples: Any, scores: Array, b: float, eps: float) -> Any:
    """(b, Σ sᵢ ℓ) of one column at most eps above the best, as `intercept.best_intercept`."""
    rising, _ = slope_at(objective, samples, scores, b)
    near, far, there, step = b, b, rising, 1e-3 if rising < 0.0 else -1e-3
    for _ in range(WIDENINGS):
        near, far = far, b + step
        there, _ = slope_at(objective, samples, scores, far)
        if (there > 0.0) != (rising > 0.0):
            break
        step *= 4.0
    if (there > 0.0) == (rising > 0.0):  # one side only: any b is as good
        return b, slope_at(objective, samples, scores, b)[1]
    for _ in range(HALVINGS):
        middle = 0.5 * (near + far)
        there, losses = slope_at(objective, samples, scores, middle)
        if abs(there) * abs(far - near) <= eps:
            break
        near, far = (middle, far) if (there > 0.0) == (rising > 0.0) else (near, middle)
    return middle, losses


@lean_kernel
def slope_at(objective: Any, samples: Any, scores: Array, b: float) -> Any:
    """(Σ cᵢ ℓ′, Σ sᵢ ℓ) of one column."""
    slopes, losses = 0.0, 0.0
    for i in range(scores.size):
        y, p = sign(samples, i, 0), scores[i] + b
        if y * p < 1.0:
            s = share(samples, i, 0)
            slopes += objective.C * s * slope(objective.loss, p, y)
            losses += s * value(objective.loss, p, y)
    return slopes, losses


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
