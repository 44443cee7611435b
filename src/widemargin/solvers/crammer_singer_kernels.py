"""The loops of the joint multiclass SVM; `crammer_singer.py` says what they are for.

Sample i of class y and weight c = C sᵢ spreads its mass c over the K classes: rᵢₘ ≥ 0,
Σₘ rᵢₘ = c, with αᵢₘ = c [m = y] − rᵢₘ. Mass that stays on y is not used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import jitable, kernel, lean_kernel
from widemargin.data.columns import axpys
from widemargin.data.lines import all_axpys, all_dots
from widemargin.data.prefetch import ask_for_row
from widemargin.data.rows import Array, axpy, dot, row, squared_norm
from widemargin.data.samples import share

MOST_REST = 4  # epochs
FEW = 2  # classes that move one by one; more of them in whole lines
LISTED = 8  # classes of a sample that can be listed; beyond, its steps see all


class Room(NamedTuple):
    """Scratch of one sample, each of shape (K,) but for the first two."""

    G: Array  # (K′,) slopes in the masses
    move: Array  # (K′,) zeros, between two steps
    D: Array  # slopes without the sample's own part
    r: Array  # new masses
    ids: Array  # int64, the classes in hand
    sorted: Array  # int64


@jitable
def reached(x: Any, state: Any, i: int, G: Array, ids: Array) -> Any:
    """Scores of the classes listed for sample i, or of all, into G; their ids; how many."""
    n = state.listed[i]
    if n == 0:
        all_dots(x, state.W, G)
        for m in range(state.b.size):
            ids[m] = m
        return state.b.size
    for t in range(n):
        ids[t] = state.classes[i, t]
        G[t] = dot(x, state.W[:, ids[t]])
    return int(n)


@jitable
def slopes(y: int, b: Array, mass: Array, G: Array, ids: Array, n: int) -> Any:
    """Turn the scores of n classes into Gₘ = wₘᵀx + bₘ + [m ≠ y], in place.

    Returns the largest, its class, the largest of the others, the least with mass on it.
    """
    high, best, second, low = -np.inf, 0, -np.inf, np.inf
    for t in range(n):
        m = ids[t]
        G[t] += b[m] + (0.0 if m == y else 1.0)
        if G[t] > high:
            high, best, second = G[t], m, high
        elif G[t] > second:
            second = G[t]
        if mass[m] > 0.0 and G[t] < low:
            low = G[t]
    return high, best, second, low


@jitable
def list_class(state: Any, i: int, m: int, listed: int) -> int:
    """Note class m of sample i, while there is room; how many there were so far."""
    if listed < LISTED:
        state.classes[i, listed] = m
    return listed + 1


@lean_kernel
def project(D: Array, A: float, c: float, ids: Array, r: Array) -> None:
    """r = argmin ½ A‖r‖² − Dᵀr over the simplex r ≥ 0, Σ r = c, in place; ids is scratch.

    rₘ = max(0, Dₘ − β) / A. Only classes within A c of the largest D can carry mass. They are
    sorted, and β is the mean of those first ones that stay above it, less A c over their number
    (Crammer & Singer, 2001, section 6.1).
    """
    high, n = -np.inf, 0
    for m in range(D.size):
        high = max(high, D[m])
    for m in range(D.size):
        r[m] = 0.0
        if D[m] - high >= -A * c:
            k = n
            while k > 0 and D[ids[k - 1]] < D[m]:
                ids[k] = ids[k - 1]
                k -= 1
            ids[k] = m
            n += 1
    used, beta, total = 1, -A * c, 0.0  # β times `used`, both without `high`
    while used < n and beta < used * (D[ids[used]] - high):
        beta += D[ids[used]] - high
        used += 1
    for k in range(used):
        r[ids[k]] = (D[ids[k]] - high) - beta / used
        total += r[ids[k]]
    if total <= 0.0:  # A c is nothing beside the slopes
        r[ids[0]] = total = 1.0
    for k in range(used):
        r[ids[k]] *= c / total


# long: one pass, whose steps share too many running values to be cut in two
@lean_kernel
def joint_epoch(C: float, samples: Any, order: Array, state: Any, room: Any) -> Any:
    """Exact steps in the masses of a sample, along `order`, in place.

    Returns (gain, Σ violations, Σ parts in the duality gap, number) of the steps. Marks
    in `keep` the samples whose mass does not sit on one class by more than `slack`, lets those
    rest that have little part in the gap, and lists the classes of a sample that are not out of
    reach by `slack`: until the next look at all of them, its steps see only those.
    """
    W, b, rho, slack = state.W, state.b, state.rho, state.slack
    G, D, r, ids, N = room.G, room.D, room.r, room.ids, order.size
    gain, violation, parts, steps = 0.0, 0.0, 0.0, 0
    for u in range(N):
        i = order[u]
        if u + 2 < N:
            ask_for_row(samples.rows, order[u + 2])
        y, mass, x = samples.codes[i], state.masses[i], row(samples.rows, i)
        c = C * share(samples, i, y)
        n = reached(x, state, i, G, ids)
        high, best, second, low = slopes(y, b, mass, G, ids, n)
        if mass[best] == c:  # all of it is where it should be; also where there is none
            state.keep[i], state.parts[i] = c > 0.0 and high - second <= slack, 0.0
            continue
        A, part, listed, moved = squared_norm(x) + rho, 0.0, 0, 0
        for t in range(n):
            D[t] = G[t] + A * mass[ids[t]]
            part += (high - G[t]) * mass[ids[t]]
        project(D[:n], A, c, room.sorted, r)
        for t in range(n):
            m = ids[t]
            move = r[t] - mass[m]
            if move != 0.0:
                gain += (G[t] - high - 0.5 * A * move) * move
                b[m] -= rho * move
                state.delta[m] -= move
                mass[m] = r[t]
                room.move[m] = -move
                moved += 1
            if G[t] >= low - slack or r[t] > 0.0:
                listed = list_class(state, i, m, listed)
        step_in(x, ids[:n], moved, room.move, W)
        state.keep[i], state.listed[i] = True, listed if listed <= LISTED else 0
        state.rest[i], state.parts[i] = epochs_to_rest(part, state.ease), part
        violation += high - low
        parts += part
        steps += 1
    return gain, violation, parts, steps


@jitable
def step_in(x: Any, ids: Array, moved: int, move: Array, W: Array) -> None:
    """wₘ ← wₘ + moveₘ x for the classes in hand, of which `moved` move; then move is 0 again."""
    if moved > FEW:
        all_axpys(move, x, W)
    for m in ids:
        if move[m] != 0.0 and moved <= FEW:
            axpy(move[m], x, W[:, m])
        move[m] = 0.0


@jitable
def epochs_to_rest(part: float, ease: float) -> int:
    """How many epochs a sample rests whose part in the gap is below `ease`: one, and one more
    for every third of what it is below it."""
    epochs = 0
    while epochs < MOST_REST and part < ease:
        epochs += 1
        ease *= 0.3
    return epochs


@kernel
def joint_scores(samples: Any, W: Array, scores: Array) -> None:
    """scores[i, m] = wₘᵀxᵢ."""
    g = np.empty(W.shape[1])
    for i in range(scores.shape[0]):
        all_dots(row(samples.rows, i), W, g)
        for m in range(scores.shape[1]):
            scores[i, m] = g[m]


@lean_kernel
def joint_losses(samples: Any, scores: Array, b: Array) -> float:
    """Σᵢ sᵢ maxₘ { scoresᵢₘ + bₘ + [m ≠ yᵢ] − scoresᵢᵧ − bᵧ }."""
    total = 0.0
    for i in range(scores.shape[0]):
        y, high = samples.codes[i], -np.inf
        for m in range(b.size):
            high = max(high, scores[i, m] + b[m] + (0.0 if m == y else 1.0))
        total += share(samples, i, y) * (high - scores[i, y] - b[y])
    return total


@lean_kernel
def joint_reselect(C: float, samples: Any, scores: Array, state: Any, ids: Array) -> None:
    """Mark samples and list classes anew, as `joint_epoch` does, from all scores.

    Scores become slopes; ids is scratch.
    """
    for m in range(ids.size):
        ids[m] = m
    for i in range(scores.shape[0]):
        y, G, mass = samples.codes[i], scores[i], state.masses[i]
        c = C * share(samples, i, y)
        high, best, second, low = slopes(y, state.b, mass, G, ids, ids.size)
        held = mass[best] == c and high - second > state.slack
        state.keep[i] = c > 0.0 and not held
        state.rest[i], listed = 0, 0
        for m in range(ids.size):
            if G[m] >= low - state.slack or mass[m] > 0.0:
                listed = list_class(state, i, m, listed)
        state.listed[i] = listed if listed <= LISTED else 0


@kernel
def joint_weights(C: float, samples: Any, masses: Array, W: Array) -> None:
    """wₘ = Σᵢ αᵢₘ xᵢ, in place."""
    g = np.empty(masses.shape[1])
    W[:] = 0.0
    for i in range(masses.shape[0]):
        y = samples.codes[i]
        c = C * share(samples, i, y)
        if masses[i, y] != c:
            g[:] = -masses[i]
            g[y] += c
            axpys(g, row(samples.rows, i), W)


@jitable
def extremes(delta: Array, mass: Array, free: bool) -> Any:
    """(class with mass of the least δ, class of the largest δ), the latter with mass if `free`."""
    least, most = -1, -1
    for m in range(delta.size):
        if mass[m] > 0.0 and (least < 0 or delta[m] < delta[least]):
            least = m
        if (mass[m] > 0.0 or not free) and (most < 0 or delta[m] > delta[most]):
            most = m
    return least, most


@kernel
def joint_rebalance(C: float, samples: Any, state: Any) -> None:
    """Make δₘ = Σᵢ αᵢₘ = 0 for every class by moving mass from classes with δ < 0 to those with
    δ > 0, in place.

    First within samples whose mass is on both, which costs the dual in second order only, half
    of it at a time; then all of it; what is left moves wherever it lies.
    """
    masses, delta, W = state.masses, state.delta, state.W
    joint_deltas(C, samples, masses, delta)
    for part, free in ((0.5, True), (1.0, True), (1.0, False)):
        for i in range(masses.shape[0]):
            least, most = extremes(delta, masses[i], free)
            if least < 0 or delta[least] >= 0.0 or delta[most] <= 0.0:
                continue
            move = min(part * masses[i, least], min(-delta[least], delta[most]))
            masses[i, least] -= move
            masses[i, most] += move
            delta[least] += move
            delta[most] -= move
            x = row(samples.rows, i)
            axpy(move, x, W[:, least])
            axpy(-move, x, W[:, most])


@jitable
def joint_deltas(C: float, samples: Any, masses: Array, delta: Array) -> None:
    """δₘ = Σᵢ αᵢₘ, in place."""
    delta[:] = 0.0
    for i in range(masses.shape[0]):
        y = samples.codes[i]
        delta[y] += C * share(samples, i, y)
        for m in range(delta.size):
            delta[m] -= masses[i, m]
