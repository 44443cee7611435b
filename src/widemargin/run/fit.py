"""Run a solver to its end and keep what a user is told: weights, certificate, history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array, n_rows
from widemargin.data.samples import Samples
from widemargin.objective import Certificate, Objective, certify
from widemargin.run.certified import Step, certified
from widemargin.run.serial import serial
from widemargin.solvers.dual import DualCoordinateDescent
from widemargin.solvers.dual_replicas import ReplicatedDual, worthwhile
from widemargin.solvers.newton import FiniteNewton
from widemargin.solvers.primal_cd import PrimalCoordinateDescent, by_columns
from widemargin.solvers.prox_newton import ProximalNewton
from widemargin.threads import crew_of

Row: TypeAlias = dict[str, float]  # epoch, seconds, objective, gap, dual; NaN where not measured
Progress: TypeAlias = Callable[[Row], None]

NAN = float("nan")
CERTIFY_EVERY = 4  # primal descent: a certificate after a quarter more epochs than before


class Fitted(NamedTuple):
    """The end of a fit. `solved` is False where it stopped before its tolerance."""

    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    certificate: Certificate
    history: list[Row]
    epochs: int
    solved: bool
    scores: Array | None = None  # (n, K) of the samples, where the fit took them at its end
    errors: int | None = None  # samples on a wrong side, where the fit counted them at its end


def history_row(
    epoch: int,
    seconds: float,
    certificate: Certificate | None,
    *,
    objective: float = NAN,
    dual: float = NAN,
) -> Row:
    """One epoch of the history; `gap` is the relative duality gap.

    Without a certificate, objective and dual are what the solver summed up on its way, if it did.
    """
    gap = NAN
    if certificate is not None:
        objective, dual, _, gap = certificate
    return {"epoch": epoch, "seconds": seconds, "objective": objective, "gap": gap, "dual": dual}


def fit_dual(
    objective: Objective,
    samples: Samples,
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
    threads: int = 1,
) -> Fitted:
    """Dual coordinate descent until the relative duality gap of every column is at most tol.

    On as many of the `threads` as the data are worth; one takes the steps of the serial solver.
    """
    with crew_of(worthwhile(samples, threads)) as crew:
        solver = DualCoordinateDescent() if crew.pool is None else ReplicatedDual(crew)
        steps = certified(solver, objective, samples, rng, tol=tol, max_epochs=max_epochs)
        return followed(steps, progress)


def followed(steps: Iterable[Step], progress: Progress | None) -> Fitted:
    """The end of a certified run."""
    history: list[Row] = []
    for step in steps:
        history.append(history_row(step.epoch, step.seconds, step.certificate, dual=step.dual))
        if progress is not None:
            progress(history[-1])
    assert step.certificate is not None, "the last step of a certified run has a certificate"
    return Fitted(step.state.W, step.state.b, step.certificate, history, step.epoch, step.solved)


def fit_newton(
    solver: FiniteNewton | ProximalNewton,
    objective: Objective,
    samples: Samples,
    *,
    tol: float,
    max_epochs: int,
    to_the_end: bool = False,
    start: Any = None,
    progress: Progress | None = None,
) -> Fitted:
    """Newton steps until the relative gap is at most tol; `to_the_end`, until they stand still.

    Without a certificate each step, a fit to the end is reproducible to rounding.
    """
    began, history = time.perf_counter(), list[Row]()
    state = solver.init(objective, samples) if start is None else start
    for epoch in range(1, max(max_epochs, 1) + 1):
        state = solver.step(objective, samples, state)
        proof, done = None, not state.live.any() or epoch >= max_epochs
        if done or not to_the_end:
            proof = certify(objective, samples, state.W, state.b)
            done |= proof.relative_gap <= tol
        f = NAN if state.f is None else float(state.f.sum())
        history.append(history_row(epoch, time.perf_counter() - began, proof, objective=f))
        if progress is not None:
            progress(history[-1])
        if done:
            break
    assert proof is not None, "the last step has a certificate"
    return Fitted(state.W, state.b, proof, history, epoch, proof.relative_gap <= tol)


def fit_primal_cd(
    objective: Objective,
    samples: Samples,
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Fitted:
    """Primal coordinate descent (L1) until the relative duality gap is at most tol."""
    columns = by_columns(samples.rows)
    states = serial(
        PrimalCoordinateDescent(columns), objective, samples, rng, among=np.arange(n_rows(columns))
    )
    began, due, history = time.perf_counter(), 1, list[Row]()
    for epoch, state in enumerate(states, 1):
        proof = None
        if epoch >= min(due, max_epochs):
            proof = certify(objective, samples, state.W, state.b)
            due = epoch + 1 + epoch // CERTIFY_EVERY
        history.append(history_row(epoch, time.perf_counter() - began, proof))
        if progress is not None:
            progress(history[-1])
        if proof is not None and (proof.relative_gap <= tol or epoch >= max_epochs):
            break
    assert proof is not None, "the last epoch has a certificate"
    return Fitted(state.W, state.b, proof, history, epoch, proof.relative_gap <= tol)
