"""The loops of dual coordinate descent; `dual.py` says what they are for."""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import jitable, kernel, lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row, squared_norm
from widemargin.data.samples import share, sign
from widemargin.duals import ascend, dual_slope, largest
from widemargin.losses import value


@jitable
def held(a: float, slope: float, top: float) -> bool:
    """α sits at a bound and its slope pushes it further out."""
    return (a <= 0.0 and slope >= 0.0) or (a >= top and slope <= 0.0)


# long: one pass, whose steps share too many running values to be cut in two
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
def rebalance(objective: Any, samples: Any, state: Any, totals: Array) -> None:
    """Make Σᵢ αᵢₖ yᵢₖ = 0 in every column by shrinking α on the heavier side, in place.

    Free α give way first: the dual is flat there, so it falls in second order only. Each gives
    half of itself, or more where half of all does not suffice, until the balance is met; what
    free α cannot give, those at their largest do. totals (K, 2, 2) are `side_totals`.
    """
    g = np.zeros(state.b.size)
    for k in range(state.b.size):
        free, full, heavy = heavier_side(state, totals, k)
        left = state.delta[k] * heavy
        left = give_way(objective, samples, state, k, (heavy, free, full, left), left, g)
        state.delta[k] = left * heavy


@kernel
def give_way(
    objective: Any, samples: Any, state: Any, k: int, imbalance: Any, left: float, g: Array
) -> float:
    """Shrink α on the heavier side of column k until `left` is no more; returns what remains.

    imbalance = (sign of that side, Σ of its free α, Σ of those at their largest, |δ|), of all
    rows, of which `samples` may be a part; g (K,) are zeros, and scratch.
    """
    heavy, free, full, whole = imbalance
    share_free = max(0.5, whole / free) if free > 0.0 else 0.0
    share_full = (whole - free) / full if full > 0.0 and whole > free else 0.0
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
    return left


@jitable
def at_largest(objective: Any, samples: Any, i: int, k: int, a: float) -> bool:
    return a >= largest(objective.loss, objective.C * share(samples, i, k))


@jitable
def heavier_side(state: Any, totals: Array, k: int) -> Any:
    """Refresh δ of column k; (Σ free α, Σ α at their largest, sign) of its heavier side."""
    free, full = totals[k, 0], totals[k, 1]
    state.delta[k] = (free[1] + full[1]) - (free[0] + full[0])
    heavy = 1 if state.delta[k] > 0.0 else 0
    return free[heavy], full[heavy], 2.0 * heavy - 1.0


@lean_kernel
def side_totals(objective: Any, samples: Any, alpha: Array, totals: Array) -> None:
    """Add Σ αᵢₖ of the (negative, positive) side to totals[k, 0], free α, or totals[k, 1], α at
    their largest."""
    for k in range(alpha.shape[1]):
        for i in range(alpha.shape[0]):
            a = alpha[i, k]
            side = 1 if sign(samples, i, k) > 0.0 else 0
            full = 1 if at_largest(objective, samples, i, k, a) else 0
            totals[k, full, side] += a


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


@kernel
def mean_norm(rows: Any, n: int) -> float:
    total = 0.0
    for i in range(n):
        total += squared_norm(row(rows, i)) / n
    return total


@kernel
def total_shares(samples: Any, columns: int) -> Any:
    """Σᵢ sᵢₖ of each column."""
    sums = np.zeros(columns)
    for i in range(samples.codes.size):
        for k in range(columns):
            sums[k] += share(samples, i, k)
    return sums
