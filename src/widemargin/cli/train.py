"""`widemargin train`: a file becomes a saved model and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.cli.clock import since_start
from widemargin.cli.live import Epochs, Live
from widemargin.cli.loading import Loading, load
from widemargin.cli.outcome import facts, show, test_error, verdict
from widemargin.cli.output import put_json
from widemargin.data.dataset import Dataset
from widemargin.data.rows import read_only
from widemargin.data.samples import Samples, joint_samples, make_samples
from widemargin.errors import InputError, choose
from widemargin.files import written_whole
from widemargin.fitted_model import model_of
from widemargin.model import Model
from widemargin.model_file import save
from widemargin.objective import Objective
from widemargin.run.fit import Fitted
from widemargin.run.joint import JOINT, fit_joint_plan, joint_solver
from widemargin.run.solve import (
    SOLVERS,
    Plan,
    fit,
    make_objective,
    refuse_scheme,
    solver_for,
)
from widemargin.threads import cores

BATCH = 32  # samples a step of minibatch


class Training(NamedTuple):
    """What the user asked for."""

    data: str
    model: Path
    test: str | None = None
    loss: str | None = None
    C: float | None = None
    alpha: float | None = None
    solver: str = "auto"
    epochs: int | None = None
    tol: float | None = None
    batch_size: int | None = None  # None: BATCH, or as suits the workers
    n_jobs: int | None = None
    scheme: str | None = None
    seed: int = 0
    class_weight: str | None = None
    multi_class: str = "ovr"
    n_features: int | None = None
    zero_based: bool | None = None
    intercept: bool = True
    max_memory: str | None = None
    report: Path | None = None
    json: bool = False
    test_share: float | None = None
    reading: Mapping[str, Any] | None = None  # options for text and tables, by name
    proba: bool = False
    cluster: Mapping[str, Any] | None = None  # where, by name; None: this process


class Timed(NamedTuple):
    load: float
    fit: float


def train(asked: Training) -> int:
    """Load, fit, save, report; the exit code."""
    joint = asked.multi_class == JOINT
    loss = asked.loss or ("perceptron" if asked.solver == "perceptron" else "hinge")
    solver = joint_solver(asked.solver, loss) if joint else solver_for(asked.solver, loss)
    refuse_scheme(asked.scheme, solver)
    check(asked)
    if asked.cluster is not None or asked.max_memory is not None:
        return from_a_store(asked, solver, loss)
    threads = asked.n_jobs or cores()
    began = time.perf_counter()
    data, test = load(_loading(asked, threads))
    samples = samples_of(data, asked.class_weight, joint_samples if joint else make_samples)
    loaded = time.perf_counter()
    n = data.n_samples
    C = 1.0 / (asked.alpha * n) if asked.alpha is not None else asked.C or 1.0
    objective = make_objective(solver, loss, C, fit_intercept=asked.intercept)
    plan = Plan(asked.tol, asked.epochs, asked.batch_size or BATCH, threads, asked.scheme)
    watch = Epochs(n, asked.epochs or SOLVERS[solver].epochs, asked.tol or SOLVERS[solver].tol)
    with Live(watch.told):
        rng = np.random.default_rng(asked.seed)
        go = fit_joint_plan if joint else fit
        fitted = go(solver, objective, samples, rng=rng, plan=plan, progress=watch.row)
    sigmoids = _sigmoids(asked, solver, go, objective, samples, plan)
    times = Timed(loaded - began, time.perf_counter() - loaded)
    report = facts(objective, data, fitted, threads)
    report |= {"solver": solver, "n_jobs": threads, "scheme": asked.scheme, "test_error": None}
    if test is not None:
        report["test_error"] = test_error(test, data, fitted, threads)
    model = model_of(objective, data, fitted, JOINT if joint else loss, solver, report)
    model = replace(model, sigmoids=sigmoids)
    page = _page(asked, model, fitted, data, test, times, threads)
    save(model, asked.model)
    _put(page, asked.report)
    report["seconds"] = {**times._asdict(), "total": since_start()}
    put_json(report) if asked.json else show(report, asked.model, asked.report)
    return verdict(fitted.solved, report)


def from_a_store(asked: Training, solver: str, loss: str) -> int:
    """What `train` does where no process holds all rows; the exit code."""
    if asked.cluster is not None:
        from widemargin.cli.train_cluster import train_cluster

        return train_cluster(asked, loss)
    from widemargin.cli.train_bounded import train_bounded

    return train_bounded(asked, solver, loss)


def check(asked: Training) -> None:
    """Refuse what cannot be, before any work."""
    if asked.C is not None and asked.alpha is not None:
        raise ValueError("--C and --alpha say the same thing: C = 1/(alpha n). Give one of them.")
    for name, value in (("--C", asked.C), ("--alpha", asked.alpha), ("--tol", asked.tol)):
        if value is not None and not 0.0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite, got {value}.")
    choose("--multi-class", asked.multi_class, dict.fromkeys(("ovr", JOINT)))
    if asked.class_weight not in (None, "balanced"):
        raise ValueError(f"--class-weight {asked.class_weight!r} is unknown. Choose: balanced.")
    if asked.data == "-" == asked.test:
        raise ValueError("DATA and --test cannot both be stdin ('-'). Put one into a file.")
    check_model(asked.model)
    if asked.report is not None:
        from widemargin.cli.report import check_page

        check_page(asked.report, asked.model)


def check_model(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise InputError(
            f"{path}: found no folder {path.parent} to write into; "
            "accepted: a file in an existing folder; make it first."
        )


def _sigmoids(
    asked: Training, solver: str, go: Any, objective: Objective, samples: Samples, plan: Plan
) -> Any:
    if not asked.proba:
        return None
    from widemargin.cli.proba import sigmoids

    return sigmoids(solver, go, objective, samples, plan, asked.seed)


def _loading(asked: Training, threads: int) -> Loading:
    return Loading(
        asked.data,
        asked.test,
        asked.test_share,
        asked.seed,
        asked.n_features,
        asked.zero_based,
        asked.reading,
        threads,
    )


def samples_of(
    data: Dataset, class_weight: str | None, make: Callable[..., Samples] = make_samples
) -> Samples:
    """The samples of a data set of two classes or more."""
    names = data.label_names
    if len(names) < 2:
        raise InputError(
            f"{data.source}: found one class only ({', '.join(map(repr, names))}) in "
            f"{data.n_samples} rows; accepted: rows of two classes or more; add the others."
        )
    weights = None
    if class_weight == "balanced":
        counts = np.bincount(data.codes, minlength=len(names))
        weights = data.n_samples / (len(names) * counts)
    return make(read_only(data.rows), data.codes, len(names), class_weight=weights)


def _page(
    asked: Training,
    model: Model,
    fitted: Fitted,
    data: Dataset,
    test: Dataset | None,
    times: Timed,
    threads: int,
) -> bytes:
    """The page that --report asks for, before anything is written; empty without it."""
    if asked.report is None:
        return b""
    from widemargin.cli.report import page_of_fit

    tol = asked.tol if asked.tol is not None else SOLVERS[model.solver].tol
    seconds = {**times._asdict(), "total, up to this page": since_start()}
    return page_of_fit(
        model,
        fitted.history,
        data,
        test,
        tol=tol,
        seed=asked.seed,
        seconds=seconds,
        threads=threads,
    )


def _put(page: bytes, path: Path | None) -> None:
    if path is not None:
        with written_whole(path) as stream:
            stream.write(page)
