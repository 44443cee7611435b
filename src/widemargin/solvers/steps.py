"""What the solvers that step sample by sample share: their state, their step, their checks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array, Rows, Sparse, n_rows
from widemargin.data.samples import Samples
from widemargin.errors import Diverged
from widemargin.objective import Objective, column, lam_of, zero_weights
from widemargin.penalties import L1, L2, ElasticNet, Penalty, penalty_value
from widemargin.schedules import Schedule

SMALLEST_SCALE = 1e-6  # below it w = s v is multiplied out, long before s underflows


class State(NamedTuple):
    """Weights after t updates."""

    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    t: int
    loss_sum: Array  # (K,): Σ sᵢ ℓ as the last epoch met the samples, each before its own update


class Step(NamedTuple):
    """The numbers of a step beside its rate."""

    lam: float  # λ₂: w shrinks by 1 − η λ₂
    truncate: float  # λ₁: w moves towards zero by η λ₁
    intercept: float  # the intercept's rate is this share of η; 0 leaves it alone


def make_step(lam: float, penalty: Penalty, intercept: float) -> Step:
    match penalty:
        case L2():
            return Step(lam, 0.0, intercept)
        case L1():
            return Step(0.0, lam, intercept)
        case ElasticNet(rho):
            return Step((1.0 - rho) * lam, rho * lam, intercept)
    return Step(0.0, 0.0, intercept)


@kernel
def multiplied_out(s: float, V: Array) -> float:
    """V ← s V, in place; returns 1, the scale from then on. Keeping it out of the loop of an
    epoch spares that loop the counting of references to V; a loop compiles faster than a ufunc."""
    v = V.ravel()
    for j in range(v.size):
        v[j] *= s
    return 1.0


def intercept_decay(rows: Rows) -> float:
    """The intercept's share of the learning rate.

    In sparse data it is a feature present in every row among features that are rare, so it
    gets a hundredth, as in Bottou's programs and in scikit-learn; in dense data all of it.
    """
    return 0.01 if isinstance(rows, Sparse) else 1.0


def first_state(samples: Samples) -> State:
    """w₀ = 0, b₀ = 0."""
    W, b = zero_weights(samples)
    return State(W, b, 0, np.zeros(b.size))


def copied(state: Any) -> Any:
    """The state with arrays of its own, W in the order that kernels are compiled for."""
    return type(state)(*[np.array(a, order="C") if isinstance(a, np.ndarray) else a for a in state])


def refuse_penalty(solver: str, penalty: Penalty, accepted: tuple[type[Any], ...]) -> None:
    if not isinstance(penalty, accepted):
        names = ", ".join(kind.__name__ for kind in accepted)
        raise ValueError(
            f"penalty={penalty!r} does not go with {solver}, whose step knows only: {names}. "
            "Use the truncated solver for L1 and ElasticNet."
        )


def refuse_long_step(lam: float, schedule: Schedule) -> None:
    """λ η₀ ≥ 1 would flip the sign of w."""
    if lam * schedule.eta0 >= 1.0:
        raise ValueError(
            f"lam * eta0 must be below 1, got {lam:g} * {schedule.eta0:g} = "
            f"{lam * schedule.eta0:g}: the first step would flip the sign of w. "
            f"Lower eta0 below {1.0 / lam:g}."
        )


def progressive(objective: Objective, state: Any) -> Array:
    """C Σ s ℓ + r(w) per column with the losses as the last epoch met them: an estimate of f
    that costs no pass over the data."""
    with np.errstate(over="ignore", invalid="ignore"):
        columns = [column(state.W, k) for k in range(state.b.size)]
        penalties = np.array([penalty_value(objective.penalty, w) for w in columns])
        return np.asarray(objective.C * state.loss_sum + penalties)


def finite(objective: Objective, before: Any, after: Any, epoch: int) -> Any:
    """`after`, or Diverged if epoch number `epoch`, begun at `before`, left the finite numbers."""
    if np.isfinite(after.W).all() and np.isfinite(after.b).all():
        return after
    last = float(progressive(objective, before).sum())
    was = f"the objective was {last:g} one epoch before" if before.t else "the first"
    raise Diverged(
        f"Floating-point under-/overflow occurred at epoch #{epoch}; {was}. Lower eta0. "
        "Scaling input data with StandardScaler or MinMaxScaler might help."
    )


def epoch_number(t: int, steps: int) -> int:
    """The epoch, counted from 1, that begins after t updates when each makes `steps`."""
    return t // max(1, steps) + 1


def stated_lam(lam: float | None, objective: Objective, samples: Samples) -> float:
    """λ as the solver was given it, else 1 / (C n)."""
    return lam_of(objective, n_rows(samples.rows)) if lam is None else lam
