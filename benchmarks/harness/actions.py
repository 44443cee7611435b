"""What one process can be asked to measure: each action takes its spec, gives a JSON object."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import datasets, peers
from harness.accuracy import objective_at
from harness.clock import cost, seconds
from harness.datasets import Problem, head, in_memory, objective_of, samples_of
from harness.formats import csr

Spec = dict[str, Any]
WARM_ROWS = 2000
REFERENCE_GAP = 1e-7  # of the value that stands for the optimum
MANY = 7  # alternations inside a process, where a call takes tenths of a second


def _problem(spec: Spec) -> Problem:
    return in_memory(datasets.load(spec["data"], spec.get("rows")))


def reference(spec: Spec) -> Any:
    """The optimum, to REFERENCE_GAP, and what ours reaches with the tolerance of the benchmark."""
    from widemargin import LinearSVC

    problem = _problem(spec)
    X = peers.SOLVERS["widemargin"].prepare(problem)[0]
    best = LinearSVC(loss="hinge", C=problem.C, tol=REFERENCE_GAP, random_state=0)
    best.fit(X, problem.codes)
    reached = [
        fit({**spec, "solver": name, "effort": peers.TOL})["objective"] for name in peers.OURS
    ]
    return {
        "optimum": best.certificate_.primal, "gap": best.certificate_.relative_gap,
        "reached": max(reached), "n": len(problem.codes), "d": problem.rows.n_features,
        "nonzeros": len(problem.rows.values), "C": problem.C, "n_classes": problem.n_classes,
    }  # fmt: skip


def fit(spec: Spec) -> Any:
    """One fit of spec["solver"] with spec["effort"], after one on a few rows."""
    problem, solver = _problem(spec), peers.SOLVERS[spec["solver"]]
    small = head(problem, min(WARM_ROWS, len(problem.codes)))
    solver.fit(solver.prepare(small), small, next(solver.efforts()))
    data = solver.prepare(problem)
    spent, model = cost(lambda: solver.fit(data, problem, spec["effort"]))
    found = {**spent._asdict(), "objective": objective_at(problem, solver.weights(model, problem))}
    if hasattr(model, "certificate_"):
        found["relative_gap"] = model.certificate_.relative_gap
        found["certified"] = model.certificate_.primal
        found["epochs"] = model.n_iter_
        found["solver_seconds"] = model.history_[-1]["seconds"]
    return found


def search(spec: Spec) -> Any:
    """The least effort that brings spec["solver"] to each of spec["levels"], or null."""
    problem, solver = _problem(spec), peers.SOLVERS[spec["solver"]]
    data, tried = solver.prepare(problem), []

    def reaches(effort: Any, level: float) -> bool:
        known = dict(tried)
        if effort not in known:
            model = solver.fit(data, problem, effort)
            tried.append((effort, objective_at(problem, solver.weights(model, problem))))
        return bool(dict(tried)[effort] <= level)

    found = {
        name: _least(solver.efforts(), lambda e, level=level: reaches(e, level))
        for name, level in spec["levels"].items()
    }
    return {"efforts": found, "tried": tried}


def _least(efforts: Any, reaches: Callable[[Any], bool]) -> Any:
    """The first effort that suffices; whole numbers that the list leaves out are tried too."""
    before = None
    for effort in efforts:
        if reaches(effort):
            if isinstance(effort, int):
                return next(k for k in range((before or 0) + 1, effort + 1) if reaches(k))
            return effort
        before = effort
    return None


# -- stochastic gradient descent -------------------------------------------------------------------


def epoch(spec: Spec) -> Any:
    """Seconds of a gather-dot pass, an epoch of SGD and one of averaged SGD, taken in turns.

    An epoch is what `run.serial` does: a fresh order of the rows, then the steps.
    """
    from widemargin.objective import loss_sums
    from widemargin.run.serial import serial

    problem = _problem(spec)
    objective, samples = objective_of(problem), samples_of(problem)
    rng = np.random.default_rng(0)
    solvers = _solvers(objective, samples, rng)
    runs = {name: serial(solver, objective, samples, rng) for name, solver in solvers.items()}
    last = next(runs["sgd"])
    calls = {"pass": lambda: loss_sums(objective.loss, samples, last.W, last.b)}
    calls |= {name: lambda name=name: next(runs[name]) for name in runs}
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    for _ in range(MANY):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: statistics.median(values) for name, values in times.items()}


def _solvers(objective: Any, samples: Any, rng: Any) -> Any:
    from widemargin.objective import lam_of
    from widemargin.schedules import Averaged, Optimal
    from widemargin.solvers.asgd import Asgd
    from widemargin.solvers.eta0 import trial_eta0
    from widemargin.solvers.sgd import Sgd

    lam = lam_of(objective, len(samples.codes))
    eta0 = trial_eta0(Sgd(Optimal(1.0, lam), 0.01), objective, samples, rng)
    return {"sgd": Sgd(Optimal(eta0, lam), 0.01), "asgd": Asgd(Averaged(eta0, lam), 0.01)}


def sgd_classifier(spec: Spec) -> Any:
    """SGDClassifier, ours or scikit-learn's, tol=None: a fit of one epoch, and what each epoch
    after the first adds, from a fit of three."""
    problem = _problem(spec)
    name = spec["solver"]
    X, y = csr(problem, np.dtype(spec["dtype"])), problem.codes
    make = _classifier(name)

    def run(k: int) -> float:
        model = make(
            alpha=datasets.LAM, max_iter=k, tol=None, average=spec["average"], random_state=0
        )
        return seconds(lambda: model.fit(X, y))

    make(alpha=datasets.LAM, max_iter=1, tol=None, average=spec["average"]).fit(X[:500], y[:500])
    first = [run(1) for _ in range(2)]
    more = [run(3) for _ in range(2)]
    return {"one": min(first), "epoch": (min(more) - min(first)) / 2.0}


def _classifier(name: str) -> Any:
    if name == "widemargin":
        from widemargin import SGDClassifier
    else:
        from sklearn.linear_model import SGDClassifier
    return SGDClassifier
