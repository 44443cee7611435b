"""Stochastic gradient descent for L1 and elastic-net penalties, by cumulative penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import compiled_as, kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, is_sparse, row
from widemargin.data.samples import Samples, share, sign
from widemargin.losses import value
from widemargin.objective import Objective
from widemargin.schedules import Optimal, Schedule, pull, rate
from widemargin.solvers.asgd import averaged_state, close_sum, take_average
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
    stated_lam,
)

NEVER = 2**62  # an `average_from` that no step reaches


class TruncatedState(NamedTuple):
    """As `AveragedState`, and the penalty that each weight was due and has received."""

    W: Array
    b: Array
    t: int
    loss_sum: Array
    walk: Array
    walk_b: Array
    received: Array  # q, of the shape of W: the L1 penalty each weight has had, signed
    due: Array  # (1,): u = λ₁ Σ ηₜ, the penalty that a weight would have had if always touched


def truncated_state(plain: State) -> TruncatedState:
    """A walk from the weights of `plain`; no penalty is due yet."""
    return TruncatedState(*averaged_state(plain), np.zeros_like(plain.W), np.zeros(1))


def touched(x: Any) -> Any:
    """The columns in which a row has entries."""
    return x[1] if isinstance(x, tuple) else np.arange(len(x))


@compiled_as(touched)
def _touched(x: Any) -> Any:
    if is_sparse(x):
        return lambda x: x[1]
    return lambda x: range(x[0].size)


@kernel
def truncate(columns: Any, u: float, s: float, S: float, V: Array, Q: Array, U: Array) -> None:
    """Move the weights of `columns` towards zero by the penalty they still owe, never past it.

    z = w_j;  z > 0: w_j ← max(0, z − (u + q_j)),   z < 0: w_j ← min(0, z + (u − q_j));
    q_j ← q_j + w_j − z;  here w = s V, and U takes S times what V moves, as in `asgd_epoch`.
    """
    for j in columns:
        for k in range(V.shape[1]):
            z = V[j, k]
            if z > 0.0:
                V[j, k] = max(0.0, z - (u + Q[j, k]) / s)
            elif z < 0.0:
                V[j, k] = min(0.0, z + (u - Q[j, k]) / s)
            Q[j, k] += s * (V[j, k] - z)
            U[j, k] += S * (V[j, k] - z)


# long: one pass, whose steps share too many running values to be cut in two
@kernel
def truncated_epoch(
    loss: Any, schedule: Any, step: Any, samples: Any, order: Any, state: Any, average_from: int
) -> int:
    """One pass in the given order, on the arrays of `state`, in place; returns t.

        min (1/n) Σ sᵢ ℓ(wᵀxᵢ + b; yᵢ) + (λ₂/2)‖w‖² + λ₁‖w‖₁

    A step is that of `asgd_epoch`; then the weights it touched are truncated. W is (d, K) even
    for one column. Tsuruoka, Tsujii & Ananiadou, Stochastic gradient descent training for
    L1-regularized log-linear models with cumulative penalty, 2009.
    """
    # Over 30 lines: to cut the step from the loop would pass every array of the state a sample.
    U, sum_b, t, loss_sum, V, b, Q, due = state
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
        for k in range(b.size):
            y, c, score = sign(samples, i, k), share(samples, i, k), before * p[k] + b[k]
            loss_sum[k] += c * value(loss, score, y)
            h = -eta * c * pull(schedule, loss, samples.rows, i, score, y)
            b[k] += step.intercept * h
            g[k] = h / s
        axpys(g, x, V)
        if S > 0.0:
            for k in range(b.size):
                g[k] *= S
            axpys(g, x, U)
        due[0] += eta * step.truncate
        truncate(touched(x), due[0], s, S, V, Q, U)
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
class Truncated:
    """Steps of `Sgd`, then the L1 part of the penalty; averaged from step `average_from` on.

    `clip` and `lam` as in `Sgd`.
    """

    schedule: Schedule = Optimal(1.0, 1e-4)
    intercept_decay: float = 1.0
    average_from: int = NEVER
    clip: bool = False
    lam: float | None = None

    def init(self, objective: Objective, samples: Samples) -> TruncatedState:
        return truncated_state(first_state(samples))

    def epoch(
        self,
        objective: Objective,
        samples: Samples,
        order: Array,
        state: TruncatedState,
    ) -> TruncatedState:
        lam = stated_lam(self.lam, objective, samples)
        step = make_step(lam, objective.penalty, self.intercept_decay * objective.fit_intercept)
        if not self.clip:
            refuse_long_step(step.lam, self.schedule)
        after = copied(state)
        t = truncated_epoch(
            objective.loss,
            self.schedule,
            step,
            samples,
            order,
            as_matrices(after),
            self.average_from,
        )
        epoch = epoch_number(state.t, order.size)
        return finite(objective, state, after._replace(t=t), epoch)  # type: ignore[no-any-return]


def as_matrices(state: TruncatedState) -> TruncatedState:
    """Views of shape (d, K), so that one column needs no kernel of its own."""
    shape = (len(state.W), state.b.size)
    W, walk, received = (a.reshape(shape) for a in (state.W, state.walk, state.received))
    return state._replace(W=W, walk=walk, received=received)
