"""Fit the joint multiclass SVM of Crammer and Singer."""

from __future__ import annotations

import numpy as np

from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.certified import certified
from widemargin.run.fit import Fitted, Progress, Row, history_row
from widemargin.solvers.crammer_singer import CrammerSinger

JOINT = "crammer_singer"  # what models and options call it


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
