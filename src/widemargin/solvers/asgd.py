"""Averaged stochastic gradient descent: the weights given are the mean of those walked through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row
from widemargin.data.samples import Samples, share, sign
from widemargin.losses import value
from widemargin.objective import Objective
from widemargin.penalties import L2, NoPenalty
from widemargin.schedules import Averaged, Schedule, pull, rate
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


class AveragedState(NamedTuple):
    """The average and the walk it is taken of; they are one until averaging begins."""

    W: Array  # (d,) or (d, K): the mean of w over the steps averaged
    b: Array  # (K,)
    t: int
    loss_sum: Array  # (K,): of the walk
    walk: Array  # w, of the shape of W
    walk_b: Array  # (K,)


def averaged_state(plain: State) -> AveragedState:
    """A walk that starts from the weights of `plain`, nothing averaged yet."""
    W, b, t, loss_sum = copied(plain)
    return AveragedState(W, b, t, loss_sum, W.copy(), b.copy())


@kernel
def close_sum(S: float, V: Array, U: Array) -> float:
    """U ← U − S V, in place; returns 0. The sum of weights S V − U stays, told by U alone."""
    v, u = V.ravel(), U.ravel()
    for j in range(v.size):
        u[j] -= S * v[j]
    return 0.0


@kernel
def take_average(count: float, walk: Array, U: Array) -> None:
    """U ← −U / count, in place; the walk itself where nothing was averaged."""
    v, u = walk.ravel(), U.ravel()
    for j in range(u.size):
        u[j] = -u[j] / count if count > 0.0 else v[j]


# long: one pass, whose steps share too many running values to be cut in two
@kernel
def asgd_epoch(
    loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any, average_from: int
) -> int:
    """One pass in the given order, on the arrays of `state`, in place; returns t.

        wₜ = (1 − ηₜ λ) wₜ₋₁ − ηₜ sᵢ ℓ′(wₜ₋₁ᵀxᵢ + b; yᵢ) xᵢ
        w̄ₜ = mean of w_τ over τ = average_from … t,     steps counted from 1

    With wₜ = sₜ Vₜ and Sₜ = Σ s_τ over the steps averaged, Σ w_τ = Sₜ Vₜ − Uₜ where a step that
    adds δ to V adds Sₜ₋₁ δ to U: exact, and O(nnz(xᵢ)) a step. Polyak & Juditsky, 1992; Xu,
    Towards optimal one pass large scale learning with averaged SGD, 2011.
    """
    # Over 30 lines: to cut the step from the loop would pass every array of the state a sample.
    U, sum_b, t, loss_sum, V, b = state
    p, g = np.empty(b.size), np.empty(b.size)
    s, S, count = 1.0, 0.0, max(0.0, t - average_from + 1.0)
    multiplied_out(-count, U)
    multiplied_out(-count, sum_b)
    loss_sum[:] = 0.0
    for i in order:
        eta, x = rate(schedule, t), row(samples.rows, i)
        dots(x, V, p)
        before, s = s, s * max(0.0, 1.0 - eta * step.lam)
        if s < SMALLEST_SCALE:
            S = close_sum(S, V, U)
            s = multiplied_out(s, V)
        moved = False
        for k in range(b.size):
            y, c, score = sign(samples, i, k), share(samples, i, k), before * p[k] + b[k]
            loss_sum[k] += c * value(loss, score, y)
            h = -eta * c * pull(schedule, loss, samples.rows, i, score, y)
            b[k] += step.intercept * h
            g[k] = h / s
            moved |= h != 0.0
        if moved:
            axpys(g, x, V)  # w ← w + h x
            if S > 0.0:
                for k in range(b.size):
                    g[k] *= S
                axpys(g, x, U)
        t += 1
        if t >= average_from:
            S, count = S + s, count + 1.0
            for k in range(b.size):
                sum_b[k] -= b[k]
    close_sum(S, V, U)
    multiplied_out(s, V)
    take_average(count, V, U)
    take_average(count, b, sum_b)
    return t  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Asgd:
    """Steps of `Sgd`, averaged from step `average_from` = 1, 2, … on.

    `clip` and `lam` as in `Sgd`.
    """

    schedule: Schedule = Averaged(1.0, 1e-4)
    intercept_decay: float = 1.0
    average_from: int = 1
    clip: bool = False
    lam: float | None = None

    def init(self, objective: Objective, samples: Samples) -> AveragedState:
        refuse_penalty("Asgd", objective.penalty, (L2, NoPenalty))
        return averaged_state(first_state(samples))

    def epoch(
        self, objective: Objective, samples: Samples, order: Array, state: AveragedState
    ) -> AveragedState:
        lam = stated_lam(self.lam, objective, samples)
        step = make_step(lam, objective.penalty, self.intercept_decay * objective.fit_intercept)
        if not self.clip:
            refuse_long_step(step.lam, self.schedule)
        after = copied(state)
        t = asgd_epoch(
            objective.loss, self.schedule, step, samples, order, after, self.average_from
        )
        epoch = epoch_number(state.t, order.size)
        return finite(objective, state, after._replace(t=t), epoch)  # type: ignore[no-any-return]
