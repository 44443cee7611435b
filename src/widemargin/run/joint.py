"""Fit the joint multiclass SVM of Crammer and Singer."""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.certified import certified
from widemargin.run.fit import Fitted, Progress, Row, history_row

JOINT = "crammer_singer"  # what models and options call it
EPOCHS, TOL = 1000, 1e-3  # unless a plan says otherwise


def joint_solver(solver: str, loss: str) -> str:
    """The solver of the joint problem; refuses options that are not part of it."""
    if solver not in ("auto", "dual") or loss != "hinge":
        raise ValueError(
            f"solver={solver!r} with loss={loss!r} does not go with multi_class={JOINT!r}, which "
            "is a problem of its own. Leave both out, or choose solver='dual' and loss='hinge'."
        )
    return "dual"


def fit_joint_plan(
    name: str,
    objective: Objective,
    samples: Samples,
    *,
    rng: np.random.Generator,
    plan: Any,
    progress: Progress | None = None,
) -> Fitted:
    """`fit_joint` with the tolerance and the epochs of a plan; `name` is the dual solver's."""
    tol, epochs = plan.tol or TOL, plan.epochs or EPOCHS
    return fit_joint(objective, samples, tol=tol, max_epochs=epochs, rng=rng, progress=progress)


def fit_joint(
    objective: Objective,
    samples: Samples,
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Fitted:
    """Dual coordinate descent on `joint_samples` until the relative gap is at most tol.

    Of the objective, C and the intercept count; the loss is the joint one. Two classes end as
    one column, w₁ − w₀, whose sign tells them apart: w₀ = −w₁, since Σₘ wₘ = 0.
    """
    from widemargin.solvers.crammer_singer import CrammerSinger

    history: list[Row] = []
    steps = certified(CrammerSinger(), objective, samples, rng, tol=tol, max_epochs=max_epochs)
    for step in steps:
        history.append(history_row(step.epoch, step.seconds, step.certificate))
        if progress is not None:
            progress(history[-1])
    assert step.certificate is not None, "the last step of a certified run has a certificate"
    W, b = step.state.W, step.state.b
    if b.size == 2:
        W, b = W[:, 1] - W[:, 0], b[1:] - b[:1]
    return Fitted(W, b, step.certificate, history, step.epoch, step.solved)
