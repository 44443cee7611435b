"""Solvers by name: which losses each takes, what it needs before its first step.

Each is imported when it is asked for: the kernels of all take longer to find than most fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.samples import Samples
from widemargin.duals import ASCENDS
from widemargin.errors import choose, listing
from widemargin.losses import LOSSES, Loss
from widemargin.objective import Objective
from widemargin.penalties import L2, NoPenalty, Penalty
from widemargin.run.fit import Fitted, Progress, fit_dual
from widemargin.run.online import fit_online
from widemargin.run.serial import Solver
from widemargin.threads import crew_of

SCHEMES = ("hogwild", "locked", "round_robin")  # of `run/threads.py`
MARGIN_LOSSES = ("hinge", "log_loss", "modified_huber", "perceptron", "squared_hinge")
DUAL_LOSSES = tuple(name for name in MARGIN_LOSSES if LOSSES[name] in ASCENDS)


class Plan(NamedTuple):
    """How to solve; None leaves the solver its own default."""

    tol: float | None = None  # relative duality gap
    epochs: int | None = None  # at most
    batch_size: int = 32
    threads: int = 1  # for looks at all samples, steps of the dual solver and of a scheme
    scheme: str | None = None  # how threads take the steps of SGD; None: one takes them


class Kind(NamedTuple):
    """What is to be known of a solver before any work."""

    losses: tuple[str, ...]
    epochs: int  # default
    tol: float | None  # default; None: all epochs are run
    make: Callable[..., Solver[Any]] | None  # None: the dual solver, which runs otherwise
    penalty: Penalty = L2()


def _stepping(solver: Any, objective: Objective, samples: Samples, rng: Any) -> Any:
    """The solver with η₀ found by trial, λ of the objective, the intercept's rate of the rows."""
    from widemargin.solvers.eta0 import trial_eta0
    from widemargin.solvers.steps import intercept_decay

    lam = 1.0 / (objective.C * len(samples.codes))
    solver = replace(
        solver,
        schedule=solver.schedule._replace(lam=lam),
        intercept_decay=intercept_decay(samples.rows),
    )
    eta0 = trial_eta0(solver, objective, samples, rng)
    return replace(solver, schedule=solver.schedule._replace(eta0=eta0))


def _sgd(objective: Objective, samples: Samples, rng: Any, plan: Plan) -> Any:
    from widemargin.schedules import Optimal
    from widemargin.solvers.sgd import Sgd

    return _stepping(Sgd(Optimal(1.0, 1.0)), objective, samples, rng)


def _asgd(objective: Objective, samples: Samples, rng: Any, plan: Plan) -> Any:
    from widemargin.schedules import Averaged
    from widemargin.solvers.asgd import Asgd

    start = first_averaged(len(samples.codes), plan)
    return _stepping(Asgd(Averaged(1.0, 1.0), average_from=start), objective, samples, rng)


def first_averaged(n: int, plan: Plan) -> int:
    """Averaging starts with the second epoch, if there is one: the first steps are far off."""
    return n + 1 if (plan.epochs or SOLVERS["asgd"].epochs) > 1 else n // 2 + 1


def _minibatch(objective: Objective, samples: Samples, rng: Any, plan: Plan) -> Any:
    from widemargin.schedules import Optimal
    from widemargin.solvers.minibatch import Minibatch

    solver = Minibatch(Optimal(1.0, 1.0), batch_size=plan.batch_size)
    return _stepping(solver, objective, samples, rng)


def _batch(objective: Objective, samples: Samples, rng: Any, plan: Plan) -> Any:
    from widemargin.solvers.batch import Batch

    return Batch()


def _perceptron(objective: Objective, samples: Samples, rng: Any, plan: Plan) -> Any:
    from widemargin.solvers.perceptron import Perceptron

    return Perceptron()


def separated(state: Any) -> bool:
    from widemargin.solvers import perceptron

    return perceptron.separated(state)


SOLVERS: dict[str, Kind] = {
    "dual": Kind(DUAL_LOSSES, 1000, 1e-3, None),
    "sgd": Kind(MARGIN_LOSSES, 5, None, _sgd),
    "asgd": Kind(MARGIN_LOSSES, 5, None, _asgd),
    "minibatch": Kind(MARGIN_LOSSES, 5, None, _minibatch),
    "batch": Kind(MARGIN_LOSSES, 100, None, _batch),
    "perceptron": Kind(("perceptron",), 100, None, _perceptron, NoPenalty()),
}
AUTO = "dual"


def solver_for(name: str, loss: str) -> str:
    """The solver of that name, or "auto"; refuses a loss that does not go with it."""
    choose("solver", name, {**SOLVERS, "auto": None})
    choose("loss", loss, dict.fromkeys(MARGIN_LOSSES))
    if name == "auto":
        return AUTO if loss in DUAL_LOSSES else "sgd"
    if loss not in SOLVERS[name].losses:
        fit = [other for other, kind in SOLVERS.items() if loss in kind.losses]
        raise ValueError(
            f"loss={loss!r} does not go with solver={name!r}, which takes "
            f"{listing(SOLVERS[name].losses)}. Choose one of these, or a solver from: "
            f"{listing(fit)}."
        )
    return name


def refuse_scheme(scheme: str | None, solver: str) -> None:
    """Refuse a scheme that is unknown, or one for a solver other than SGD."""
    if scheme is None:
        return
    choose("scheme", scheme, dict.fromkeys(SCHEMES))
    if solver != "sgd":
        raise ValueError(
            f"scheme={scheme!r} does not go with solver={solver!r}: it says how threads share the "
            "steps of SGD. Choose solver='sgd', or leave the scheme out."
        )


def make_objective(name: str, loss: str, C: float, *, fit_intercept: bool = True) -> Objective:
    """The objective that solver `name` minimises."""
    kind: type[Loss] = LOSSES[loss]
    return Objective(kind(), C, SOLVERS[name].penalty, fit_intercept)


def fit(
    name: str,
    objective: Objective,
    samples: Samples,
    *,
    rng: np.random.Generator,
    plan: Plan = Plan(),  # noqa: B008, a NamedTuple cannot change
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the objective with the solver of that name."""
    kind = SOLVERS[name]
    epochs = kind.epochs if plan.epochs is None else plan.epochs
    tol = kind.tol if plan.tol is None else plan.tol
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1.")
    if kind.make is None:
        return fit_dual(
            objective,
            samples,
            tol=tol or 0.0,
            max_epochs=epochs,
            rng=rng,
            progress=progress,
            threads=plan.threads,
        )
    with _on_threads(kind.make(objective, samples, rng, plan), samples, plan) as solver:
        return fit_online(
            solver,
            objective,
            samples,
            epochs=epochs,
            rng=rng,
            tol=tol,
            settled=separated if name == "perceptron" else None,
            progress=progress,
            threads=plan.threads,
        )


@contextmanager
def _on_threads(solver: Any, samples: Samples, plan: Plan) -> Iterator[Any]:
    """The solver, its steps taken by threads of their own where the plan names a scheme."""
    if plan.scheme is None:
        yield solver
        return
    from widemargin.run.threads import on_threads

    with crew_of(plan.threads) as crew:
        yield on_threads(solver, plan.scheme, crew, samples)
