"""Proximal Newton for L1-penalised losses on few features.

    f(w, b) = ‖w‖₁ + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ),      b not penalised

With gradient g and Hessian H of the loss part at v = (w, b), the next point is sought on the
segment from v to the minimiser of

    gᵀ(u − v) + ½ (u − v)ᵀ H (u − v) + ‖u_w‖₁,

which coordinate descent finds from H alone, without another look at the data. Features that add
up to a constant, as one-hot columns do, share their weight with the intercept; there plain
coordinate descent on the data crawls, and this does not.

Yuan, Ho & Lin, An improved GLMNET for L1-regularized logistic regression, 2012; Lee, Sun &
Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from widemargin._jit import kernel, lean_kernel
from widemargin.data.rows import Array, Rows
from widemargin.data.samples import Samples, n_columns, without_rows
from widemargin.losses import slope, value
from widemargin.objective import Objective, column, zero_weights
from widemargin.solvers.moments import moments
from widemargin.solvers.newton import NewtonState, column_side, scores_of
from widemargin.solvers.primal_cd import curve, shrunk

SWEEPS = 5000  # of coordinate descent on the model, at most; each costs d² operations
EXACT = 1e-12  # a sweep that moves less than this, relative to the weights, ends the model
HALVINGS = 40  # of the line search
ENOUGH = 1e-4  # share of the predicted fall that a step must bring (Armijo)
LAST = 1e-13  # of the objective: a fall that rounding hides
RIDGE = 1e-11  # of the mean curvature, added where features depend on each other


@dataclass(frozen=True)
class ProximalNewton:
    """min_w,b  ‖w‖₁ + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ), ℓ the squared hinge or the logistic loss."""

    def init(self, objective: Objective, samples: Samples) -> NewtonState:
        W, b = zero_weights(samples)
        return NewtonState(W, b, np.ones(n_columns(samples), np.bool_))

    def step(self, objective: Objective, samples: Samples, state: NewtonState) -> NewtonState:
        """One step of every column that still moves."""
        W, b, live = state.W.copy(), state.b.copy(), state.live.copy()
        for k in map(int, np.flatnonzero(live)):
            y, c = column_side(objective.C, without_rows(samples), k)
            v = np.append(column(W, k), b[k])
            t = move(objective, samples.rows, y, c, v)
            column(W, k)[:], b[k], live[k] = v[:-1], v[-1], t > 0.0
        return NewtonState(W, b, live)


def move(objective: Objective, rows: Rows, y: Array, c: Array, v: Array) -> float:
    """One step on v, in place; its length, 0 where there is no more to win."""
    p = scores_of(rows, v)
    g, H = expansion(objective, rows, y, c, p)
    u = v.copy()
    minimise_model(g, H, v, u, SWEEPS, EXACT)
    step, q = u - v, scores_of(rows, u) - p
    before = weighted_loss(objective.loss, y, c, p) + np.abs(v[:-1]).sum()
    predicted = float(g @ step) + np.abs(u[:-1]).sum() - np.abs(v[:-1]).sum()
    if abs(predicted) <= LAST * before:  # too little for the objective to tell: the last step
        v += step
        return 0.0
    t = 1.0
    for _ in range(HALVINGS):
        after = weighted_loss(objective.loss, y, c, p + t * q)
        after += np.abs(v[:-1] + t * step[:-1]).sum()
        if after <= before + ENOUGH * t * predicted and after < before:
            v += t * step
            return t
        t *= 0.5
    return 0.0


def expansion(
    objective: Objective, rows: Rows, y: Array, c: Array, p: Array
) -> tuple[Array, Array]:
    """Gradient and Hessian of Σ cᵢ ℓ(pᵢ; yᵢ) in v = (w, b); without an intercept b stands still."""
    first, second = np.empty_like(p), np.empty_like(p)
    derivatives_at(objective.loss, y, c, p, first, second)
    H, g = moments(rows, second, first, objective.fit_intercept)
    H[np.diag_indices_from(H)] += RIDGE * max(float(np.trace(H)) / len(H), 1e-300)
    return g, H


@lean_kernel
def derivatives_at(loss: Any, y: Array, c: Array, p: Array, first: Array, second: Array) -> None:
    """cᵢ ℓ′ and cᵢ ℓ″ at every score."""
    for i in range(p.size):
        first[i] = c[i] * slope(loss, p[i], y[i])
        second[i] = c[i] * curve(loss, p[i], y[i])


@kernel
def weighted_loss(loss: Any, y: Array, c: Array, p: Array) -> float:
    """Σ cᵢ ℓ(pᵢ; yᵢ)."""
    total = 0.0
    for i in range(p.size):
        total += c[i] * value(loss, p[i], y[i])
    return total


@kernel
def minimise_model(g: Array, H: Array, v: Array, u: Array, sweeps: int, exact: float) -> None:
    """Coordinate descent on gᵀ(u − v) + ½ (u − v)ᵀH(u − v) + ‖u_w‖₁, u in place.

    The last entry is the intercept, which carries no penalty.
    """
    r = g.copy()  # g + H (u − v)
    last = u.size - 1
    for _ in range(sweeps):
        moved, size = 0.0, 1.0
        for j in range(u.size):
            z = u[j] - r[j] / H[j, j]
            d = (z if j == last else shrunk(z, 1.0 / H[j, j])) - u[j]
            size = max(size, abs(u[j]))
            if d != 0.0:
                u[j] += d
                moved = max(moved, abs(d))
                for i in range(u.size):
                    r[i] += d * H[j, i]
        if moved <= exact * size:
            return
