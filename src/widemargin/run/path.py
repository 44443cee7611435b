"""A path along C: each fit starts from the one before, and each is certified.

The dual variables start at √(C / C₀) times those of the C₀ before: see `solvers/fold_dual.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.certified import certified
from widemargin.run.fit import Fitted, fit_newton, history_row
from widemargin.solvers.dual import DualCoordinateDescent, DualState
from widemargin.solvers.newton import FiniteNewton, NewtonState


def dual_path(
    objective: Objective,
    samples: Samples,
    Cs: Sequence[float],
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
) -> Iterator[Fitted]:
    """The dual solver's fit at each of rising Cs, every column within tol or max_epochs done."""
    solver, state, before = DualCoordinateDescent(), None, Cs[0]
    for C in Cs:
        here = objective._replace(C=C)
        if state is not None:
            state = warm(state, C / before)
        steps = list(
            certified(solver, here, samples, rng, tol=tol, max_epochs=max_epochs, start=state)
        )
        last, before, state = steps[-1], C, steps[-1].state
        assert last.certificate is not None, "the last step of a certified run has a certificate"
        history = [history_row(step.epoch, step.seconds, step.certificate) for step in steps]
        W, b = state.W.copy(), state.b.copy()
        yield Fitted(W, b, last.certificate, history, last.epoch, last.solved)


def warm(state: DualState, ratio: float) -> DualState:
    """What to start from at `ratio` ≥ 1 times the C of the state; arrays in place."""
    grown = math.sqrt(ratio)
    for array in (state.alpha, state.W, state.delta):
        array *= grown
    state.keep[:], state.live[:] = True, True
    return state._replace(gain=1.0, scale=1.0, slack=np.inf, floor=state.floor * ratio, epochs=0)


def newton_path(
    objective: Objective, samples: Samples, Cs: Sequence[float], *, tol: float, max_epochs: int
) -> Iterator[Fitted]:
    """Newton's fit at each C: where there are few features, the squared hinge's."""
    solver = FiniteNewton()
    state = solver.init(objective, samples)
    for C in Cs:
        here = objective._replace(C=C)
        fitted = fit_newton(
            solver, here, samples, tol=tol, max_epochs=max_epochs, to_the_end=True, start=state
        )
        state = NewtonState(fitted.W, fitted.b, np.ones_like(state.live))
        yield fitted
