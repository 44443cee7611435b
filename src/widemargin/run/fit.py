"""Run a solver to its end and keep what a user is told: weights, certificate, history."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array, n_rows
from widemargin.data.samples import Samples
from widemargin.objective import Certificate, Objective, certify
from widemargin.run.certified import certified
from widemargin.run.serial import serial
from widemargin.solvers.dual import DualCoordinateDescent
from widemargin.solvers.newton import FiniteNewton
from widemargin.solvers.primal_cd import PrimalCoordinateDescent, by_columns
from widemargin.solvers.prox_newton import ProximalNewton

Row: TypeAlias = dict[str, float]  # epoch, seconds, objective, gap; NaN where not measured
Progress: TypeAlias = Callable[[Row], None]

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
        history.append(history_row(epoch, time.perf_counter() - began, proof))
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
