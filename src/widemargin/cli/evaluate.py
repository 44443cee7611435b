"""`widemargin evaluate`: how well a model does on labelled data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.cli.blocks import Block, blocks
from widemargin.cli.labels import codes_among
from widemargin.cli.live import Live, Rows
from widemargin.cli.output import put_json
from widemargin.data.rows import Array
from widemargin.data.samples import joint_samples, make_samples, without_rows
from widemargin.errors import InputError
from widemargin.kernel_model_file import load
from widemargin.losses import LOSSES, Hinge
from widemargin.model import Model
from widemargin.objective import column
from widemargin.penalties import L1, L2, NoPenalty, penalty_value
from widemargin.run.joint import JOINT
from widemargin.scores import codes_of
from widemargin.solvers.crammer_singer_kernels import joint_losses
from widemargin.solvers.dual_kernels import losses_at
from widemargin.threads import cores

PENALTIES: dict[str, Any] = {"l2": L2(), "l1": L1(), "nopenalty": NoPenalty(), "None": NoPenalty()}


class Seen(NamedTuple):
    """Sums over the rows seen so far."""

    confusion: Array  # (n_classes, n_classes): true class, predicted class
    losses: float


def evaluate(
    path: Path,
    source: str,
    *,
    threads: int | None,
    page: Path | None = None,
    json: bool,
    serving: Mapping[str, Any] | None = None,
) -> None:
    kept = None
    if page is not None:
        from widemargin.cli.report import Kept, check_page

        check_page(page, path)
        kept = Kept(page)
    model, began = load(path), time.perf_counter()
    k = len(model.labels)
    seen = Seen(np.zeros((k, k), np.int64), 0.0)
    rows = Rows()
    with Live(rows.told):
        for block in blocks(model, source, unlabelled=False, threads=threads, serving=serving):
            p, codes = told(model, source, block, threads or cores())
            seen = add(model, block, seen, p, codes)
            if kept is not None:
                kept.add(p, codes, block.rows)
            rows.add(len(codes))
    report = summary(model, seen)
    if kept is not None:
        kept.write(model, source, {"evaluation": time.perf_counter() - began})
    put_json(report) if json else show(report)


def told(model: Model, source: str, block: Block, threads: int) -> tuple[Array, Array]:
    """(scores, classes) of the rows of a block; a class that the model lacks is an error."""
    known = codes_among(model.labels, block.label_names)
    if (known[:-1] < 0).any():
        name = block.label_names[int(np.argmin(known[:-1]))]
        raise InputError(
            f"{source}: found the label {name!r}, which the model does not know; accepted: "
            f"{', '.join(map(repr, model.labels[:20]))}; train with all classes."
        )
    return model.scores(block.rows, threads=threads), known[block.codes]


def add(model: Model, block: Block, seen: Seen, p: Array, codes: Array) -> Seen:
    """The sums with one more block."""
    k = len(model.labels)
    confusion = np.bincount(codes * k + codes_of(p), minlength=k * k).reshape(k, k)
    losses = seen.losses
    if model.loss == JOINT and k > 2:
        losses += joint_losses(joint_samples(block.rows, codes, k), p, np.zeros_like(model.b))
    elif loss_of(model) is not None:
        samples = without_rows(make_samples(block.rows, codes, k))
        losses += losses_at(loss_of(model), samples, p, np.zeros_like(model.b)).sum()
    return Seen(seen.confusion + confusion, losses)


def loss_of(model: Model) -> Any:
    """The loss of one column; None where the package has none of that name.

    The joint loss of two classes is the hinge of their one column.
    """
    return (
        Hinge() if model.loss == JOINT else LOSSES[model.loss]() if model.loss in LOSSES else None
    )


def penalty_of(model: Model) -> float:
    """r of all columns; of two classes trained jointly, w₁ = −w₀ = w / 2 are the columns."""
    kind, K = PENALTIES[model.penalty], model.b.size
    total = sum(penalty_value(kind, column(model.W, k)) for k in range(K))
    return 0.5 * total if model.loss == JOINT and K == 1 else total


def summary(model: Model, seen: Seen) -> dict[str, Any]:
    """The report; objective_per_sample has the mean loss here and λ of the training data."""
    n, right = int(seen.confusion.sum()), np.diagonal(seen.confusion)
    predicted, true = seen.confusion.sum(axis=0), seen.confusion.sum(axis=1)
    precision, recall = ratio(right, predicted), ratio(right, true)
    f1 = ratio(2 * right, predicted + true)
    classes = {
        name: {"precision": precision[i], "recall": recall[i], "f1": f1[i], "n": int(true[i])}
        for i, name in enumerate(model.labels)
    }
    report = {
        "n_samples": n,
        "error": 1.0 - float(right.sum()) / n,
        "accuracy": float(right.sum()) / n,
        "macro_f1": float(np.mean(f1)),
        "mean_loss": seen.losses / n if loss_of(model) is not None else None,
        "classes": classes,
        "confusion": seen.confusion.tolist(),
        "loss": model.loss,
        "objective": None,
        "objective_per_sample": None,
    }
    trained = model.training.get("n_samples")
    if loss_of(model) is not None and model.penalty in PENALTIES and model.C and trained:
        penalty = penalty_of(model)
        report["objective"] = penalty + model.C * seen.losses
        report["objective_per_sample"] = penalty / (model.C * trained) + seen.losses / n
    return report


def ratio(a: Array, b: Array) -> list[float]:
    """a / b, 0 where there is nothing to divide by."""
    quotients: list[float] = np.divide(a, b, out=np.zeros(len(a)), where=b > 0).tolist()
    return quotients


def show(report: dict[str, Any]) -> None:
    print(f"rows           {report['n_samples']:,}")
    print(f"error          {100 * report['error']:.2f} %")
    if report["objective_per_sample"] is not None:
        print(f"objective      {report['objective_per_sample']:.6g} per sample")
    width = max(5, *(len(name) for name in report["classes"]))
    print(f"{'class':>{width}}  precision  recall      f1  rows")
    for name, c in report["classes"].items():
        print(
            f"{name:>{width}}  {c['precision']:9.4f}  {c['recall']:6.4f}  {c['f1']:6.4f}  {c['n']}"
        )
