"""One look at all samples from given weights: scores, losses, certificate; on threads.

The data are read once: while a row is at hand, its scores propose its α, and α y x is added to
V₋ or V₊, a V for either side, so that the sides can be balanced afterwards.
`objective.certify` is the same on one thread, step by step.
Sums run over fixed ranges of rows in a fixed order, so the result does not depend on the
number of threads. The kernels allocate nothing, so that their code loads soon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, n_nonzeros, n_rows, row
from widemargin.data.samples import Samples, share, sign, take_samples, without_rows
from widemargin.duals import conjugate
from widemargin.losses import slope, value
from widemargin.objective import (
    Certificate,
    Objective,
    best_on_segment,
    certificate_of,
    column,
    loss_sums,
)
from widemargin.penalties import largest_feasible_scale, penalty_conjugate, penalty_value
from widemargin.threads import each, ranges

SUMS = 4  # ranges that add up a V of their own


class Seen(NamedTuple):
    """What a range of rows adds up to."""

    losses: Array  # (K,) Σ sᵢₖ ℓ
    sides: Array  # (2, K) Σ αᵢₖ over the negative and over the positive side
    V: Array  # (2, d) or (2, d, K): Σ αᵢₖ yᵢₖ xᵢ over either side


class Evaluation(NamedTuple):
    scores: Array | None  # (n, K) wₖᵀxᵢ + bₖ; None where they are too many to be kept
    certificate: Certificate
    errors: int | None = None  # rows on a wrong side, where they were counted


@lean_kernel
def look_through(
    of: Any, samples: Any, W: Array, b: Array, p: Array, alpha: Array, room: Array, seen: Any
) -> None:
    """Scores p, and αᵢₖ = −cᵢₖ yᵢₖ ℓ′(pᵢₖ; yᵢₖ), in place; adds to what was `seen`.

    `of` is the pair ℓ, C: the same code serves all penalties.
    room (2, K) is scratch: the moves of a row on the negative and on the positive side.
    """
    loss, C = of
    for i in range(p.shape[0]):
        x, q = row(samples.rows, i), p[i]
        dots(x, W, q)
        below = above = False
        for k in range(b.size):
            q[k] += b[k]
            y, s = sign(samples, i, k), share(samples, i, k)
            a = -C * s * y * slope(loss, q[k], y)
            alpha[i, k] = a
            side = 1 if y > 0.0 else 0
            seen.losses[k] += s * value(loss, q[k], y)
            seen.sides[side, k] += a
            room[side, k], room[1 - side, k] = a * y, 0.0
            below |= a != 0.0 and side == 0
            above |= a != 0.0 and side == 1
        if below:
            axpys(room[0], x, seen.V[0])
        if above:
            axpys(room[1], x, seen.V[1])


@lean_kernel
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
    p = np.empty((n_rows(samples.rows), b.size))
    alpha = np.empty_like(p)
    sums = empty_sums(W, b, n_nonzeros(samples.rows))
    look(objective, samples, plain(W, b), p, alpha, sums, threads)

    def conjugates(scale: Array, t: Array) -> Array:
        return conjugates_of(objective, samples, alpha, scale, t, threads)

    return Evaluation(p, proof(objective, W, added(sums), conjugates))


def proof(
    objective: Objective, W: Array, seen: Seen, conjugates: Callable[[Array, Array], Array]
) -> Certificate:
    """The certificate, from what all rows add up to and Σ c ℓ* at t α with scaled sides."""
    K = seen.losses.size
    scale = balancing(seen.sides) if objective.fit_intercept else np.ones((2, K))
    V = scale[0] * seen.V[0] + scale[1] * seen.V[1]
    penalty = sum(penalty_value(objective.penalty, column(W, k)) for k in range(K))
    primal = float(objective.C * seen.losses.sum() + penalty)
    return certificate_of(primal, dual_value(objective, V, lambda t: conjugates(scale, t)))


def losses_of(objective: Objective, samples: Samples, W: Array, b: Array, threads: int) -> Array:
    """Σᵢ sᵢₖ ℓ of each column, shape (K,)."""

    def part(start: int, stop: int) -> Array:
        return loss_sums(objective.loss, take_samples(samples, start, stop), W, b)

    losses: Array = np.sum(each(part, ranges(n_rows(samples.rows)), threads), axis=0)
    return losses


def look(
    objective: Objective,
    samples: Samples,
    weights: tuple[Array, Array],
    p: Array,
    alpha: Array,
    sums: list[Seen],
    threads: int,
) -> None:
    """Fill p and α of all rows; each range of them adds to sums of its own."""
    W, b = weights
    parts = ranges(len(p), len(sums))
    own = {start: seen for (start, _), seen in zip(parts, sums, strict=False)}
    of = objective.loss, objective.C

    def part(start: int, stop: int) -> None:
        some, room = take_samples(samples, start, stop), np.empty((2, b.size))
        look_through(of, some, W, b, p[start:stop], alpha[start:stop], room, own[start])

    each(part, parts, threads)


def plain(W: Array, b: Array) -> tuple[Array, Array]:
    """Weights as the kernels are compiled for."""
    return np.ascontiguousarray(W, np.float64), np.ascontiguousarray(b, np.float64)


def empty_sums(W: Array, b: Array, nonzeros: int) -> list[Seen]:
    """Zeros for each of some ranges of rows; for one, where more would outweigh the data."""
    parts = SUMS if 2 * SUMS * W.size <= nonzeros else 1
    shapes = (b.shape, (2, b.size), (2, *W.shape))
    return [Seen(*map(np.zeros, shapes)) for _ in range(parts)]


def added(sums: list[Seen]) -> Seen:
    """The sum of all, in the arrays of the first."""
    whole, *others = sums
    for other in others:
        for into, more in zip(whole, other, strict=True):
            np.add(into, more, out=into)
    return whole


def balancing(sums: Array) -> Array:
    """(2, K) factors that scale the heavier side down until Σ αᵢₖ yᵢₖ = 0.

    Sides of opposite sign, which only losses that are no margin losses can have, become zero.
    """
    light = np.where(sums[0] * sums[1] > 0.0, np.abs(sums).min(axis=0), 0.0)
    factors = np.divide(light, np.abs(sums), out=np.ones_like(sums), where=sums != 0.0)
    return np.minimum(factors, 1.0)


def conjugates_of(
    objective: Objective, samples: Samples, alpha: Array, scale: Array, t: Array, threads: int
) -> Array:
    """Σᵢ cᵢₖ ℓ*(−tₖ scale[side, k] αᵢₖ / cᵢₖ) of each column, shape (K,)."""

    def part(start: int, stop: int) -> Array:
        some = without_rows(take_samples(samples, start, stop))
        sums, u = np.zeros(t.size), alpha[start:stop]
        scaled_conjugates(objective.loss, objective.C, some, scale, u, t, sums)
        return sums

    return np.asarray(np.sum(each(part, ranges(len(alpha)), threads), axis=0))


def dual_value(objective: Objective, V: Array, conjugates: Callable[[Array], Array]) -> float:
    """D at the best t α, 0 ≤ t ≤ 1, from V = Σ αᵢₖ yᵢₖ xᵢ and the conjugates at t α."""
    r, K = objective.penalty, 1 if V.ndim == 1 else V.shape[1]
    columns = [column(V, k) for k in range(K)]
    top = np.array([largest_feasible_scale(r, v) for v in columns])

    def at(t: Array) -> Array:
        penalty = [penalty_conjugate(r, t[k] * v) for k, v in enumerate(columns)]
        value: Array = -np.array(penalty) - conjugates(t)
        return value

    return float(best_on_segment(at, top).sum())
