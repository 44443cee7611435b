"""Run a primal solver for some epochs, and certify where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.penalties import penalty_value
from widemargin.run.evaluation import Evaluation, evaluate
from widemargin.run.fit import Fitted, Progress, Row, history_row
from widemargin.run.serial import Solver, serial


def met(objective: Objective, state: Any) -> float:
    """The objective with the losses as the last epoch met them; no pass over the data."""
    with np.errstate(over="ignore", invalid="ignore"):
        penalty = penalty_value(objective.penalty, state.W.ravel())  # a sum over all entries
        return penalty + objective.C * float(state.loss_sum.sum())


def fit_online(
    solver: Solver[Any],
    objective: Objective,
    samples: Samples,
    *,
    epochs: int,
    rng: np.random.Generator,
    tol: float | None = None,
    settled: Callable[[Any], bool] | None = None,
    progress: Progress | None = None,
    threads: int = 1,
) -> Fitted:
    """Epochs of a primal solver, then the certificate of the weights that it ends with.

    With `tol`, a certificate is taken after every epoch (outside the seconds of the history),
    and the fit ends once its relative gap is at most tol. Between certificates the history has the
    objective with the losses as the epoch met them. `settled` tells from a state that
    further epochs would change nothing.
    """
    return online_along(
        objective,
        serial(solver, objective, samples, rng),
        lambda W, b: evaluate(objective, samples, W, b, threads=threads),
        epochs=epochs,
        tol=tol,
        settled=settled,
        progress=progress,
    )


def online_along(
    objective: Objective,
    states: Iterator[Any],
    look: Callable[[Array, Array], Evaluation],
    *,
    epochs: int,
    tol: float | None = None,
    settled: Callable[[Any], bool] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """`fit_online`, given the states and what looks at all samples from their weights."""
    history: list[Row] = []
    seconds, began = 0.0, time.perf_counter()
    for epoch, state in enumerate(states, 1):
        seconds += time.perf_counter() - began
        done = epoch >= epochs or (settled is not None and settled(state))
        seen = None
        if done or tol is not None:
            seen = look(state.W, state.b)
        if seen is None:
            history.append(history_row(epoch, seconds, None, objective=met(objective, state)))
        else:
            history.append(history_row(epoch, seconds, seen.certificate))
        if progress is not None:
            progress(history[-1])
        close = seen is not None and seen.certificate.relative_gap <= (tol or 0.0)
        if seen is not None and (done or close):
            proof, solved = seen.certificate, tol is None or close
            return Fitted(state.W, state.b, proof, history, epoch, solved, seen.scores, seen.errors)
        began = time.perf_counter()
    raise ValueError(f"epochs={epochs} must be at least 1.")
