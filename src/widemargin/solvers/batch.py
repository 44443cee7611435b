"""Batch gradient descent on the whole objective, with backtracking line search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin._jit import kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row
from widemargin.data.samples import Samples, share, sign
from widemargin.losses import EpsilonInsensitive, Hinge, PerceptronLoss, slope, value
from widemargin.objective import Objective, column, loss_sums
from widemargin.penalties import L1, L2, ElasticNet, Penalty, penalty_value
from widemargin.solvers.steps import State, copied, finite, first_state

SUFFICIENT = 1e-4  # Armijo: the share of the decrease promised by the slope that must come true
HALVINGS = 40
ROUNDING = 1e-16  # a promise below this share of f cannot be seen to come true
Gradient: TypeAlias = Callable[[Array, Array, Array, Array], Array]  # (W, b, G, h) → Σ s ℓ
Losses: TypeAlias = Callable[[Array, Array], Array]  # (W, b) → Σ s ℓ of each column
KINKED = (Hinge, PerceptronLoss, EpsilonInsensitive)


class BatchState(NamedTuple):
    """The best weights so far; where the walk stands, which for kinked losses may be worse."""

    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    t: int
    loss_sum: Array  # (K,): Σ sᵢ ℓ at the best weights
    walk: Array  # of the shape of W
    walk_b: Array  # (K,)
    f: Array  # (K,): objective at the best weights
    length: Array  # (K,): the step that was taken last; 0 before the first
    first: Array  # (K,): the step that was taken first


def batch_state(plain: State) -> BatchState:
    W, b, t, loss_sum = copied(plain)
    zero = np.zeros(b.size)
    return BatchState(W, b, t, loss_sum, W.copy(), b.copy(), zero + np.inf, zero, zero.copy())


@kernel
def batch_gradient(
    loss: Any, C: float, samples: Any, W: Array, b: Array, G: Array, h: Array
) -> Array:
    """G ← C Σᵢ sᵢₖ ℓ′ xᵢ and h ← C Σᵢ sᵢₖ ℓ′ for each column; returns Σᵢ sᵢₖ ℓ."""
    sums, p, g = np.zeros(b.size), np.empty(b.size), np.empty(b.size)
    G[:] = 0.0
    h[:] = 0.0
    for i in range(samples.codes.size):
        x = row(samples.rows, i)
        dots(x, W, p)
        for k in range(b.size):
            y, c = sign(samples, i, k), share(samples, i, k)
            sums[k] += c * value(loss, p[k] + b[k], y)
            g[k] = C * c * slope(loss, p[k] + b[k], y)
            h[k] += g[k]
        axpys(g, x, G)
    return sums


def penalty_slope(penalty: Penalty, W: Array) -> Any:
    """One subgradient of r at every column of W; 0 at the kink of |w|."""
    match penalty:
        case L2():
            return W
        case L1():
            return np.sign(W)
        case ElasticNet(rho):
            return (1.0 - rho) * W + rho * np.sign(W)
    return 0.0


def kinked(objective: Objective) -> bool:
    """Whether f has points without a gradient."""
    return isinstance(objective.loss, KINKED) or isinstance(objective.penalty, (L1, ElasticNet))


def penalties(penalty: Penalty, W: Array, K: int) -> Array:
    return np.array([penalty_value(penalty, column(W, k)) for k in range(K)])


@dataclass(frozen=True)
class Batch:
    """w ← w − ηₖ ∇f(w), each column with a step of its own; deterministic, the order is ignored.

    ηₖ starts at twice the last step and is halved until f falls by SUFFICIENT ηₖ ‖∇f‖² (Armijo,
    1966). At the kinks of a loss or penalty such steps shrink to nothing short of the optimum, so
    there ηₖ stays above first / √t, whether f falls or not, and the best weights met are those
    given (Shor, Minimization methods for non-differentiable functions, 1985).
    """

    def init(self, objective: Objective, samples: Samples) -> BatchState:
        return batch_state(first_state(samples))

    def epoch(
        self, objective: Objective, samples: Samples, order: Array, state: BatchState
    ) -> BatchState:
        def gradient(W: Array, b: Array, G: Array, h: Array) -> Array:
            sums: Array = batch_gradient(objective.loss, objective.C, samples, W, b, G, h)
            return sums

        def losses(W: Array, b: Array) -> Array:
            return loss_sums(objective.loss, samples, W, b)

        return self.descend(objective, gradient, losses, state)

    def descend(
        self, objective: Objective, gradient: Gradient, losses: Losses, state: BatchState
    ) -> BatchState:
        """An epoch, given what all samples add up to at any weights."""
        now = copied(state)
        G, h = np.empty_like(now.walk), np.empty_like(now.b)
        sums = gradient(now.walk, now.walk_b, G, h)
        with np.errstate(over="ignore", invalid="ignore"):
            f = objective.C * sums + penalties(objective.penalty, now.walk, h.size)
            G += penalty_slope(objective.penalty, now.walk)
            h *= objective.fit_intercept
            step = self.search(objective, losses, now, G, h, f)
            walk, walk_b = now.walk - G * step, now.walk_b - h * step
            sums = losses(walk, walk_b)
            f = objective.C * sums + penalties(objective.penalty, walk, h.size)
        now = now._replace(t=now.t + 1, length=step, first=now.first if now.t else step)
        after = keep_best(now, walk, walk_b, sums, f)
        return finite(objective, state, after, now.t)  # type: ignore[no-any-return]

    def search(
        self, objective: Objective, losses: Losses, now: BatchState, G: Array, h: Array, f: Array
    ) -> Array:
        """The step of each column, shape (K,)."""
        K = h.size
        square = (G * G).sum(axis=0).reshape(-1) * np.ones(K) + h * h
        norm = np.sqrt(np.where(square > 0.0, square, 1.0))
        step = np.where(now.length > 0.0, 2.0 * now.length, 1.0 / norm)
        floor = now.first / np.sqrt(now.t + 1.0) if kinked(objective) else np.zeros(K)
        for _ in range(HALVINGS):
            walk, walk_b = now.walk - G * step, now.walk_b - h * step
            sums = losses(walk, walk_b)
            tried = objective.C * sums + penalties(objective.penalty, walk, K)
            enough = (tried <= f - SUFFICIENT * step * square) | (step <= floor)
            enough |= step * square <= ROUNDING * np.abs(f)
            if enough.all():
                break
            step = np.where(enough, step, np.maximum(0.5 * step, floor))
        return step


def keep_best(
    state: BatchState, walk: Array, walk_b: Array, loss_sum: Array, f: Array
) -> BatchState:
    """The state at the new point of the walk; a column's weights change only where f fell."""
    better = f < state.f
    return state._replace(
        W=np.where(better, walk, state.W),
        b=np.where(better, walk_b, state.b),
        loss_sum=np.where(better, loss_sum, state.loss_sum),
        walk=walk,
        walk_b=walk_b,
        f=np.where(better, f, state.f),
    )
