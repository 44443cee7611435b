"""Two threads against one: the dual solver to its gap, and three ways to share the steps of SGD."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from widemargin.demo import TOL, Task
from widemargin.demo_tour.lines import Line, Stopwatch
from widemargin.run.fit import Fitted
from widemargin.run.solve import Plan, fit

EPOCHS = 3
SCHEMES = (None, "hogwild", "locked", "round_robin")


def cores(task: Task) -> Iterator[Line]:
    """Times of the training alone, after a first epoch has compiled it."""
    watch, found = Stopwatch(), {}
    for threads in (1, 2):
        found[threads] = _timed(task, "dual", Plan(tol=TOL, threads=threads))
    (one, alone), (two, both) = found[1], found[2]
    gap = max(one.certificate.relative_gap, two.certificate.relative_gap)
    yield Line(
        "dual on two threads",
        f"{both:.2f} s; on one {alone:.2f} s; gap {gap:.0e} at most",
        watch.lap(),
        {"seconds_1": alone, "seconds_2": both, "relative_gap": gap},
    )
    for scheme in SCHEMES:
        threads = 1 if scheme is None else 2
        fitted, seconds = _timed(task, "sgd", Plan(epochs=EPOCHS, threads=threads, scheme=scheme))
        f = fitted.certificate.primal / (task.objective.C * len(task.train.codes))
        yield Line(
            f"SGD, {'one thread' if scheme is None else scheme.replace('_', ' ')}",
            f"{seconds:.2f} s for {EPOCHS} epochs on {_words(threads)}; f(w,b) {f:.4f}",
            watch.lap(),
            {"seconds_of_epochs": seconds, "objective": f, "threads": threads},
        )


def _timed(task: Task, solver: str, plan: Plan) -> tuple[Fitted, float]:
    """A fit, and the seconds of its epochs.

    Compiled by an epoch over all rows: with few rows threads would share their work another way.
    """
    for how in (plan._replace(epochs=1), plan):
        rng = np.random.default_rng(0)
        fitted = fit(solver, task.objective, task.train, rng=rng, plan=how)
    return fitted, fitted.history[-1]["seconds"]


def _words(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"
