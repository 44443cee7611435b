"""Generalised Newton for the squared hinge where there are few features: exact in a few steps.

    f(w, b) = ½‖w‖² + Σ cᵢ max(0, 1 − yᵢ(wᵀxᵢ + b))²

is piecewise quadratic. On the samples A inside the margin the next point solves

    (I₀ + 2 Σ_A cᵢ zᵢ zᵢᵀ) v = 2 Σ_A cᵢ yᵢ zᵢ,      z = (x, 1), v = (w, b), I₀ = diag(1 … 1, 0),

so once A no longer changes the point is the optimum, to rounding. A line search makes it
global. Mangasarian, A finite Newton method for classification, 2002; Keerthi & DeCoste, A
modified finite Newton method for fast solution of large scale linear SVMs, 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array, Rows, dot, n_rows, row
from widemargin.data.samples import Samples, n_columns, share, sign, without_rows
from widemargin.objective import Objective, column, zero_weights
from widemargin.solvers.moments import moments

SEARCH_STEPS = 50  # halvings of the line search's bracket


class NewtonState(NamedTuple):
    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    live: Array  # (K,) bool: columns whose set A changed in the last step
    f: Array | None = None  # (K,) objective of each, where the step had the scores at hand


class Side(NamedTuple):
    """One column's signs and weights."""

    y: Array  # (n,) −1 or +1
    c: Array  # (n,) share of C


@dataclass(frozen=True)
class FiniteNewton:
    """min_w,b  ½‖w‖² + Σ cᵢ max(0, 1 − yᵢ(wᵀxᵢ + b))²; costs O(n d²) a step, less if sparse."""

    def init(self, objective: Objective, samples: Samples) -> NewtonState:
        W, b = zero_weights(samples)
        return NewtonState(W, b, np.ones(n_columns(samples), np.bool_))

    def step(self, objective: Objective, samples: Samples, state: NewtonState) -> NewtonState:
        """One Newton step of every column that is not yet solved."""
        W, b, live = state.W.copy(), state.b.copy(), state.live.copy()
        f = np.full(b.size, np.nan) if state.f is None else state.f.copy()
        for k in map(int, np.flatnonzero(live)):
            side = Side(*column_side(objective.C, without_rows(samples), k))
            v = np.append(column(W, k), b[k])
            v, live[k], f[k] = newton_step(samples.rows, side, v, objective.fit_intercept)
            column(W, k)[:], b[k] = v[:-1], v[-1]
        return NewtonState(W, b, live, f)


@kernel
def column_side(C: float, samples: Any, k: int) -> Any:
    """Signs and weights of column k."""
    y, c = np.empty(samples.codes.size), np.empty(samples.codes.size)
    for i in range(y.size):
        y[i], c[i] = sign(samples, i, k), C * share(samples, i, k)
    return y, c


def newton_step(rows: Rows, side: Side, v: Array, fit_intercept: bool) -> tuple[Array, bool, float]:
    """(the next v, whether the set A changed on the way, f of the next v)."""
    p = scores_of(rows, v)
    inside = (side.y * p < 1.0) & (side.c > 0.0)
    target = solve_inside(rows, side, inside, v.size, fit_intercept)
    q = scores_of(rows, target)
    if np.array_equal(inside, (side.y * q < 1.0) & (side.c > 0.0)):
        return target, False, value_at(side, target, q)
    t = search(side, v, target, p, q)
    after = v + t * (target - v)
    return after, t > 0.0, value_at(side, after, p + t * (q - p))


def value_at(side: Side, v: Array, p: Array) -> float:
    """f of v, whose scores are p."""
    z = np.maximum(0.0, 1.0 - side.y * p)
    return 0.5 * float(v[:-1] @ v[:-1]) + float((side.c * z) @ z)


def scores_of(rows: Rows, v: Array) -> Array:
    p: Array = scores(rows, np.ascontiguousarray(v[:-1]), v[-1], n_rows(rows))
    return p


@kernel
def scores(rows: Any, w: Array, b: float, n: int) -> Array:
    """wᵀxᵢ + b of every row."""
    p = np.empty(n)
    for i in range(n):
        p[i] = b + dot(row(rows, i), w)
    return p


def solve_inside(rows: Rows, side: Side, inside: Array, size: int, fit_intercept: bool) -> Array:
    """The minimiser of f's quadratic on the samples `inside`."""
    c = 2.0 * np.where(inside, side.c, 0.0)
    H, g = moments(rows, c, c * side.y, fit_intercept)
    H[np.arange(size - 1), np.arange(size - 1)] += 1.0
    if H[-1, -1] == 0.0:  # no intercept, or nobody inside: it stays 0
        H[-1, -1] = 1.0
    return np.linalg.solve(H, g)


def search(side: Side, v: Array, target: Array, p: Array, q: Array) -> float:
    """The t in (0, 1] that minimises f on the segment from v to target, by its slope."""
    step, width = target - v, q - p
    flat, bent = float(v[:-1] @ step[:-1]), float(step[:-1] @ step[:-1])

    def slope(t: float) -> float:
        z = np.maximum(0.0, 1.0 - side.y * (p + t * width))
        return flat + t * bent - 2.0 * float((side.c * side.y * z) @ width)

    if slope(1.0) <= 0.0:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(SEARCH_STEPS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if slope(middle) > 0.0 else (middle, high)
    return low
