"""The loops of sequential minimal optimisation; `smo.py` says what they are for.

Maxima are taken lane by lane, LANES numbers at once: compilers do not turn a running maximum over
a vector into vector instructions, but they do so for many maxima side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import fast_kernel, lean_kernel
from widemargin.data.rows import Array

LANES = 32
FAR = 1e300  # stands for infinity in sums
TINY = 1e-12  # curvatures below count as this, as in LIBSVM


class Working(NamedTuple):
    """q variables that are moved together; q is a multiple of LANES, padded by fixed ones.

    up and low are 0 where α may move so that y α rises, or falls, and −FAR where it may not.
    """

    K: Array  # (q, q)
    y: Array  # (q,) ±1
    alpha: Array  # (q,)
    upper: Array  # (q,) bounds c of α
    v: Array  # (q,) y − Σ α y K
    up: Array
    low: Array
    diag: Array  # (q,) K's diagonal
    gain: Array  # (q,) scratch
    most: Array  # (LANES,) scratch
    least: Array  # (LANES,) scratch


def working(K: Array, y: Array, alpha: Array, upper: Array, v: Array, diag: Array) -> Working:
    """Padded to a multiple of LANES; what is padded can move nowhere."""
    q = -(-len(y) // LANES) * LANES
    more = (0, q - len(y))
    padded = [np.pad(x, more) for x in (y, alpha, upper, v, diag)]
    square = np.pad(K, (more, more))
    scratch = [np.full(q, -FAR), np.full(q, -FAR), np.zeros(q), np.zeros(LANES), np.zeros(LANES)]
    y, alpha, upper, v, diag = padded
    up, low, gain, most, least = scratch
    return Working(square, y, alpha, upper, v, up, low, diag, gain, most, least)


@lean_kernel
def sides(w: Any, t: int) -> None:
    """Whether y α of variable t may rise and fall."""
    rises = (w.y[t] > 0.0 and w.alpha[t] < w.upper[t]) or (w.y[t] < 0.0 and w.alpha[t] > 0.0)
    falls = (w.y[t] > 0.0 and w.alpha[t] > 0.0) or (w.y[t] < 0.0 and w.alpha[t] < w.upper[t])
    w.up[t] = 0.0 if rises else -FAR
    w.low[t] = 0.0 if falls else -FAR


@lean_kernel
def step_all(v: Array, up: Array, low: Array, step: float, a: Array, b: Array, w: Any) -> None:
    """v ← v − step (a − b); lane-wise max of v + up and min of v − low."""
    most, least = w.most, w.least
    for k in range(LANES):
        most[k], least[k] = -FAR, FAR
    for s in range(0, v.size, LANES):
        x, ups, lows = v[s : s + LANES], up[s : s + LANES], low[s : s + LANES]
        A, B = a[s : s + LANES], b[s : s + LANES]
        for k in range(LANES):
            z = x[k] - step * (A[k] - B[k])
            x[k] = z
            m = most[k]
            h = z + ups[k]
            m = h if h > m else m
            most[k] = m
            m = least[k]
            h = z - lows[k]
            m = h if h < m else m
            least[k] = m


@lean_kernel
def gains(w: Any, i: int, top: float, row: Array) -> None:
    """gain[j] = (top − vⱼ)² / (Kᵢᵢ + Kⱼⱼ − 2 Kᵢⱼ) where yⱼαⱼ may fall and vⱼ < top, else 0."""
    own, most = w.diag[i], w.most
    for k in range(LANES):
        most[k] = 0.0
    for s in range(0, w.v.size, LANES):
        v, lows, d = w.v[s : s + LANES], w.low[s : s + LANES], w.diag[s : s + LANES]
        r, gain = row[s : s + LANES], w.gain[s : s + LANES]
        for k in range(LANES):
            b = top - v[k] + lows[k]
            b = b if b > 0.0 else 0.0
            h = own + d[k] - 2.0 * r[k]
            h = h if h > TINY else TINY
            g = b * b / h
            gain[k] = g
            m = most[k]
            m = g if g > m else m
            most[k] = m


@lean_kernel
def position_of(value: float, lane: int, x: Array) -> int:
    """The first t of a lane with x[t] = value > 0, or −1."""
    for t in range(lane, x.size, LANES):
        if x[t] == value and value > 0.0:
            return t
    return -1


@lean_kernel
def position_above(value: float, lane: int, w: Any) -> int:
    """The first t of a lane with v[t] + up[t] = value."""
    for t in range(lane, w.v.size, LANES):
        if w.v[t] + w.up[t] == value:
            return t
    return -1


@lean_kernel
def largest_lane(most: Array) -> int:
    lane = 0
    for k in range(1, LANES):
        if most[k] > most[lane]:
            lane = k
    return lane


@lean_kernel
def smallest(least: Array) -> float:
    low = FAR
    for k in range(LANES):
        low = min(low, least[k])
    return low


@lean_kernel
def move_pair(w: Any, i: int, j: int) -> float:
    """yᵢαᵢ rises and yⱼαⱼ falls by the step that is best within the bounds; returns it.

    The step is inf where no bound ends a direction without curvature.
    """
    h = w.diag[i] + w.diag[j] - 2.0 * w.K[i, j]
    step = (w.v[i] - w.v[j]) / max(h, TINY)
    room_i = w.upper[i] - w.alpha[i] if w.y[i] > 0.0 else w.alpha[i]
    room_j = w.alpha[j] if w.y[j] > 0.0 else w.upper[j] - w.alpha[j]
    room = min(room_i, room_j)
    if h <= TINY and room == np.inf:
        return np.inf
    step = min(step, room)
    if step == room_i:
        w.alpha[i] = w.upper[i] if w.y[i] > 0.0 else 0.0
    else:
        w.alpha[i] += w.y[i] * step
    if step == room_j:
        w.alpha[j] = 0.0 if w.y[j] > 0.0 else w.upper[j]
    else:
        w.alpha[j] -= w.y[j] * step
    sides(w, i)
    sides(w, j)
    return step  # type: ignore[no-any-return]


@lean_kernel
def solve_working(w: Any, n: int, eps: float, limit: int) -> Any:
    """Pair steps until max v over those that may rise ≤ min v over those that may fall + eps.

    Second-order choice: i of the largest v, j of the largest gain with it. Fan, Chen & Lin,
    Working set selection using second order information, 2005. Returns (steps, i, j), with i ≥ 0
    where moving i and j against each other raises the dual without end.
    """
    for t in range(n):
        sides(w, t)
    step_all(w.v, w.up, w.low, 0.0, w.K[0], w.K[0], w)
    steps = 0
    while steps < limit:
        lane = largest_lane(w.most)
        top = w.most[lane]
        if top - smallest(w.least) <= eps or top <= -0.5 * FAR:
            break
        i = position_above(top, lane, w)
        gains(w, i, top, w.K[i])
        lane = largest_lane(w.most)
        j = position_of(w.most[lane], lane, w.gain)
        if j < 0:
            break
        step = move_pair(w, i, j)
        if step == np.inf:
            return steps, i, j
        step_all(w.v, w.up, w.low, step, w.K[i], w.K[j], w)
        steps += 1
    return steps, -1, -1


@fast_kernel
def descend(rows: Array, slots: Array, weight: Array, first: int, v: Array) -> None:
    """vᵢ ← vᵢ − Σₖ weight[k] rows[slots[k], first + i], in pieces that stay in the nearest cache.

    Four rows at a time: v is loaded and stored once for all four.
    """
    for begin in range(0, v.size, 1024):
        x = v[begin : begin + 1024]
        s, e = first + begin, first + begin + x.size
        fours = slots.size - slots.size % 4
        for k in range(0, fours, 4):
            a, b, c, d = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            A, B = rows[slots[k], s:e], rows[slots[k + 1], s:e]
            C, D = rows[slots[k + 2], s:e], rows[slots[k + 3], s:e]
            for i in range(x.size):
                x[i] -= a * A[i] + b * B[i] + c * C[i] + d * D[i]
        for k in range(fours, slots.size):
            a, A = weight[k], rows[slots[k], s:e]
            for i in range(x.size):
                x[i] -= a * A[i]
