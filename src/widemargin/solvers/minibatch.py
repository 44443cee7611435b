"""Mini-batch gradient descent: one step for the mean subgradient of a few samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row
from widemargin.data.samples import Samples, share, sign
from widemargin.losses import value
from widemargin.objective import Objective
from widemargin.penalties import L2, NoPenalty
from widemargin.schedules import Optimal, Schedule, pull, rate
from widemargin.solvers.steps import (
    SMALLEST_SCALE,
    State,
    copied,
    epoch_number,
    finite,
    first_state,
    make_step,
    multiplied_out,
    refuse_long_step,
    refuse_penalty,
    stated_lam,
)


# long: one pass, whose steps share too many running values to be cut in two
@kernel
def minibatch_epoch(
    loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any, size: int
) -> int:
    """One pass in the given order, `size` samples a step, in place; returns t.

        w ← (1 − ηₜ λ) w − (ηₜ / |B|) Σ_{i ∈ B} sᵢ ℓ′(wᵀxᵢ + b; yᵢ) xᵢ

    All scores of a batch B are taken before any of its rows is added, so a step costs
    O(nnz(B)) twice and needs no gradient of length d. size = 1 is `sgd_epoch`, bit for bit.
    """
    # Over 30 lines: to cut the step from the loop would pass every array of the state a sample.
    V, b, t, loss_sum = state
    K = b.size
    p, h_b, G = np.empty(K), np.empty(K), np.empty((size, K))
    s = 1.0
    loss_sum[:] = 0.0
    for a in range(0, order.size, size):
        m = min(size, order.size - a)
        eta = rate(schedule, t)
        before, s = s, s * max(0.0, 1.0 - eta * step.lam)
        h_b[:] = 0.0
        for j in range(m):
            i = order[a + j]
            x = row(samples.rows, i)
            dots(x, V, p)
            for k in range(K):
                y, c, score = sign(samples, i, k), share(samples, i, k), before * p[k] + b[k]
                loss_sum[k] += c * value(loss, score, y)
                G[j, k] = -eta * c * pull(schedule, loss, samples.rows, i, score, y) / m
                h_b[k] += G[j, k]
        if s < SMALLEST_SCALE:
            s = multiplied_out(s, V)
        for k in range(K):
            b[k] += step.intercept * h_b[k]
        for j in range(m):
            moved = False
            for k in range(K):
                moved |= G[j, k] != 0.0
                p[k] = G[j, k] / s
            if moved:
                axpys(p, row(samples.rows, order[a + j]), V)
        t += 1
    multiplied_out(s, V)
    return t  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Minibatch:
    """Steps of `batch_size` samples; the last batch of an epoch may be smaller.

    `clip` and `lam` as in `Sgd`. t counts batches.
    """

    schedule: Schedule = Optimal(1.0, 1e-4)
    batch_size: int = 32
    intercept_decay: float = 1.0
    clip: bool = False
    lam: float | None = None

    def init(self, objective: Objective, samples: Samples) -> State:
        refuse_penalty("Minibatch", objective.penalty, (L2, NoPenalty))
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}. Raise it.")
        return first_state(samples)

    def epoch(self, objective: Objective, samples: Samples, order: Array, state: State) -> State:
        lam = stated_lam(self.lam, objective, samples)
        step = make_step(lam, objective.penalty, self.intercept_decay * objective.fit_intercept)
        if not self.clip:
            refuse_long_step(step.lam, self.schedule)
        after = copied(state)
        t = minibatch_epoch(
            objective.loss, self.schedule, step, samples, order, after, self.batch_size
        )
        epoch = epoch_number(state.t, -(-order.size // self.batch_size))
        return finite(objective, state, after._replace(t=t), epoch)  # type: ignore[no-any-return]
