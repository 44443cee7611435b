"""One look at all samples from given weights: scores, losses, certificate; on threads.

The data are read twice: once for the scores, once for V = Σ αᵢₖ yᵢₖ xᵢ over the α that the
slopes at those scores propose. `objective.certify` is the same on one thread, step by step.
Sums run over fixed ranges of rows in a fixed order, so the result does not depend on the
number of threads. The kernels allocate nothing, so that their code loads soon.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys
from widemargin.data.rows import Array, n_nonzeros, row
from widemargin.data.samples import Samples, share, sign, take_samples
from widemargin.duals import conjugate
from widemargin.losses import slope, value
from widemargin.objective import (
    Certificate,
    Objective,
    best_on_segment,
    certificate_of,
    column,
    zero_weights,
)
from widemargin.penalties import largest_feasible_scale, penalty_conjugate, penalty_value
from widemargin.scores import scores
from widemargin.threads import each, ranges

SUMS = 4  # ranges that add up a V of their own


class Evaluation(NamedTuple):
    scores: Array  # (n, K) wₖᵀxᵢ + bₖ
    certificate: Certificate


@kernel
def propose(loss: Any, C: float, samples: Any, p: Array, alpha: Array, sums: Array) -> None:
    """αᵢₖ = −cᵢₖ yᵢₖ ℓ′(pᵢₖ; yᵢₖ), in place; adds to the (3, K) sums of each column:
    sᵢₖ ℓ over all samples, α over the negative side, α over the positive side."""
    for i in range(p.shape[0]):
        for k in range(p.shape[1]):
            y, s = sign(samples, i, k), share(samples, i, k)
            a = -C * s * y * slope(loss, p[i, k], y)
            alpha[i, k] = a
            sums[0, k] += s * value(loss, p[i, k], y)
            sums[2 if y > 0.0 else 1, k] += a


@kernel
def add_rows(samples: Any, scale: Array, alpha: Array, g: Array, V: Array) -> None:
    """vₖ ← vₖ + Σᵢ scale[side, k] αᵢₖ yᵢₖ xᵢ, in place; g is room for K numbers."""
    for i in range(alpha.shape[0]):
        some = False
        for k in range(g.size):
            y = sign(samples, i, k)
            g[k] = scale[1 if y > 0.0 else 0, k] * alpha[i, k] * y
            some |= g[k] != 0.0
        if some:
            axpys(g, row(samples.rows, i), V)


@kernel
def scaled_conjugates(
    loss: Any, C: float, samples: Any, scale: Array, alpha: Array, t: Array, sums: Array
) -> None:
    """Add Σᵢ cᵢₖ ℓ*(−tₖ scale[side, k] αᵢₖ / cᵢₖ) of each column to `sums`."""
    for i in range(alpha.shape[0]):
        for k in range(alpha.shape[1]):
            c = C * share(samples, i, k)
            if c > 0.0:
                side = 1 if sign(samples, i, k) > 0.0 else 0
                sums[k] += c * conjugate(loss, t[k] * scale[side, k] * alpha[i, k] / c)


def evaluate(
    objective: Objective, samples: Samples, W: Array, b: Array, *, threads: int = 1
) -> Evaluation:
    """Scores and the certificate of any (W, b), as `objective.certify` defines it."""
    p, alpha, sums = _proposed(objective, samples, W, b, threads)
    scale = balancing(sums[1:]) if objective.fit_intercept else np.ones((2, b.size))
    penalty = sum(penalty_value(objective.penalty, column(W, k)) for k in range(b.size))
    primal = float(objective.C * sums[0].sum() + penalty)
    dual = _dual(objective, samples, alpha, scale, threads)
    return Evaluation(p, certificate_of(primal, dual))


def losses_of(objective: Objective, samples: Samples, W: Array, b: Array, threads: int) -> Array:
    """Σᵢ sᵢₖ ℓ of each column, shape (K,)."""
    losses: Array = _proposed(objective, samples, W, b, threads)[2][0]
    return losses


def _proposed(
    objective: Objective, samples: Samples, W: Array, b: Array, threads: int
) -> tuple[Array, Array, Array]:
    """(scores, α, sums as `propose` gives them)."""
    p = scores(samples.rows, W, b, threads)
    alpha = np.empty_like(p)

    def part(start: int, stop: int) -> Array:
        some = take_samples(samples, start, stop)
        sums = np.zeros((3, b.size))
        propose(objective.loss, objective.C, some, p[start:stop], alpha[start:stop], sums)
        return sums

    return p, alpha, np.sum(each(part, ranges(len(p)), threads), axis=0)


def balancing(sums: Array) -> Array:
    """(2, K) factors that scale the heavier side down until Σ αᵢₖ yᵢₖ = 0.

    Sides of opposite sign, which only losses that are no margin losses can have, become zero.
    """
    light = np.where(sums[0] * sums[1] > 0.0, np.abs(sums).min(axis=0), 0.0)
    factors = np.divide(light, np.abs(sums), out=np.ones_like(sums), where=sums != 0.0)
    return np.minimum(factors, 1.0)


def _dual(
    objective: Objective, samples: Samples, alpha: Array, scale: Array, threads: int
) -> float:
    """D at the best t α, 0 ≤ t ≤ 1, with the sides of α scaled."""
    n, K = alpha.shape
    V = _combined(samples, alpha, scale, threads)
    r, columns = objective.penalty, [column(V, k) for k in range(K)]
    top = np.array([largest_feasible_scale(r, v) for v in columns])

    def at(t: Array) -> Array:
        def part(start: int, stop: int) -> Array:
            some = take_samples(samples, start, stop)
            sums, u = np.zeros(K), alpha[start:stop]
            scaled_conjugates(objective.loss, objective.C, some, scale, u, t, sums)
            return sums

        penalty = [penalty_conjugate(r, t[k] * v) for k, v in enumerate(columns)]
        value: Array = -np.array(penalty) - np.sum(each(part, ranges(n), threads), axis=0)
        return value

    return float(best_on_segment(at, top).sum())


def _combined(samples: Samples, alpha: Array, scale: Array, threads: int) -> Array:
    """V, each range of rows into an array of its own unless these outweigh the data."""
    size = zero_weights(samples)[0].size
    parts = SUMS if SUMS * size <= n_nonzeros(samples.rows) else 1

    def part(start: int, stop: int) -> Array:
        V: Array = zero_weights(samples)[0]
        room = np.empty(alpha.shape[1])
        add_rows(take_samples(samples, start, stop), scale, alpha[start:stop], room, V)
        return V

    whole, *others = each(part, ranges(len(alpha), parts), threads)
    for piece in others:
        np.add(whole, piece, out=whole)
    return whole
