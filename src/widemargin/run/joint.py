"""Fit the joint multiclass SVM of Crammer and Singer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.samples import Samples
from widemargin.objective import Certificate, Objective, certificate_of
from widemargin.run.fit import Fitted, Progress, Row, history_row
from widemargin.run.serial import serial

JOINT = "crammer_singer"  # what models and options call it
EPOCHS, TOL = 1000, 1e-3  # unless a plan says otherwise
SAFETY = 0.95  # look when the parts of the gap add up to this share of what is asked
LOOK_EVERY = 15  # epochs


class Walk(NamedTuple):
    """What is known after an epoch; certificate is None where none was taken."""

    epoch: int
    state: Any
    certificate: Certificate | None
    solved: bool


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
    began, history = time.perf_counter(), list[Row]()
    for last in walks(objective, samples, tol, max_epochs, rng):
        seconds = time.perf_counter() - began
        history.append(history_row(last.epoch, seconds, last.certificate))
        if progress is not None:
            progress(history[-1])
    assert last.certificate is not None, "the last epoch ends with a certificate"
    b = last.state.b
    W = np.ascontiguousarray(last.state.W[:, : b.size])
    if b.size == 2:
        W, b = W[:, 1] - W[:, 0], b[1:] - b[:1]
    return Fitted(W, b, last.certificate, history, last.epoch, last.solved)


def walks(
    objective: Objective,
    samples: Samples,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    **how: Any,
) -> Iterator[Walk]:
    """Epochs until the relative gap is at most tol, or max_epochs.

    Every sample's part in the gap is known from its last visit. A certificate costs a pass over
    the data: it is taken when these parts add up to little enough, and now and then, since it
    also takes back what was left out.
    """
    from widemargin.solvers.crammer_singer import CrammerSinger

    dual, since = 0.0, 0
    solver = CrammerSinger(**how)
    for epoch, state in enumerate(serial(solver, objective, samples, rng), 1):
        dual, since, proof = dual + state.gain, since + 1, None
        due = float(state.parts.sum()) <= SAFETY * tol * max(dual, 0.0)
        if due or since >= LOOK_EVERY or epoch >= max_epochs:
            state, (upper,), (lower,) = solver.certify(objective, samples, tol, state)
            proof, dual, since = certificate_of(float(upper), float(lower)), float(lower), 0
        solved = not state.live[0]
        yield Walk(epoch, state, proof, solved)
        if solved or epoch >= max_epochs:
            return
