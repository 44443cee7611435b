"""`widemargin.report`: the page of a fitted model, from Python."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from widemargin.data.rows import Array, as_rows
from widemargin.model import Model, as_model
from widemargin.reports.facts import Seen
from widemargin.reports.gather import Run, gather, row_lengths
from widemargin.reports.page import write_page


def report(
    fitted: Any,
    X: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    test: tuple[Any, Any] | None = None,
    title: str | None = None,
) -> None:
    """Write one self-contained HTML page about a fitted linear classifier.

    Certificate, accuracy over time, margins and support vectors, confusion, ROC and
    precision–recall, strongest features. The file appears whole or not at all.

    fitted : an estimator of this package after `fit`, or a Model
    X, y   : (n, d) array or CSR matrix and (n,) labels that it was trained on
    test   : (X, y) of rows that it was not trained on

    >>> import os, tempfile
    >>> import numpy as np, widemargin as wm
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
    >>> clf = wm.LinearSVC(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wm.report(clf, X, y, os.path.join(folder, "run.html"))
    """
    model = as_model(fitted)
    names = getattr(fitted, "feature_names_in_", None)
    sets = [_seen("training", model, X, y)]
    if test is not None:
        sets.append(_seen("test", model, *test))
    run = Run(
        title=title or type(fitted).__name__,
        history=getattr(fitted, "history_", ()),
        tol=_tol(fitted),
        seed=_seed(fitted),
        seconds=_seconds(fitted),
        names=None if names is None else list(names),
        first=None if isinstance(fitted, Model) else 0,
    )
    write_page(gather(model, sets, run), path)


def _seen(role: str, model: Model, X: Any, y: Any) -> Seen:
    X = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
    scores, rows = model.scores(X), as_rows(X)
    codes = codes_among(model.classes, np.asarray(y))
    if len(codes) != len(scores):
        raise ValueError(
            f"y of the {role} data has {len(codes)} labels for {len(scores)} rows of X. "
            "Give one label a row."
        )
    return Seen(role, f"{role} data", scores, codes, row_lengths(rows), model.n_features)


def codes_among(classes: Array, y: Array) -> Array:
    """(n,) place of each label among the classes, −1 where it is none of them."""
    order = np.argsort(classes)
    place = np.searchsorted(classes[order], y).clip(0, len(classes) - 1)
    codes = order[place]
    return np.where(classes[codes] == y, codes, -1)


def _tol(fitted: Any) -> float | None:
    """The relative gap that was asked for; the tolerance of other estimators is another thing."""
    if isinstance(fitted, Model):
        return None
    from widemargin.estimators.linear_svc import LinearSVC

    return float(fitted.tol) if isinstance(fitted, LinearSVC) else None


def _seed(fitted: Any) -> int | None:
    seed = getattr(fitted, "random_state", None)
    return int(seed) if isinstance(seed, int | np.integer) else None


def _seconds(fitted: Any) -> dict[str, float]:
    history = getattr(fitted, "history_", None)
    return {"fit": history[-1]["seconds"]} if history else {}
