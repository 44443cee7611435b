"""What is minimised, and the certificate of how close a fit came.

    f(W, b) = Σₖ [ r(wₖ) + C Σᵢ sᵢₖ ℓ(wₖᵀxᵢ + bₖ; yᵢₖ) ],      b not penalised
    D(α)    = Σₖ [ −r*(Σᵢ αᵢₖ yᵢₖ xᵢ) − Σᵢ cᵢₖ ℓ*(−αᵢₖ / cᵢₖ) ],   Σᵢ αᵢₖ yᵢₖ = 0

with cᵢₖ = C sᵢₖ. Weak duality, D(α) ≤ min f ≤ f(W, b), makes f − D a bound on the distance
from the optimum, whatever solver found W, b and α.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys
from widemargin.data.rows import Array, n_features, n_rows, row
from widemargin.data.samples import Samples, n_columns, share, sign, take_samples, without_rows
from widemargin.duals import conjugate
from widemargin.losses import Loss, slope, value
from widemargin.penalties import (
    L2,
    Penalty,
    largest_feasible_scale,
    penalty_conjugate,
    penalty_value,
)
from widemargin.scores import score_rows

PIECE = 4096  # rows whose scores are held at a time


class Objective(NamedTuple):
    """C Σ s ℓ + r, with or without an unpenalised intercept."""

    loss: Loss
    C: float
    penalty: Penalty = L2()
    fit_intercept: bool = True


class Certificate(NamedTuple):
    """primal − dual = gap bounds the suboptimality; relative_gap = gap / primal."""

    primal: float
    dual: float
    gap: float
    relative_gap: float


def certificate_of(primal: float, dual: float) -> Certificate:
    """The gap is no less than 0, whatever the rounding; a value that is no number stays none."""
    gap = 0.0 if dual >= primal else primal - dual
    return Certificate(primal, dual, gap, gap / primal if primal != 0.0 else 0.0)


def lam_of(objective: Objective, n: int) -> float:
    """λ of the per-sample form (1/n) Σ s ℓ + λ r: the objective divided by C n."""
    return 1.0 / (objective.C * n)


def zero_weights(samples: Samples) -> tuple[Array, Array]:
    """W of shape (d,) for one column, (d, K) for more, and b of shape (K,); all zero."""
    d, k = n_features(samples.rows), n_columns(samples)
    return np.zeros(d if k == 1 else (d, k)), np.zeros(k)


def column(W: Array, k: int) -> Array:
    """Column k of the weights, a view; a single one, a matrix, or lanes (d, 1, 8)."""
    return W if W.ndim == 1 else W[:, 0, k] if W.ndim == 3 else W[:, k]


def loss_sums(loss: Any, samples: Samples, W: Array, b: Array) -> Array:
    """Σᵢ sᵢₖ ℓ(wₖᵀxᵢ + bₖ; yᵢₖ) for each column k."""
    n, sums = n_rows(samples.rows), np.zeros(b.size)
    room = np.empty((min(n, PIECE), b.size))
    for start in range(0, n, PIECE):
        some = take_samples(samples, start, min(n, start + PIECE))
        p = room[: some.codes.size]
        score_rows(some.rows, W, b, p)
        add_losses(loss, without_rows(some), p, sums)
    return sums


@kernel
def add_losses(loss: Any, samples: Any, p: Array, sums: Array) -> None:
    """Add those at scores p (n, K) to `sums`.

    Code that allocates nothing loads sooner: np.zeros in it would import half of numba.
    """
    for i in range(p.shape[0]):
        for k in range(p.shape[1]):
            sums[k] += share(samples, i, k) * value(loss, p[i, k], sign(samples, i, k))


def slope_duals(loss: Any, C: float, samples: Samples, W: Array, b: Array) -> Array:
    """αᵢₖ = −cᵢₖ yᵢₖ ℓ′(wₖᵀxᵢ + bₖ; yᵢₖ), (n, K): the dual variables that the scores propose."""
    alpha = np.empty((n_rows(samples.rows), b.size))
    score_rows(samples.rows, W, b, alpha)
    propose(loss, C, without_rows(samples), alpha)
    return alpha


@kernel
def propose(loss: Any, C: float, samples: Any, p: Array) -> None:
    """Scores p (n, K) become the dual variables that they propose, in place."""
    for i in range(p.shape[0]):
        for k in range(p.shape[1]):
            y, c = sign(samples, i, k), C * share(samples, i, k)
            p[i, k] = -c * y * slope(loss, p[i, k], y)


@kernel
def combine(samples: Any, alpha: Array, W: Array) -> None:
    """wₖ = Σᵢ αᵢₖ yᵢₖ xᵢ, in place."""
    K = alpha.shape[1]
    g = np.empty(K)
    W[:] = 0.0
    for i in range(samples.codes.size):
        some = False
        for k in range(K):
            g[k] = alpha[i, k] * sign(samples, i, k)
            some |= g[k] != 0.0
        if some:
            axpys(g, row(samples.rows, i), W)


@kernel
def side_sums(samples: Any, alpha: Array) -> Array:
    """(2, K): Σ αᵢₖ over the negative and over the positive side of each column."""
    sums = np.zeros((2, alpha.shape[1]))
    for i in range(alpha.shape[0]):
        for k in range(alpha.shape[1]):
            sums[1 if sign(samples, i, k) > 0.0 else 0, k] += alpha[i, k]
    return sums


@kernel
def scale_sides(samples: Any, alpha: Array, scale: Array) -> None:
    """αᵢₖ ← scale[side, k] αᵢₖ, in place."""
    for i in range(alpha.shape[0]):
        for k in range(alpha.shape[1]):
            alpha[i, k] *= scale[1 if sign(samples, i, k) > 0.0 else 0, k]


@kernel
def conjugate_sums(loss: Any, C: float, samples: Any, alpha: Array, t: Array) -> Array:
    """Σᵢ cᵢₖ ℓ*(−tₖ αᵢₖ / cᵢₖ) for each column; samples of no weight add nothing."""
    sums = np.zeros(alpha.shape[1])
    for i in range(alpha.shape[0]):
        for k in range(alpha.shape[1]):
            c = C * share(samples, i, k)
            if c > 0.0:
                sums[k] += c * conjugate(loss, t[k] * alpha[i, k] / c)
    return sums


def primal(objective: Objective, samples: Samples, W: Array, b: Array) -> Array:
    """f of each column, shape (K,)."""
    losses = objective.C * loss_sums(objective.loss, samples, W, b)
    return losses + [penalty_value(objective.penalty, column(W, k)) for k in range(b.size)]


def dual(objective: Objective, samples: Samples, alpha: Array) -> Array:
    """D of each column at the best t α, 0 ≤ t ≤ 1, after making Σ αᵢₖ yᵢₖ = 0; shape (K,).

    α is balanced in place: the heavier side of a column is scaled down.
    """
    if objective.fit_intercept:
        balance(samples, alpha)
    V = zero_weights(samples)[0]
    combine(samples, alpha, V)
    K, labels = alpha.shape[1], without_rows(samples)
    top = np.array([largest_feasible_scale(objective.penalty, column(V, k)) for k in range(K)])

    def at(t: Array) -> Array:
        r = [penalty_conjugate(objective.penalty, t[k] * column(V, k)) for k in range(K)]
        return -np.array(r) - conjugate_sums(objective.loss, objective.C, labels, alpha, t)

    return best_on_segment(at, top)


def balance(samples: Samples, alpha: Array) -> None:
    """Scale the heavier side of each column so that Σ αᵢₖ yᵢₖ = 0, in place.

    Sides of opposite sign, which only losses that are no margin losses can have, become zero.
    """
    labels = without_rows(samples)
    sums = side_sums(labels, alpha)
    light = np.where(sums[0] * sums[1] > 0.0, np.abs(sums).min(axis=0), 0.0)
    scale = np.divide(light, np.abs(sums), out=np.ones_like(sums), where=sums != 0.0)
    scale_sides(labels, alpha, np.minimum(scale, 1.0))


def best_on_segment(at: Any, top: Array) -> Array:
    """The largest of a concave function seen at 0, top/2, top and the vertex of their parabola.

    For every loss but the logistic D(t α) is a parabola in t, so the vertex is the best point;
    for the logistic it is near it, and a dual value at any point is a sound bound. Where the
    dual is −∞ at the top, by rounding, there is no parabola and the other points remain.
    """
    none, half, full = at(np.zeros_like(top)), at(0.5 * top), at(top)
    bend = full - 2.0 * half + none
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = top * (0.5 - 0.25 * (full - none) / bend)
    vertex = np.clip(np.where(bend < 0.0, vertex, top), 0.0, top)
    best: Array = np.fmax.reduce([none, half, full, at(vertex)])
    return best


def certify(objective: Objective, samples: Samples, W: Array, b: Array) -> Certificate:
    """The certificate of any (W, b), from the dual variables that its own slopes propose.

    Sound for every solver; tight near the optimum of smooth losses, looser for the hinge, whose
    slopes at the kink carry no information. The dual solver certifies itself from its own α.
    """
    alpha = slope_duals(objective.loss, objective.C, samples, W, b)
    upper = primal(objective, samples, W, b).sum()
    return certificate_of(float(upper), float(dual(objective, samples, alpha).sum()))
