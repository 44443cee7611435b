"""Run a dual solver until its relative duality gap is proved to be small enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.objective import Certificate, Objective, certificate_of
from widemargin.run.serial import Solver, serial

S = TypeVar("S", bound=Any)
SAFETY = 0.8  # certify when the predicted gap is below this share of what is asked
AT_LEAST_EVERY = 20  # epochs between two certificates
FIRST_LOOK = 2  # epoch with a certificate in any case: it finds the intercept of lopsided classes
FIRST_RATIO = 0.08  # gap after an epoch / rise of the dual in it, before one was measured


class Certifying(Solver[S], Protocol[S]):
    """A solver whose state carries dual variables."""

    def certify(
        self, objective: Objective, samples: Samples, tol: float, state: S
    ) -> tuple[S, Array, Array]: ...


class Step(NamedTuple):
    """What is known after an epoch; certificate is None where none was taken."""

    state: Any
    epoch: int
    seconds: float
    certificate: Certificate | None
    solved: bool
    dual: float = float("nan")  # D(α): proved by a certificate, else the last plus what it rose


def certified(
    solver: Certifying[S],
    objective: Objective,
    samples: Samples,
    rng: np.random.Generator,
    *,
    tol: float,
    max_epochs: int,
    start: S | None = None,
) -> Iterator[Step]:
    """Yield a step per epoch until every column is within tol, or max_epochs are done."""
    return certified_along(
        serial(solver, objective, samples, rng, start=start),
        lambda state: solver.certify(objective, samples, tol, state),
        tol=tol,
        max_epochs=max_epochs,
    )


def certified_along(
    states: Iterator[S],
    certify: Callable[[S], tuple[S, Array, Array]],
    *,
    tol: float,
    max_epochs: int,
) -> Iterator[Step]:
    """`certified`, given the states and what certifies them.

    A certificate costs a pass over the data, so it is taken only when the rise of the dual in
    the epoch predicts success, from the ratio of gap to rise seen last.
    """
    began, ratio, since, value = time.perf_counter(), FIRST_RATIO, 0, 0.0
    for epoch, state in enumerate(states, 1):
        since += 1
        value += state.gain
        due = state.gain * ratio <= SAFETY * tol * max(value, 0.0)
        certificate, solved = None, False
        if due or epoch == FIRST_LOOK or since >= AT_LEAST_EVERY or epoch >= max_epochs:
            state, upper, lower = certify(state)
            certificate = certificate_of(float(upper.sum()), float(lower.sum()))
            solved = not state.live.any()
            ratio = certificate.gap / state.gain if state.gain > 0.0 else ratio
            since, value = 0, certificate.dual
        yield Step(state, epoch, time.perf_counter() - began, certificate, solved, value)
        if solved or epoch >= max_epochs:
            return
