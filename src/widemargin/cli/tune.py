"""`widemargin tune`: C chosen by cross-validation, the model of that C saved."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.cli import DONE, SHORT_OF_TOLERANCE
from widemargin.cli.clock import since_start
from widemargin.cli.demo import check_plot
from widemargin.cli.loading import Loading, load
from widemargin.cli.outcome import facts
from widemargin.cli.output import Progress, put_json
from widemargin.cli.proba import sigmoids
from widemargin.cli.train import check_model, samples_of
from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.errors import choose
from widemargin.fitted_model import model_of
from widemargin.losses import LOSSES
from widemargin.model_file import save
from widemargin.objective import Objective
from widemargin.run.cross_scores import deal_folds
from widemargin.run.judging import SCORES, judge_by
from widemargin.run.solve import DUAL_LOSSES, Plan, fit
from widemargin.run.tuning import Point, best_index, effort_for, standard_error, tune
from widemargin.threads import cores

RULES = {"best": "best", "one-standard-error": "one_standard_error"}


class Tuning(NamedTuple):
    """What the user asked for."""

    data: str
    model: Path
    Cs: str = "1e-3:1e3:13"
    cv: int = 5
    rule: str = "best"
    scoring: str = "accuracy"
    loss: str = "hinge"
    tol: float = 1e-3
    cv_tol: float = 1e-2
    epochs: int = 1000
    n_jobs: int | None = None
    seed: int = 0
    class_weight: str | None = None
    zero_based: bool | None = None
    intercept: bool = True
    proba: bool = False
    plot: Path | None = None
    json: bool = False
    reading: Mapping[str, Any] | None = None  # options for text and tables, by name


def tune_file(asked: Tuning) -> int:
    """Load, choose C, fit, save, report; the exit code."""
    Cs, rule = _checked(asked)
    threads = asked.n_jobs or cores()
    began = time.perf_counter()
    data, _ = load(
        Loading(asked.data, None, None, asked.seed, None, asked.zero_based, asked.reading, threads)
    )
    samples = samples_of(data, asked.class_weight)
    loaded = time.perf_counter()
    objective = Objective(LOSSES[asked.loss](), 1.0, fit_intercept=asked.intercept)
    points = _points(asked, objective, samples, Cs, len(data.label_names), threads)
    best = best_index(points, rule)
    objective = objective._replace(C=points[best].C)
    chosen = time.perf_counter()
    plan = Plan(asked.tol, asked.epochs, threads=threads)
    fitted = fit("dual", objective, samples, rng=np.random.default_rng(asked.seed), plan=plan)
    ended = time.perf_counter()
    report = _curve(asked, points, best) | facts(objective, data, fitted, threads)
    report |= {"solver": "dual", "n_jobs": threads}
    model = model_of(objective, data, fitted, asked.loss, "dual", report)
    if asked.proba:
        found = sigmoids("dual", fit, objective, samples, plan, asked.seed)
        model = replace(model, sigmoids=found)
    if asked.plot is not None:
        from widemargin.cli.tune_plot import draw

        draw(points, best, asked.scoring, asked.plot)
    save(model, asked.model)
    seconds = {"load": loaded - began, "tune": chosen - loaded, "fit": ended - chosen}
    report["seconds"] = seconds | {"total": since_start()}
    put_json(report) if asked.json else show(report, points, best, asked)
    return _verdict(fitted.solved, points[best], asked)


def _checked(asked: Tuning) -> tuple[Array, str]:
    """(values of C, rule); what cannot be is refused before any work."""
    choose("--loss", asked.loss, dict.fromkeys(DUAL_LOSSES))
    choose("--scoring", asked.scoring, SCORES)
    rule = choose("--rule", asked.rule, RULES)
    for name, value in (("--tol", asked.tol), ("--cv-tol", asked.cv_tol)):
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}.")
    if asked.class_weight not in (None, "balanced"):
        raise ValueError(f"--class-weight {asked.class_weight!r} is unknown. Choose: balanced.")
    check_model(asked.model)
    if asked.plot is not None:
        check_plot(asked.plot)
    return values_of(asked.Cs), rule


def values_of(text: str) -> Array:
    """Rising values of C from LOW:HIGH:COUNT, spaced evenly in their logarithm, or from a list."""
    try:
        if ":" in text:
            low, high, count = text.split(":")
            values = np.geomspace(float(low), float(high), int(count))
        else:
            values = np.array([float(word) for word in text.split(",")])
    except ValueError:
        values = np.empty(0)
    if not (len(values) and np.isfinite(values).all() and (values > 0.0).all()):
        raise ValueError(
            f"--Cs {text!r} must be LOW:HIGH:COUNT, such as 1e-3:1e3:13, or values separated by "
            "commas; all of them positive and finite."
        )
    return np.unique(values)


def _points(
    asked: Tuning, objective: Objective, samples: Samples, Cs: Array, n_classes: int, threads: int
) -> list[Point]:
    rng = np.random.default_rng(asked.seed)
    folds = deal_folds(samples.codes, rng, asked.cv)
    with Progress("values of C", len(Cs)) as progress:
        return tune(
            objective,
            samples,
            folds,
            Cs,
            judge_by(asked.scoring, samples, folds, n_classes),
            rng=rng,
            effort=effort_for(samples, asked.cv_tol, asked.epochs),
            threads=threads,
            progress=lambda point: progress.advance(1, f"{point.scores.mean():.4f}"),
        )


def _curve(asked: Tuning, points: Sequence[Point], best: int) -> dict[str, Any]:
    return {
        "C": points[best].C,
        "rule": asked.rule,
        "scoring": asked.scoring,
        "folds": len(points[best].scores),
        "curve": [
            {
                "C": point.C,
                "mean": float(point.scores.mean()),
                "standard_error": standard_error(point.scores),
                "scores": point.scores.tolist(),
                "relative_gap": float(point.gaps.max()),
                "epochs": point.epochs,
            }
            for point in points
        ],
    }


def show(report: dict[str, Any], points: Sequence[Point], best: int, asked: Tuning) -> None:
    seconds = report["seconds"]
    print(
        f"{report['n_samples']:,} rows, {report['n_features']:,} features, "
        f"{report['n_nonzeros']:,} nonzeros, {report['n_classes']} classes, "
        f"{report['folds']} folds\n"
    )
    width = max(len(asked.scoring), 8)
    print(f"  {'C':>9}  {asked.scoring:>{width}}  std. error  relative gap")
    for i, point in enumerate(points):
        print(
            f"{'>' if i == best else ' '} {point.C:9.4g}  {point.scores.mean():{width}.4f}  "
            f"{standard_error(point.scores):10.4f}  {point.gaps.max():12.1e}"
        )
    print(f"\nchosen         C = {report['C']:.4g}  ({asked.rule})")
    print(
        f"refit          relative gap {report['relative_gap']:.2e}, train error "
        f"{100 * report['train_error']:.2f} %"
    )
    print(
        f"seconds        load {seconds['load']:.2f}, tune {seconds['tune']:.2f}, "
        f"fit {seconds['fit']:.2f}, total {seconds['total']:.2f}"
    )
    print(f"saved          {asked.model}")
    if asked.plot is not None:
        print(f"figure         {asked.plot}")


def _verdict(solved: bool, point: Point, asked: Tuning) -> int:
    gap = float(point.gaps.max())
    if solved and gap <= asked.cv_tol:
        return DONE
    what = "the refit" if not solved else f"the folds, at a relative gap of {gap:.3g},"
    print(
        f"widemargin: {what} stopped after {asked.epochs} epochs above tolerance; the model is "
        "saved. Raise --epochs, --tol or --cv-tol.",
        file=sys.stderr,
    )
    return SHORT_OF_TOLERANCE
