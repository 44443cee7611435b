"""Stochastic gradient descent, one sample a step, for the L2 penalty or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from widemargin._jit import kernel, lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, add_row, dot_row, row
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


@kernel
def sgd_epoch(loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any) -> int:
    """One pass in the given order, on the arrays of `state`, in place; returns t.

        min f(w, b) / (C n) = (1/n) Σ sᵢ ℓ(wᵀxᵢ + b; yᵢ) + (λ/2)‖w‖²
        w ← (1 − ηₜ λ) w − ηₜ sᵢ ℓ′(wᵀxᵢ + b; yᵢ) xᵢ,     b ← b − d ηₜ sᵢ ℓ′,     d = intercept

    Kept as w = s v, so that the shrink costs O(1) and a step O(nnz(xᵢ)); all columns share s
    and ηₜ. Where λ ηₜ ≥ 1 the shrink stops at w = 0.
    Bottou, Large-scale machine learning with stochastic gradient descent, 2010.
    """
    V, b, t, loss_sum = state
    p, g = np.empty(b.size), np.empty(b.size)
    s = 1.0
    loss_sum[:] = 0.0
    for i in order:
        eta, x = rate(schedule, t), row(samples.rows, i)
        dots(x, V, p)
        before, s = s, s * max(0.0, 1.0 - eta * step.lam)  # w ← (1 − η λ) w
        if s < SMALLEST_SCALE:
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
        t += 1
    multiplied_out(s, V)
    return t  # type: ignore[no-any-return]


@lean_kernel
def sgd_epoch_1(loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any) -> int:
    """`sgd_epoch` for one column: scalars where that has arrays of length 1, and no row is held
    in a variable; together worth 20 % of the time."""
    w, b, t, loss_sum = state
    rows, s, b0, total = samples.rows, 1.0, b[0], 0.0
    for i in order:
        eta = rate(schedule, t)
        y, c = sign(samples, i, 0), share(samples, i, 0)
        score = s * dot_row(rows, i, w) + b0
        total += c * value(loss, score, y)
        u = pull(schedule, loss, rows, i, score, y)
        s *= max(0.0, 1.0 - eta * step.lam)
        if u != 0.0:
            if s < SMALLEST_SCALE:
                s = multiplied_out(s, w)
            h = -eta * c * u
            b0 += step.intercept * h
            add_row(h / s, rows, i, w)
        t += 1
    b[0], loss_sum[0] = b0, total
    multiplied_out(s, w)
    return t  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Sgd:
    """w ← (1 − ηₜ λ) w − ηₜ sᵢ ℓ′ xᵢ, with λ = 1 / (C n).

    `clip` accepts λ η₀ ≥ 1, where the first steps set w to zero, as in scikit-learn; without it
    such a rate is refused. `lam` states λ where 1 / (C n) would round differently.
    """

    schedule: Schedule = Optimal(1.0, 1e-4)
    intercept_decay: float = 1.0
    clip: bool = False
    lam: float | None = None

    def init(self, objective: Objective, samples: Samples) -> State:
        refuse_penalty("Sgd", objective.penalty, (L2, NoPenalty))
        return first_state(samples)

    def epoch(self, objective: Objective, samples: Samples, order: Array, state: State) -> State:
        lam = stated_lam(self.lam, objective, samples)
        step = make_step(lam, objective.penalty, self.intercept_decay * objective.fit_intercept)
        if not self.clip:
            refuse_long_step(step.lam, self.schedule)
        after = copied(state)
        run = sgd_epoch_1 if after.W.ndim == 1 else sgd_epoch
        t = run(objective.loss, self.schedule, step, samples, order, after)
        epoch = epoch_number(state.t, order.size)
        return finite(objective, state, after._replace(t=t), epoch)  # type: ignore[no-any-return]
