"""Rosenblatt's perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row
from widemargin.data.samples import Samples, share, sign
from widemargin.objective import Objective
from widemargin.penalties import NoPenalty
from widemargin.solvers.steps import (
    State,
    copied,
    epoch_number,
    finite,
    first_state,
    refuse_penalty,
)


class PerceptronState(NamedTuple):
    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    t: int
    loss_sum: Array  # (K,): Σ sᵢ max(0, −yᵢ pᵢ) as the last epoch met the samples
    mistakes: Array  # (K,): of the last epoch; −1 before the first


def perceptron_state(plain: State) -> PerceptronState:
    W, b, t, loss_sum = copied(plain)
    return PerceptronState(W, b, t, loss_sum, np.full(b.size, -1))


def separated(state: PerceptronState) -> bool:
    """Whether the last epoch met no mistake: further epochs would change nothing."""
    return not state.mistakes.any()


@kernel
def perceptron_epoch(eta: float, intercept: float, samples: Any, order: Any, state: Any) -> int:
    """One pass in the given order, on the arrays of `state`, in place; returns t.

        yᵢ (wᵀxᵢ + b) ≤ 0:   w ← w + η sᵢ yᵢ xᵢ,   b ← b + d η sᵢ yᵢ,     d = intercept

    Conservative: a sample on its right side changes nothing. Rosenblatt, The perceptron, 1958.
    """
    W, b, t, loss_sum, mistakes = state
    p, g = np.empty(b.size), np.empty(b.size)
    loss_sum[:], mistakes[:] = 0.0, 0
    for i in order:
        x = row(samples.rows, i)
        dots(x, W, p)
        moved = False
        for k in range(b.size):
            y, score = sign(samples, i, k), p[k] + b[k]
            g[k] = 0.0
            if y * score <= 0.0:
                c = share(samples, i, k)
                loss_sum[k] -= c * y * score
                mistakes[k] += 1
                g[k] = eta * c * y
                b[k] += intercept * g[k]
                moved = True
        if moved:
            axpys(g, x, W)
        t += 1
    return t  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Perceptron:
    """w₀ = 0, rate eta0; stop when `separated`."""

    eta0: float = 1.0
    intercept_decay: float = 1.0

    def init(self, objective: Objective, samples: Samples) -> PerceptronState:
        refuse_penalty("Perceptron", objective.penalty, (NoPenalty,))
        return perceptron_state(first_state(samples))

    def epoch(
        self,
        objective: Objective,
        samples: Samples,
        order: Array,
        state: PerceptronState,
    ) -> PerceptronState:
        after = copied(state)
        intercept = self.intercept_decay * objective.fit_intercept
        t = perceptron_epoch(self.eta0, intercept, samples, order, after)
        epoch = epoch_number(state.t, order.size)
        return finite(objective, state, after._replace(t=t), epoch)  # type: ignore[no-any-return]
