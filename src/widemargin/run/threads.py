"""SGD on threads that share the weights, by one of three schemes.

hogwild       no lock: updates may meet, and seldom do       (`solvers/hogwild.py`)
locked        a lock around each step                        (`solvers/turns.py`)
round_robin   updates in turn; the same in every run         (`solvers/turns.py`)

The states are those of serial SGD, so looks, stopping and certificates are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from widemargin._atomics import LINE
from widemargin.data.rows import Array, n_features, n_nonzeros
from widemargin.data.samples import Samples
from widemargin.errors import choose
from widemargin.losses import Loss
from widemargin.objective import Objective
from widemargin.schedules import Optimal, Schedule
from widemargin.solvers.hogwild import Copy, Shared, direct_walk, exchanging_walk, gaps
from widemargin.solvers.sgd import Sgd
from widemargin.solvers.steps import (
    State,
    Step,
    copied,
    epoch_number,
    finite,
    make_step,
    refuse_long_step,
    stated_lam,
)
from widemargin.solvers.turns import Common, Room, locked_walk, round_robin_walk
from widemargin.threads import Crew

PER_EXCHANGE = 5  # entries walked for each weight exchanged
FEWEST_STEPS = 256  # between two exchanges, once weights settle
FEWEST_EXCHANGES = 16  # a thread's in an epoch, else its updates go to the shared weights at once
APART = 2 * LINE  # numbers between what two threads write


@dataclass(frozen=True)
class ThreadedSgd:
    """`Sgd` on all threads of a crew; `on_threads` makes one."""

    crew: Crew
    scheme: str
    schedule: Schedule = Optimal(1.0, 1e-4)
    intercept_decay: float = 1.0
    clip: bool = False
    lam: float | None = None
    exchange: int = 0  # steps of a hogwild thread between exchanges of its copy, at most; 0: none
    gap: Array | None = None  # (d,) `gaps` of the rows, for hogwild without copies

    def init(self, objective: Objective, samples: Samples) -> State:
        return Sgd().init(objective, samples)

    def epoch(self, objective: Objective, samples: Samples, order: Array, state: State) -> State:
        lam = stated_lam(self.lam, objective, samples)
        step = make_step(lam, objective.penalty, self.intercept_decay * objective.fit_intercept)
        if not self.clip:
            refuse_long_step(step.lam, self.schedule)
        after = copied(state)
        after.loss_sum[:] = SCHEMES[self.scheme](self, objective.loss, step, samples, order, after)
        after = after._replace(t=state.t + len(order))
        epoch = epoch_number(state.t, order.size)
        return finite(objective, state, after, epoch)  # type: ignore[no-any-return]


def on_threads(
    sgd: Sgd, scheme: str, crew: Crew, samples: Samples, exchange: int | None = None
) -> ThreadedSgd:
    """The same steps on the threads of the crew; how often hogwild exchanges, unless it is
    said, from what is to be exchanged and walked."""
    choose("scheme", scheme, SCHEMES)
    free = scheme == "hogwild"
    often = exchange_of(crew, samples) if exchange is None else exchange
    return ThreadedSgd(
        crew,
        scheme,
        sgd.schedule,
        sgd.intercept_decay,
        sgd.clip,
        sgd.lam,
        often if free else 0,
        gaps(samples.rows) if free and not often else None,
    )


def hogwild(
    how: ThreadedSgd, loss: Loss, step: Step, samples: Samples, order: Array, state: State
) -> Array:
    """Σ sᵢ ℓ of each column as the steps met it, W and b in place; so for the others."""
    T, K, longest = how.crew.threads, state.b.size, how.exchange
    gap = np.empty(0) if how.gap is None else how.gap
    next_row, stop = np.zeros(1, np.int64), np.zeros(1, np.int64)
    shared = Shared(state.W, state.W.reshape(-1, K), state.b, gap, T, next_row, stop)
    rule, rooms = (loss, how.schedule, step), np.zeros((T, 3, APART + K))

    def direct(t: int) -> None:
        direct_walk(rule, samples, order, state.t, shared, Room(*rooms[t, :, :K]))

    def exchanging(t: int) -> None:
        V, before = np.empty((len(state.W) + 1, *state.W.shape[1:])), np.empty(state.W.size + K)
        b, last, losses = rooms[t, :, :K]
        own = Copy(V, before, b, last, losses, state.W.size * t // T, longest)
        exchanging_walk(rule, samples, order, state.t, shared, own)

    how.crew.each(exchanging if longest else direct, [(t,) for t in range(T)], stop)
    total: Array = rooms[:, 2, :K].sum(axis=0)
    return total


def exchange_of(crew: Crew, samples: Samples) -> int:
    """Steps between exchanges, at most; 0 where each update goes to the shared weights at once."""
    n = len(samples.codes)
    entries = max(1.0, n_nonzeros(samples.rows) / max(1, n))
    longest = max(FEWEST_STEPS, int(PER_EXCHANGE * n_features(samples.rows) / entries))
    enough = crew.threads > 1 and n >= FEWEST_EXCHANGES * crew.threads * longest
    return longest if enough else 0


def locked(
    how: ThreadedSgd, loss: Loss, step: Step, samples: Samples, order: Array, state: State
) -> Array:
    pieces = np.array_split(order, how.crew.threads)

    def walk(t: int, rule: Any, common: Common, room: Room) -> None:
        locked_walk(rule, samples, pieces[t], state.t, common, room)

    return one_at_a_time(how, loss, step, state, walk)


def round_robin(
    how: ThreadedSgd, loss: Loss, step: Step, samples: Samples, order: Array, state: State
) -> Array:
    def walk(t: int, rule: Any, common: Common, room: Room) -> None:
        round_robin_walk(rule, samples, order, state.t, common, room, t, how.crew.threads)

    return one_at_a_time(how, loss, step, state, walk)


def one_at_a_time(
    how: ThreadedSgd, loss: Loss, step: Step, state: State, walk: Callable[..., None]
) -> Array:
    T, K = how.crew.threads, state.b.size
    counters, stop = np.zeros(2 * LINE, np.int64), np.zeros(1, np.int64)
    common = Common(state.W, state.b, np.ones(1), counters, stop)
    rule, rooms = (loss, how.schedule, step), np.zeros((T, 3, APART + K))

    def part(t: int) -> None:
        walk(t, rule, common, Room(*rooms[t, :, :K]))

    how.crew.each(part, [(t,) for t in range(T)], stop)
    state.W[...] *= common.scale[0]
    total: Array = rooms[:, 2, :K].sum(axis=0)
    return total


SCHEMES: dict[str, Callable[..., Array]] = {
    "hogwild": hogwild,
    "locked": locked,
    "round_robin": round_robin,
}
