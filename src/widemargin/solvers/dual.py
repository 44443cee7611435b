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

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array, n_rows
from widemargin.data.samples import Samples, n_columns
from widemargin.objective import Objective, zero_weights
from widemargin.solvers.dual_kernels import dual_epoch, mean_norm
from widemargin.solvers.dual_passes import (
    combine,
    conjugate_sums,
    losses_at,
    rebalance,
    reselect,
    scores_and_losses,
    total_shares,
)
from widemargin.solvers.free_set import climb, has_faces
from widemargin.solvers.intercept import best_intercept
from widemargin.threads import ALONE, Crew

RHO = 0.03  # ρ as a multiple of the mean ‖x‖²: measured, see docs/decisions/0003
SLACKS = 1.0  # slack as a multiple of the mean |slope| of the last steps
PARTS = 4  # of an epoch, with a step of the multiplier after each
CHUNKS = 30  # of the first epoch
FIRST_CHUNK = 0.02  # as a share of the rows
FIRST_WALKS = 3  # over the first chunk, which has nothing to lean on
CLIMB_AFTER = 20  # epochs: what is easy is solved by then
FEW_ROWS = 1000  # below, the first epoch is like the others
NOTHING = 1e-14  # of C Σ s, which bounds the objective's scale
DRIFT_TOL = 1e-6  # tolerances below this ask for w summed anew, free of rounding drift


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
    floor: Array  # (K,) gaps below this are nothing, whatever the objective
    epochs: int
    visited: int  # rows, over all epochs


@dataclass(frozen=True)
class DualCoordinateDescent:
    """min_w,b  ½‖w‖² + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ) through its dual; L2 penalty only.

    The steps are taken by one thread, the passes over all rows by the `crew`;
    `dual_replicas.py` has the solver whose steps are taken by several.
    """

    shrink: bool = True
    crew: Crew = ALONE
    steps: Callable[..., tuple[float, float]] = dual_epoch  # along an order of rows

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
            floor=NOTHING * objective.C * total_shares(self.crew, samples, k),
            epochs=0,
            visited=0,
        )

    def epoch(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        if np.isinf(state.gain) and len(order) >= FEW_ROWS:
            return self._first_epoch(objective, samples, order, state)
        gain, visited = 0.0, state.visited
        for part in np.array_split(order, PARTS):
            kept = part[state.keep[part]]
            state = self._walk(objective, samples, kept, state)
            gain, visited = gain + state.gain, visited + len(kept)
        return state._replace(gain=gain, epochs=state.epochs + 1, visited=visited)

    def _walk(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        state = self.walk(objective, samples, order, state)
        self.settle(state)
        return state

    def walk(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        """Steps along `order`, the multiplier held."""
        scores, moves = np.empty_like(state.b), np.empty_like(state.b)
        gain, slope = self.steps(objective, samples, order, state, scores, moves)
        slack = SLACKS * slope if self.shrink else np.inf
        return state._replace(gain=gain, slack=slack)

    def settle(self, state: DualState) -> None:
        """β ← b, so b = β + ρ δ moves on by ρ δ; by no more than a margin, lest it overshoots."""
        state.b[:] += np.clip(state.scale * state.rho * state.delta, -1.0, 1.0)

    def _first_epoch(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        n = len(order)
        edges = np.geomspace(FIRST_CHUNK * n, n, CHUNKS).astype(np.int64)
        for _ in range(FIRST_WALKS):
            head = order[: edges[0]]
            state = self._walk(objective, samples, head, state._replace(scale=n / edges[0]))
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            seen = state._replace(scale=2.0 * n / float(start + stop))
            state = self._walk(objective, samples, order[start:stop], seen)
        return after_first_epoch(self.crew, objective, samples, state)

    def certify(
        self, objective: Objective, samples: Samples, tol: float, state: DualState
    ) -> tuple[DualState, Array, Array]:
        """(state, primal, dual), each value of shape (K,); α made feasible, columns within `tol`
        put to rest, rows that matter again taken back."""
        if objective.fit_intercept:
            rebalance(self.crew, objective, samples, state)
        if tol < DRIFT_TOL:
            combine(self.crew, samples, state.alpha, state.W)
        scores = np.empty_like(state.alpha)
        upper, lower = self._bounds(objective, samples, tol, state, scores)
        if state.live.any() and state.epochs >= CLIMB_AFTER and has_faces(objective):
            for k in map(int, np.flatnonzero(state.live)):
                climb(objective, samples, state, k, state.visited // 2)
            upper, lower = self._bounds(objective, samples, tol, state, scores)
        if state.live.any():
            reselect(self.crew, objective, samples, scores, state)
        return state, upper, lower

    def _bounds(
        self, objective: Objective, samples: Samples, tol: float, state: DualState, scores: Array
    ) -> tuple[Array, Array]:
        """(primal, dual) of each column; fills scores, betters b where that may help, sets live."""
        loss, C, crew = objective.loss, objective.C, self.crew
        norms = np.atleast_1d((state.W * state.W).sum(axis=0))
        losses = scores_and_losses(crew, loss, samples, state.W, state.b, scores)
        upper = 0.5 * norms + C * losses
        conjugates = conjugate_sums(crew, loss, C, samples, state.alpha)
        lower = -0.5 * norms - conjugates
        if objective.fit_intercept and (upper - lower > tol * upper).any():
            eps = 0.01 * (upper - lower)
            state.b[:] = best_intercept(objective, samples, scores, state.b, eps, crew)
            upper = 0.5 * norms + C * losses_at(crew, loss, samples, scores, state.b)
        state.live[:] = ~(
            upper - lower <= tol * upper + state.floor
        )  # what is no number is not solved
        return upper, lower


def after_first_epoch(
    crew: Crew, objective: Objective, samples: Samples, state: DualState
) -> DualState:
    """The state as the second epoch takes it up, with what the first one gained."""
    norms = (state.W * state.W).sum()
    conjugates = conjugate_sums(crew, objective.loss, objective.C, samples, state.alpha)
    risen = float(-0.5 * norms - conjugates.sum())  # from 0; δ is not 0 yet, so about
    return state._replace(scale=1.0, gain=max(risen, 0.0), epochs=1, visited=n_rows(samples.rows))


def mean_squared_norm(samples: Samples, rows_seen: int = 1000) -> float:
    """The mean of ‖x‖² over the first rows; 1 where they are all empty."""
    return float(mean_norm(samples.rows, min(rows_seen, n_rows(samples.rows)))) or 1.0
