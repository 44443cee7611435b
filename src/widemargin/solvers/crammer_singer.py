"""The multiclass SVM as one problem, by dual coordinate descent over samples.

    min_W,b  ½ Σₘ ‖wₘ‖² + C Σᵢ sᵢ ξᵢ,
    ξᵢ = maxₘ { wₘᵀxᵢ + bₘ + [m ≠ yᵢ] } − wᵧᵀxᵢ − bᵧ,      y = yᵢ

    max_α  −½ Σₘ ‖wₘ‖² + Σᵢ αᵢᵧ,    wₘ = Σᵢ αᵢₘ xᵢ,
    αᵢₘ ≤ C sᵢ [m = yᵢ],    Σₘ αᵢₘ = 0,    Σᵢ αᵢₘ = 0 (only with an intercept)

A step solves for all α of one sample exactly: a projection on a simplex, found by sorting those
few classes that can matter. The last constraint is met by the method of multipliers as in
`dual.py`: bₘ = βₘ + ρ δₘ, δₘ = Σᵢ αᵢₘ. Before the gap is taken, mass moves between classes so
that δ = 0.

Crammer & Singer, On the algorithmic implementation of multiclass kernel-based vector machines,
2001; Keerthi, Sundararajan, Chang, Hsieh & Lin, A sequential dual method for large scale
multi-class linear SVMs, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.lines import line_weights, width_of
from widemargin.data.rows import Array, n_features, n_rows
from widemargin.data.samples import Samples, without_rows
from widemargin.objective import Objective
from widemargin.solvers.crammer_singer_face import joint_climb
from widemargin.solvers.crammer_singer_kernels import (
    LISTED,
    Room,
    joint_epoch,
    joint_losses,
    joint_rebalance,
    joint_reselect,
    joint_scores,
    joint_weights,
)
from widemargin.solvers.dual import CLIMB_AFTER, DRIFT_TOL, NOTHING, PARTS, RHO, mean_squared_norm

SLACKS = 6.0  # slack as a multiple of the mean violation of the last steps


class JointState(NamedTuple):
    W: Array  # (d, K′): Σ αᵢₘ xᵢ, and zeros beyond K
    b: Array  # (K,) intercepts, β + ρ δ
    masses: Array  # (n, K) rᵢₘ = C sᵢ [m = yᵢ] − αᵢₘ ≥ 0
    delta: Array  # (K,) Σ αᵢₘ
    keep: Array  # (n,) bool: samples that the next epoch visits
    rest: Array  # (n,) int8: epochs that a sample is left out of
    classes: Array  # (n, LISTED) int32: classes that the next step in a sample sees
    listed: Array  # (n,) int32: how many they are; 0: all
    live: Array  # (1,) bool: whether it is not yet solved
    rho: float  # weight of δ²
    slack: float  # samples whose mass sits by more than this are left out of later epochs
    parts: Array  # (n,) what each had in the duality gap when it was last visited
    ease: float  # samples with less part in the gap than this rest
    gain: float  # rise of the dual in the last epoch
    epochs: int
    visited: int  # samples, over all epochs


@dataclass(frozen=True)
class CrammerSinger:
    """min_W,b  ½‖W‖² + C Σ sᵢ ξᵢ through its dual."""

    shrink: bool = True

    def init(self, objective: Objective, samples: Samples) -> JointState:
        n, K = n_rows(samples.rows), samples.factor.shape[1]
        masses = np.zeros((n, K))
        masses[np.arange(n), samples.codes] = objective.C * shares(samples)
        return JointState(
            W=line_weights(n_features(samples.rows), K),
            b=np.zeros(K),
            masses=masses,
            delta=np.zeros(K),
            keep=np.ones(n, np.bool_),
            rest=np.zeros(n, np.int8),
            classes=np.zeros((n, LISTED), np.int32),
            listed=np.zeros(n, np.int32),
            live=np.ones(1, np.bool_),
            rho=RHO * mean_squared_norm(samples) if objective.fit_intercept else 0.0,
            slack=np.inf,
            parts=np.full(n, np.inf),
            ease=0.0,
            gain=np.inf,
            epochs=0,
            visited=0,
        )

    def epoch(
        self, objective: Objective, samples: Samples, order: NDArray[np.int64], state: JointState
    ) -> JointState:
        kept = order[state.keep[order] & (state.rest[order] == 0)]
        np.maximum(state.rest - 1, 0, out=state.rest)
        scratch, sums = room(state.b.size), np.zeros(4)
        for part in np.array_split(kept, PARTS):
            sums += joint_epoch(objective.C, samples, part, state, scratch)
            state.b[:] += np.clip(state.rho * state.delta, -1.0, 1.0)  # β ← b
        gain, violation, parts, steps = map(float, sums)
        visited = state.visited + len(kept)
        state = state._replace(gain=gain, epochs=state.epochs + 1, visited=visited)
        if not self.shrink or steps == 0.0:
            return state
        return state._replace(slack=SLACKS * violation / steps, ease=parts / steps)

    def certify(
        self, objective: Objective, samples: Samples, tol: float, state: JointState
    ) -> tuple[JointState, Array, Array]:
        """(state, primal, dual), each of shape (1,); α made feasible, samples and classes that
        matter again taken back."""
        scores = np.empty_like(state.masses)
        upper, lower = self._bounds(objective, samples, tol, state, scores)
        late = state.live.any() and state.epochs >= CLIMB_AFTER
        visits, free_b = state.visited // 2, objective.fit_intercept
        if late and joint_climb(samples, state, visits, free_b):
            upper, lower = self._bounds(objective, samples, tol, state, scores)
        if state.live.any():
            joint_reselect(
                objective.C, without_rows(samples), scores, state, room(state.b.size).ids
            )
        return state, np.array([upper]), np.array([lower])

    def _bounds(
        self, objective: Objective, samples: Samples, tol: float, state: JointState, scores: Array
    ) -> tuple[float, float]:
        """(primal, dual) after making α feasible; fills scores, sets live."""
        C = objective.C
        if objective.fit_intercept:
            joint_rebalance(C, samples, state)
        if tol < DRIFT_TOL:
            joint_weights(C, samples, state.masses, state.W)
        joint_scores(samples, state.W, scores)
        squares = 0.5 * float((state.W * state.W).sum())
        upper = squares + C * joint_losses(without_rows(samples), scores, state.b)
        total = C * shares(samples)
        used = total - state.masses[np.arange(len(total)), samples.codes]
        lower = float(used.sum()) - squares
        state.live[:] = not upper - lower <= tol * upper + NOTHING * total.sum()
        return upper, lower


def room(K: int) -> Room:
    numbers, ids = np.empty((2, K)), np.empty((2, K), np.int64)
    return Room(np.empty(width_of(K)), np.zeros(width_of(K)), *numbers, *ids)


def shares(samples: Samples) -> Array:
    """(n,) what each sample weighs: sᵢ times the weight of its class."""
    weights: Array = samples.weight * samples.factor[1, samples.codes]
    return weights
