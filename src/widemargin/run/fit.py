"""Run a solver to its end and keep what a user is told: weights, certificate, history."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.objective import Certificate, Objective
from widemargin.run.certified import certified
from widemargin.solvers.dual import DualCoordinateDescent

Row: TypeAlias = dict[str, float]  # epoch, seconds, objective, gap; NaN where not measured
Progress: TypeAlias = Callable[[Row], None]


class Fitted(NamedTuple):
    """The end of a fit. `solved` is False where it stopped before its tolerance."""

    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    certificate: Certificate
    history: list[Row]
    epochs: int
    solved: bool


def history_row(epoch: int, seconds: float, certificate: Certificate | None) -> Row:
    """One epoch of the history; `gap` is the relative duality gap."""
    nothing = float("nan")
    objective, gap = (
        (certificate.primal, certificate.relative_gap) if certificate else (nothing,) * 2
    )
    return {"epoch": epoch, "seconds": seconds, "objective": objective, "gap": gap}


def fit_dual(
    objective: Objective,
    samples: Samples,
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Fitted:
    """Dual coordinate descent until the relative duality gap of every column is at most tol."""
    history: list[Row] = []
    steps = certified(
        DualCoordinateDescent(), objective, samples, rng, tol=tol, max_epochs=max_epochs
    )
    for step in steps:
        history.append(history_row(step.epoch, step.seconds, step.certificate))
        if progress is not None:
            progress(history[-1])
    assert step.certificate is not None, "the last step of a certified run has a certificate"
    return Fitted(step.state.W, step.state.b, step.certificate, history, step.epoch, step.solved)
