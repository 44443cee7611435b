"""What a fit comes to: its facts, its model, and what is said of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from widemargin.cli import DONE, SHORT_OF_TOLERANCE
from widemargin.data.dataset import Dataset
from widemargin.data.rows import read_only
from widemargin.objective import Objective, lam_of
from widemargin.run.fit import Fitted
from widemargin.scores import error_of, scores


def facts(objective: Objective, data: Dataset, fitted: Fitted, threads: int) -> dict[str, Any]:
    """What is reported of a fit."""
    p = fitted.scores
    if p is None:
        p = scores(read_only(data.rows), fitted.W, fitted.b, threads)
    certificate = fitted.certificate
    return {
        "objective": certificate.primal,
        "objective_per_sample": certificate.primal * lam_of(objective, data.n_samples),
        "dual_objective": certificate.dual,
        "relative_gap": certificate.relative_gap,
        "epochs": fitted.epochs,
        "train_error": error_of(p, data.codes),
        "n_samples": data.n_samples,
        "n_features": data.n_features,
        "n_nonzeros": data.n_nonzeros,
        "n_classes": len(data.label_names),
    }


def test_error(test: Dataset, data: Dataset, fitted: Fitted, threads: int) -> float:
    """The error on other data; a label that training never saw counts as an error."""
    from widemargin.cli.labels import codes_among

    p = scores(read_only(test.rows), fitted.W, fitted.b, threads)
    return error_of(p, codes_among(data.label_names, test.label_names)[test.codes])


def show(report: dict[str, Any], path: Path, page: Path | None) -> None:
    seconds = report["seconds"]
    print(
        f"{report['n_samples']:,} rows, {report['n_features']:,} features, "
        f"{report['n_nonzeros']:,} nonzeros, {report['n_classes']} classes"
    )
    print(
        f"objective      {report['objective']:.6g}  (per sample "
        f"{report['objective_per_sample']:.6g})"
    )
    print(
        f"relative gap   {report['relative_gap']:.2e}  after {report['epochs']} epochs "
        f"of {report['solver']}"
    )
    print(f"train error    {100 * report['train_error']:.2f} %")
    if report["test_error"] is not None:
        print(f"test error     {100 * report['test_error']:.2f} %")
    print(
        f"seconds        load {seconds['load']:.2f}, fit {seconds['fit']:.2f}, "
        f"total {seconds['total']:.2f}"
    )
    print(f"saved          {path}")
    if page is not None:
        print(f"report         {page}")


def verdict(solved: bool, report: dict[str, Any]) -> int:
    if solved:
        return DONE
    print(
        f"widemargin: stopped after {report['epochs']} epochs at a relative gap of "
        f"{report['relative_gap']:.3g}, above tol; the model is saved. "
        "Raise --epochs or --tol.",
        file=sys.stderr,
    )
    return SHORT_OF_TOLERANCE
