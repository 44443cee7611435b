"""One update at a time: threads that take a lock, or turns, to change the same weights.

Both take the steps of serial SGD, w = s v with the scale s shared as well (see `sgd.py`).

locked        a lock around each step, from the score to the update: steps of one after the other,
              in whatever order the threads come
round robin   step k belongs to thread k mod T. In a round the T threads read their scores side by
              side, then update in turn, so a step may be T − 1 updates late, and always the same
              ones: the result is the same in every run

Langford, Smola & Zinkevich, Slow learners are fast, 2009 (round robin).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin._atomics import LINE, add, lock, store, unlock, wait_for
from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row
from widemargin.data.samples import share, sign
from widemargin.losses import value
from widemargin.schedules import pull, rate
from widemargin.solvers.steps import SMALLEST_SCALE, multiplied_out

LOCK = TURN = 0  # places of the counters, a line of the cache apart
READ = STEPS = LINE


class Common(NamedTuple):
    """What the threads share."""

    V: Array  # (d,) or (d, K)
    b: Array  # (K,)
    scale: Array  # (1,): w = scale v
    counters: Array  # (2 LINE,) int64
    stop: Array  # (1,) int64: set where the others should not wait


class Room(NamedTuple):
    """What a thread writes alone."""

    p: Array  # (K,) scores
    g: Array  # (K,) moves
    loss_sum: Array  # (K,)


@lean_kernel
def read(samples: Any, i: int, common: Any, p: Array) -> None:
    """p ← wᵀxᵢ + b."""
    dots(row(samples.rows, i), common.V, p)
    for k in range(p.size):
        p[k] = common.scale[0] * p[k] + common.b[k]


@lean_kernel
def update(rule: Any, samples: Any, i: int, t: int, common: Any, room: Any) -> None:
    """Step t of serial SGD from the scores in room.p, in place."""
    loss, schedule, step = rule
    eta, moved = rate(schedule, t), False
    s = common.scale[0] * max(0.0, 1.0 - eta * step.lam)
    if s < SMALLEST_SCALE:
        s = multiplied_out(s, common.V)
    for k in range(room.p.size):
        y, c, score = sign(samples, i, k), share(samples, i, k), room.p[k]
        room.loss_sum[k] += c * value(loss, score, y)
        h = -eta * c * pull(schedule, loss, samples.rows, i, score, y)
        common.b[k] += step.intercept * h
        room.g[k] = h / s
        moved |= h != 0.0
    if moved:
        axpys(room.g, row(samples.rows, i), common.V)
    common.scale[0] = s


@lean_kernel
def locked_walk(rule: Any, samples: Any, order: Any, t0: int, common: Any, room: Any) -> None:
    """Steps along `order`, each under the lock; they count in STEPS."""
    for i in order:
        if not lock(common.counters, LOCK, common.stop):
            return
        read(samples, i, common, room.p)
        update(rule, samples, i, t0 + common.counters[STEPS], common, room)
        common.counters[STEPS] += 1
        unlock(common.counters, LOCK)


@lean_kernel
def round_robin_walk(
    rule: Any, samples: Any, order: Any, t0: int, common: Any, room: Any, thread: int, threads: int
) -> None:
    """Every threads-th step of `order`, from `thread` on. TURN counts updates, READ scores."""
    counters, stop = common.counters, common.stop
    for k in range(thread, order.size, threads):
        first = k - thread
        if not wait_for(counters, TURN, first, stop):
            return
        read(samples, order[k], common, room.p)
        add(counters, READ, 1)
        last = min(first + threads, order.size)
        if not wait_for(counters, READ, last, stop) or not wait_for(counters, TURN, k, stop):
            return
        update(rule, samples, order[k], t0 + k, common, room)
        store(counters, TURN, k + 1)
