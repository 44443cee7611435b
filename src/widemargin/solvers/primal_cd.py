"""Primal coordinate descent for L1-penalised squared hinge and logistic loss.

    min_w,b  ‖w‖₁ + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ),      b not penalised

One coordinate at a time, with g and h the first and second derivative of the loss part:

    w_j ← S(w_j − g/h, 1/h),      S(z, a) = sign(z) max(0, |z| − a)

A Newton step that does not lower the objective is taken again with the largest curvature that
the loss can have, which always does. Scores p = Xw + b are kept up to date, so a step costs the
nonzeros of one column; the data are therefore held by columns, a copy.

Yuan, Chang, Hsieh & Lin, A comparison of optimization methods and software for large-scale
L1-regularized linear classification, 2010 (section 4); Friedman, Hastie & Tibshirani,
Regularization paths for generalized linear models via coordinate descent, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import compiled_as, jitable, kernel
from widemargin.data.rows import Array, Dense, Rows, Sparse, entry, n_entries, n_features, row
from widemargin.data.samples import Samples, n_columns, without_rows
from widemargin.losses import Logistic, SquaredHinge, slope, value
from widemargin.objective import Objective, column, zero_weights
from widemargin.solvers.newton import column_side

ENOUGH = 0.01  # share of the predicted fall that a step must bring


def _squared_hinge_curve(loss: Any, p: Any, y: Any) -> Any:
    return 2.0 if y * p < 1.0 else 0.0


def _logistic_curve(loss: Any, p: Any, y: Any) -> Any:
    e = math.exp(-abs(p))
    return e / ((1.0 + e) * (1.0 + e))


CURVES: dict[type[Any], Callable[..., Any]] = {
    SquaredHinge: _squared_hinge_curve,
    Logistic: _logistic_curve,
}
STEEPEST = {SquaredHinge: 2.0, Logistic: 0.25}  # the largest second derivative


def curve(loss: SquaredHinge | Logistic, p: float, y: float) -> float:
    """ℓ″(p; y)."""
    return float(CURVES[type(loss)](loss, p, y))


@compiled_as(curve)
def _curve(loss: Any, p: Any, y: Any) -> Any:
    return CURVES.get(getattr(loss, "instance_class", type(None)))


class CoordinateState(NamedTuple):
    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    p: Array  # (K, n) scores
    live: Array  # (K,) bool


class Job(NamedTuple):
    """One column of weights."""

    loss: SquaredHinge | Logistic
    y: Array  # (n,)
    c: Array  # (n,)
    steepest: float


@dataclass(frozen=True)
class PrimalCoordinateDescent:
    """min_w,b  ‖w‖₁ + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ), ℓ the squared hinge or the logistic loss."""

    columns: Rows  # the transposed data, see `by_columns`

    def init(self, objective: Objective, samples: Samples) -> CoordinateState:
        k, n = n_columns(samples), len(samples.codes)
        W, b = zero_weights(samples)
        return CoordinateState(W, b, np.zeros((k, n)), np.ones(k, np.bool_))

    def epoch(
        self,
        objective: Objective,
        samples: Samples,
        order: Array,
        state: CoordinateState,
    ) -> CoordinateState:
        """One pass over the features in `order`, then the intercept; in place."""
        for k in map(int, np.flatnonzero(state.live)):
            y, c = column_side(objective.C, without_rows(samples), k)
            job = Job(objective.loss, y, c, STEEPEST[type(objective.loss)])  # type: ignore
            coordinate_epoch(job, self.columns, order, column(state.W, k), state.p[k])
            if objective.fit_intercept:
                state.b[k] += intercept_step(job, state.p[k])
        return state


def by_columns(rows: Rows) -> Rows:
    """The transpose: row j of the result is feature j. Dense data are only viewed."""
    if isinstance(rows, Dense):
        return Dense(rows.X.T)
    from scipy.sparse import csr_matrix

    signed = rows.indices.view(np.dtype(f"i{rows.indices.dtype.itemsize}"))
    shape = (len(rows.indptr) - 1, n_features(rows))
    turned = csr_matrix((rows.values, signed, rows.indptr), shape=shape).tocsc()
    unsigned = turned.indices.view(np.dtype(f"u{turned.indices.dtype.itemsize}"))
    return Sparse(turned.data, unsigned, turned.indptr.astype(np.int64), shape[0])


@jitable
def shrunk(z: float, a: float) -> float:
    """S(z, a) = sign(z) max(0, |z| − a)."""
    return math.copysign(max(0.0, abs(z) - a), z)


@kernel
def coordinate_epoch(job: Any, columns: Any, order: Array, w: Array, p: Array) -> None:
    """One step of each coordinate in `order`, w and p in place."""
    for j in order:
        x = row(columns, j)
        g, h, top = derivatives(job, x, p)
        if top == 0.0:
            w[j] = 0.0
            continue
        h = max(h, 1e-12 * top)
        d = shrunk(w[j] - g / h, 1.0 / h) - w[j]
        expected = g * d + abs(w[j] + d) - abs(w[j])
        if d != 0.0 and change(job, x, p, d) + abs(w[j] + d) - abs(w[j]) > ENOUGH * expected:
            d = shrunk(w[j] - g / top, 1.0 / top) - w[j]
        if d != 0.0:
            w[j] += d
            move(x, p, d)


@kernel
def intercept_step(job: Any, p: Array) -> float:
    """Newton on b until its slope is rounding; p in place, returns how far b moved."""
    moved = 0.0
    for _ in range(50):
        g, h, top = 0.0, 0.0, 0.0
        for i in range(p.size):
            g += job.c[i] * slope(job.loss, p[i], job.y[i])
            h += job.c[i] * curve(job.loss, p[i], job.y[i])
            top += job.c[i] * job.steepest
        if top == 0.0 or abs(g) <= 1e-13 * top:
            break
        d = -g / max(h, 1e-3 * top)
        p += d
        moved += d
    return moved


@jitable
def derivatives(job: Any, x: Any, p: Array) -> Any:
    """First, second and largest second derivative of the loss part along feature x."""
    g, h, top = 0.0, 0.0, 0.0
    for k in range(n_entries(x)):
        i, v = entry(x, k)
        g += job.c[i] * v * slope(job.loss, p[i], job.y[i])
        h += job.c[i] * v * v * curve(job.loss, p[i], job.y[i])
        top += job.c[i] * v * v * job.steepest
    return g, h, top


@jitable
def change(job: Any, x: Any, p: Array, d: float) -> float:
    """By how much the loss part changes when the weight of feature x grows by d."""
    rise = 0.0
    for k in range(n_entries(x)):
        i, v = entry(x, k)
        after = value(job.loss, p[i] + d * v, job.y[i])
        rise += job.c[i] * (after - value(job.loss, p[i], job.y[i]))
    return rise


@jitable
def move(x: Any, p: Array, d: float) -> None:
    """p ← p + d x."""
    for k in range(n_entries(x)):
        i, v = entry(x, k)
        p[i] += d * v
