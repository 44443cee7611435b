"""Hogwild!: threads that update the same weights without a lock, component by component.

`direct_walk` is the rule of Niu et al.: the score is taken from weights that others may be
changing, and each component of the row is updated by itself. No scale is shared, so the L2 term
is spread over the touched coordinates: each touch of wⱼ shrinks it by the n / nⱼ steps that pass,
on average, before the next, nⱼ the rows with an entry in column j:

    wⱼ ← (1 − ηₜ λ n / nⱼ)₊ wⱼ − ηₜ sᵢ ℓ′(wᵀxᵢ + b; yᵢ) xᵢⱼ       for the entries j of xᵢ

Its mean is the step of serial SGD. Cores that write the same line of the cache at every step wait
for one another, though, and frequent columns are in every row. So where weights are few next to
the entries, a thread walks some steps on a copy and then adds what it moved, component by
component and without a lock, and takes up what the others did (`exchanging_walk`). Its shrink over
the steps, S = ∏ (1 − ηₜ λ), then costs nothing:

    wⱼ ← S wⱼ + (vⱼ − S uⱼ),    vⱼ ← uⱼ ← wⱼ      v the copy, u what it was at the last exchange

The threads begin each exchange at different columns: two that met in one would lose a move.

Niu, Recht, Ré & Wright, Hogwild!: a lock-free approach to parallelizing stochastic gradient
descent, 2011; Zhang, Hsieh & Akella, HogWild++: a new mechanism for decentralized asynchronous
stochastic gradient descent, 2016.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._atomics import add, load
from widemargin._jit import compiled_as, lean_kernel
from widemargin.data.columns import dots
from widemargin.data.rows import Array, Rows, Sparse, entry, n_entries, n_rows, row
from widemargin.data.samples import share, sign
from widemargin.losses import value
from widemargin.schedules import pull, rate
from widemargin.solvers.sgd import sgd_epoch, sgd_epoch_1

PIECE = 256  # rows that a thread takes at once
FIRST_EXCHANGE = 64  # steps of a thread
GROWTH = 16  # all threads exchange after 1 / 16 of the steps so far, for weights settle


class Shared(NamedTuple):
    """What the threads share."""

    W: Array  # (d,) or (d, K)
    by_row: Array  # (d, K): the same memory
    b: Array  # (K,)
    gap: Array  # (d,) n / nⱼ
    threads: int
    next_row: Array  # (1,) int64: where in the order the next piece begins
    stop: Array  # (1,) int64: set where a thread failed


class Copy(NamedTuple):
    """What a thread has for itself. The copy has a row more than the weights: it starts at 1 and
    no feature moves it, so it ends at S."""

    V: Array  # (d + 1,) or (d + 1, K): v
    before: Array  # (d K + K,): u, and b as at the last exchange
    b: Array  # (K,)
    last: Array  # (K,) losses of the last piece
    loss_sum: Array  # (K,)
    start: int  # the component at which its exchanges begin
    longest: int  # steps between two exchanges


def gaps(rows: Rows) -> Array:
    """(d,) n / nⱼ: the mean number of rows from one with an entry in column j to the next."""
    n = n_rows(rows)
    if not isinstance(rows, Sparse):
        return np.ones(rows.X.shape[1])
    counts = np.zeros(rows.n_features, np.int64)
    count_entries(rows.indices[rows.indptr[0] : rows.indptr[-1]], counts)
    return n / np.maximum(counts, 1)


@lean_kernel
def count_entries(indices: Array, counts: Array) -> None:
    for k in range(indices.size):
        counts[indices[k]] += 1


# long: one step, whose loops share too many running values to be cut in two
@lean_kernel
def direct_walk(rule: Any, samples: Any, order: Any, t0: int, shared: Any, room: Any) -> None:
    """Steps on the shared weights, in place, along pieces of `order` until none is left."""
    loss, schedule, step = rule
    p, g, loss_sum = room
    while load(shared.stop, 0) == 0:
        first = add(shared.next_row, 0, PIECE)
        for k in range(first, min(first + PIECE, order.size)):
            i, eta = order[k], rate(schedule, t0 + k)
            x = row(samples.rows, i)
            dots(x, shared.W, p)
            for c in range(p.size):
                y, s, score = sign(samples, i, c), share(samples, i, c), p[c] + shared.b[c]
                loss_sum[c] += s * value(loss, score, y)
                g[c] = -eta * s * pull(schedule, loss, samples.rows, i, score, y)
                if g[c] != 0.0:
                    shared.b[c] += step.intercept * g[c]
            for e in range(n_entries(x)):
                j, v = entry(x, e)
                shrink = max(0.0, 1.0 - eta * step.lam * shared.gap[j])
                for c in range(p.size):
                    shared.by_row[j, c] = shrink * shared.by_row[j, c] + g[c] * v
        if first + PIECE >= order.size:
            return


def some_steps(loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any) -> int:
    """Steps of serial SGD, by the kernel for so many columns."""
    run = sgd_epoch_1 if state[0].ndim == 1 else sgd_epoch
    return run(loss, schedule, step, samples, order, state)


@compiled_as(some_steps)
def _some_steps(loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any) -> Any:
    if state[0].ndim == 1:
        return lambda loss, schedule, step, samples, order, state: sgd_epoch_1(
            loss, schedule, step, samples, order, state
        )
    return lambda loss, schedule, step, samples, order, state: sgd_epoch(
        loss, schedule, step, samples, order, state
    )


@lean_kernel
def exchanging_walk(rule: Any, samples: Any, order: Any, t0: int, shared: Any, own: Any) -> None:
    """Steps on a copy along pieces of `order` until none is left, with an exchange after each."""
    loss, schedule, step = rule
    w, v = shared.by_row.reshape(-1), own.V.reshape(-1)
    take_up(w, shared.b, own, v)
    while load(shared.stop, 0) == 0:
        past = t0 + load(shared.next_row, 0)
        m = min(max(past // (GROWTH * shared.threads), FIRST_EXCHANGE), own.longest)
        first = add(shared.next_row, 0, m)
        if first >= order.size:
            return
        piece = order[first : min(first + m, order.size)]
        some_steps(loss, schedule, step, samples, piece, (own.V, own.b, t0 + first, own.last))
        for k in range(own.b.size):
            own.loss_sum[k] += own.last[k]
        exchange(w, shared.b, own, v)


@lean_kernel
def take_up(w: Array, b: Array, own: Any, v: Array) -> None:
    """v ← u ← w, b of one's own ← b, and 1 in the row of v that no feature touches."""
    for j in range(w.size):
        v[j] = own.before[j] = w[j]
    for j in range(w.size, v.size):
        v[j] = 1.0
    for k in range(b.size):
        own.b[k] = own.before[w.size + k] = b[k]


@lean_kernel
def exchange(w: Array, b: Array, own: Any, v: Array) -> None:
    """w ← S w + (v − S u), b ← b + its own move; then as `take_up`."""
    S, start = v[w.size], own.start
    exchange_part(w[start:], S, v[start : w.size], own.before[start : w.size])
    exchange_part(w[:start], S, v[:start], own.before[:start])
    for j in range(w.size, v.size):
        v[j] = 1.0
    for k in range(b.size):
        now = b[k] + (own.b[k] - own.before[w.size + k])
        b[k] = own.b[k] = own.before[w.size + k] = now


@lean_kernel
def exchange_part(w: Array, S: float, v: Array, u: Array) -> None:
    for j in range(w.size):
        now = S * w[j] + (v[j] - S * u[j])
        w[j] = now
        v[j] = now
        u[j] = now
