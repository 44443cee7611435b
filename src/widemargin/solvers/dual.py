"""Dual coordinate descent with shrinking and an exact, unpenalised intercept.

    max_α  −½‖Σ αᵢ yᵢ xᵢ‖² − Σ cᵢ ℓ*(−αᵢ/cᵢ),     0 ≤ αᵢ ≤ largestᵢ,     Σ αᵢ yᵢ = 0

One coordinate at a time cannot keep Σ αᵢ yᵢ = 0. The constraint is met by the method of
multipliers: b is its multiplier, δ = Σ αᵢ yᵢ its residual, and each part of an epoch ascends

    D(α) − β δ − (ρ/2) δ²,      b = β + ρ δ at every step,      then β ← b.

So b is solved for exactly, whatever ρ; ρ ‖x‖² only sets how fast. Before the gap is taken, a
few α are moved so that δ = 0 to the last bit, which makes the dual value a true lower bound.

The first epoch would take every early step against a w that is still near 0. So it walks the
rows in chunks of growing size and lets those already seen stand for all: after a share s of the
rows, w / s takes the place of w (and q / s of q). On large data this saves two epochs of four.

Hsieh, Chang, Lin, Keerthi & Sundararajan, A dual coordinate descent method for large-scale
linear SVM, 2008 (algorithm 3, shrinking); Bertsekas, Constrained optimization and Lagrange
multiplier methods, 1982 (chapter 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin._jit import jitable, kernel, lean_kernel
from widemargin.data.rows import Array, axpys, dots, n_rows, row, squared_norm
from widemargin.data.samples import Samples, n_columns, share, sign
from widemargin.duals import ascend, dual_slope, largest
from widemargin.losses import value
from widemargin.objective import Objective, combine, conjugate_sums, zero_weights
from widemargin.solvers.intercept import best_intercept


class DualState(NamedTuple):
    W: Array  # (d,) or (d, K): Σ αᵢₖ yᵢₖ xᵢ
    b: Array  # (K,) intercepts, β + ρ δ
    alpha: Array  # (n, K) dual variables
    delta: Array  # (K,) Σ αᵢₖ yᵢₖ
    keep: Array  # (n,) bool: rows that the next epoch visits
    live: Array  # (K,) bool: columns that are not yet solved
    rho: float  # weight of δ²
    scale: float  # 1 / s in the first epoch, 1 after
    slack: float  # rows at a bound by more than this margin are left out of later epochs
    gain: float  # rise of the dual in the last epoch


@jitable
def held(a: float, slope: float, top: float) -> bool:
    """α sits at a bound and its slope pushes it further out."""
    return (a <= 0.0 and slope >= 0.0) or (a >= top and slope <= 0.0)


@lean_kernel
def dual_epoch(objective: Any, samples: Any, order: Array, state: Any, p: Array, g: Array) -> Any:
    """Exact coordinate steps along `order`, in place; returns (gain, mean |slope| of the steps).

    Marks in `keep` the rows that are not held at a bound by more than `slack`. p and g (K,) are
    scratch.
    """
    loss, C, W, b, alpha = objective.loss, objective.C, state.W, state.b, state.alpha
    rho, scale = state.rho, state.scale
    gain, violation, steps = 0.0, 0.0, 0
    for i in order:
        x = row(samples.rows, i)
        dots(x, W, p)
        q, near = -1.0, False
        for k in range(b.size):
            g[k] = 0.0
            y, c, a = sign(samples, i, k), C * share(samples, i, k), alpha[i, k]
            if c == 0.0 or not state.live[k]:
                continue
            m = y * (scale * p[k] + b[k])
            s = dual_slope(loss, a, m, c)
            if held(a, s, largest(loss, c)):
                near |= abs(s) <= state.slack
                continue
            near = True
            if q < 0.0:
                q = scale * (squared_norm(x) + rho)
            z = ascend(loss, a, m, q, c)
            alpha[i, k], g[k] = z, (z - a) * y
            b[k] += scale * rho * g[k]
            state.delta[k] += g[k]
            gain += abs(s * (z - a)) - 0.5 * q * (z - a) * (z - a)
            violation += abs(s)
            steps += 1
        state.keep[i] = near
        if q >= 0.0:
            axpys(g, x, W)
    return gain, violation / max(steps, 1)


@kernel
def rebalance(objective: Any, samples: Any, state: Any) -> None:
    """Make Σᵢ αᵢₖ yᵢₖ = 0 in every column by shrinking α on the heavier side, in place.

    Free α give way first: the dual is flat there, so it falls in second order only. Each gives
    half of itself, or more where half of all does not suffice, until the balance is met; what
    free α cannot give, those at their largest do.
    """
    g = np.zeros(state.b.size)
    for k in range(state.b.size):
        free, full, heavy = side_totals(objective, samples, state, k)
        left = state.delta[k] * heavy
        share_free = max(0.5, left / free) if free > 0.0 else 0.0
        share_full = (left - free) / full if full > 0.0 and left > free else 0.0
        for i in range(state.keep.size):
            if left <= 0.0:
                break
            a, y = state.alpha[i, k], sign(samples, i, k)
            part = share_full if at_largest(objective, samples, i, k, a) else share_free
            if y == heavy and a * part > 0.0:
                state.alpha[i, k] = a - min(a * min(part, 1.0), left)
                left -= a - state.alpha[i, k]
                g[k] = (state.alpha[i, k] - a) * y
                axpys(g, row(samples.rows, i), state.W)
        g[k] = 0.0
        state.delta[k] = left * heavy


@jitable
def at_largest(objective: Any, samples: Any, i: int, k: int, a: float) -> bool:
    return a >= largest(objective.loss, objective.C * share(samples, i, k))


@jitable
def side_totals(objective: Any, samples: Any, state: Any, k: int) -> Any:
    """Refresh δ of column k; (Σ free α, Σ α at their largest, sign) of its heavier side."""
    free, full = np.zeros(2), np.zeros(2)
    for i in range(state.keep.size):
        a = state.alpha[i, k]
        side = 1 if sign(samples, i, k) > 0.0 else 0
        if at_largest(objective, samples, i, k, a):
            full[side] += a
        else:
            free[side] += a
    state.delta[k] = (free[1] + full[1]) - (free[0] + full[0])
    heavy = 1 if state.delta[k] > 0.0 else 0
    return free[heavy], full[heavy], 2.0 * heavy - 1.0


@kernel
def scores_and_losses(loss: Any, samples: Any, W: Array, b: Array, scores: Array) -> Array:
    """scores[i, k] = wₖᵀxᵢ; returns Σᵢ sᵢₖ ℓ(scoresᵢₖ + bₖ; yᵢₖ) of each column."""
    sums = np.zeros(b.size)
    for i in range(samples.codes.size):
        p = scores[i]
        dots(row(samples.rows, i), W, p)
        for k in range(b.size):
            sums[k] += share(samples, i, k) * value(loss, p[k] + b[k], sign(samples, i, k))
    return sums


@kernel
def losses_at(loss: Any, samples: Any, scores: Array, b: Array) -> Array:
    """Σᵢ sᵢₖ ℓ(scoresᵢₖ + bₖ; yᵢₖ) of each column."""
    sums = np.zeros(b.size)
    for i in range(scores.shape[0]):
        for k in range(b.size):
            sums[k] += share(samples, i, k) * value(loss, scores[i, k] + b[k], sign(samples, i, k))
    return sums


@kernel
def reselect(objective: Any, samples: Any, scores: Array, state: Any) -> None:
    """keep[i]: some live column of row i is free, or at a bound by no more than `slack`."""
    for i in range(state.keep.size):
        near = False
        for k in range(state.b.size):
            c, a = objective.C * share(samples, i, k), state.alpha[i, k]
            if c == 0.0 or not state.live[k]:
                continue
            m = sign(samples, i, k) * (scores[i, k] + state.b[k])
            s = dual_slope(objective.loss, a, m, c)
            near |= abs(s) <= state.slack or not held(a, s, largest(objective.loss, c))
        state.keep[i] = near


RHO = 0.03  # ρ as a multiple of the mean ‖x‖²: measured, see docs/decisions/0003
SLACKS = 1.0  # slack as a multiple of the mean |slope| of the last steps
PARTS = 4  # of an epoch, with a step of the multiplier after each
CHUNKS = 30  # of the first epoch
FIRST_CHUNK = 0.02  # as a share of the rows
FIRST_WALKS = 3  # over the first chunk, which has nothing to lean on
NOT_YET = 1e300  # the rise of the dual in the first epoch, which says nothing of the next
FEW_ROWS = 1000  # below, the first epoch is like the others
DRIFT_TOL = 1e-6  # tolerances below this ask for w summed anew, free of rounding drift


@dataclass(frozen=True)
class DualCoordinateDescent:
    """min_w,b  ½‖w‖² + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ) through its dual; L2 penalty only."""

    shrink: bool = True

    def init(self, objective: Objective, samples: Samples) -> DualState:
        n, k = n_rows(samples.rows), n_columns(samples)
        W, b = zero_weights(samples)
        return DualState(
            W=W,
            b=b,
            alpha=np.zeros((n, k)),
            delta=np.zeros(k),
            keep=np.ones(n, np.bool_),
            live=np.ones(k, np.bool_),
            rho=RHO * mean_squared_norm(samples) if objective.fit_intercept else 0.0,
            scale=1.0,
            slack=np.inf,
            gain=np.inf,
        )

    def epoch(
        self, objective: Objective, samples: Samples, order: NDArray[np.int64], state: DualState
    ) -> DualState:
        if np.isinf(state.gain) and len(order) >= FEW_ROWS:
            return self._first_epoch(objective, samples, order, state)
        gain = 0.0
        for part in np.array_split(order[state.keep[order]], PARTS):
            state = self._walk(objective, samples, part, state)
            gain += state.gain
        return state._replace(gain=gain)

    def _walk(
        self, objective: Objective, samples: Samples, order: NDArray[np.int64], state: DualState
    ) -> DualState:
        scores, moves = np.empty_like(state.b), np.empty_like(state.b)
        gain, slope = dual_epoch(objective, samples, order, state, scores, moves)
        # β ← b, so b = β + ρ δ moves on by ρ δ; by no more than a margin, lest it overshoots
        state.b[:] += np.clip(state.scale * state.rho * state.delta, -1.0, 1.0)
        slack = SLACKS * slope if self.shrink else np.inf
        return state._replace(gain=gain, slack=slack)

    def _first_epoch(
        self, objective: Objective, samples: Samples, order: NDArray[np.int64], state: DualState
    ) -> DualState:
        n = len(order)
        edges = np.geomspace(FIRST_CHUNK * n, n, CHUNKS).astype(np.int64)
        for _ in range(FIRST_WALKS):
            head = order[: edges[0]]
            state = self._walk(objective, samples, head, state._replace(scale=n / edges[0]))
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            seen = state._replace(scale=2.0 * n / float(start + stop))
            state = self._walk(objective, samples, order[start:stop], seen)
        return state._replace(scale=1.0, gain=NOT_YET)

    def certify(
        self, objective: Objective, samples: Samples, tol: float, state: DualState
    ) -> tuple[DualState, Array, Array]:
        """(state, primal, dual), each value of shape (K,); α made feasible, columns within `tol`
        put to rest, rows that matter again taken back."""
        loss, C = objective.loss, objective.C
        if objective.fit_intercept:
            rebalance(objective, samples, state)
        if tol < DRIFT_TOL:
            combine(samples, state.alpha, state.W)
        scores = np.empty_like(state.alpha)
        norms = np.atleast_1d((state.W * state.W).sum(axis=0))
        losses = scores_and_losses(loss, samples, state.W, state.b, scores)
        upper = 0.5 * norms + C * losses
        conjugates = conjugate_sums(loss, C, samples, state.alpha, np.ones(norms.size))
        lower = -0.5 * norms - conjugates
        if objective.fit_intercept and (upper - lower > tol * upper).any():
            state.b[:] = best_intercept(objective, samples, scores, state.b, 0.01 * tol * upper)
            upper = 0.5 * norms + C * losses_at(loss, samples, scores, state.b)
        state.live[:] = upper - lower > tol * upper
        if state.live.any():
            reselect(objective, samples, scores, state)
        return state, upper, lower


def mean_squared_norm(samples: Samples, rows_seen: int = 1000) -> float:
    """The mean of ‖x‖² over the first rows; 1 where they are all empty."""
    return float(mean_norm(samples.rows, min(rows_seen, n_rows(samples.rows)))) or 1.0


@kernel
def mean_norm(rows: Any, n: int) -> float:
    total = 0.0
    for i in range(n):
        total += squared_norm(row(rows, i)) / n
    return total
