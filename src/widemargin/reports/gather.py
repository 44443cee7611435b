"""From a model and scored data to the facts of a page."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin._version import __version__
from widemargin.data.rows import Array, Dense, Rows, n_features, read_only
from widemargin.model import Model
from widemargin.objective import Certificate
from widemargin.reports.bins import lengths_of, margin_counts, margin_edges, margins_of
from widemargin.reports.confusion import confusions
from widemargin.reports.curves import curves
from widemargin.reports.facts import Counts, Facts, Fit, Seen
from widemargin.reports.features import feature_names, strongest
from widemargin.run.joint import JOINT
from widemargin.scores import error_of, scores


class Run(NamedTuple):
    """What is known of a run beside its model and its data."""

    title: str
    history: Sequence[Mapping[str, float]] = ()
    tol: float | None = None
    command: str | None = None
    seed: int | None = None
    seconds: Mapping[str, float] | None = None
    names: Sequence[str] | None = None  # of the features, where the model has none
    first: int | None = None  # number of the first feature


def see(
    role: str, source: str, model: Model, rows: Rows, codes: Array, *, threads: int = 1
) -> Seen:
    """A data set with the scores that the model gives it."""
    found = scores(read_only(rows), model.W, model.b, threads)
    return Seen(role, source, found, codes, row_lengths(rows), n_features(rows))


def row_lengths(rows: Rows) -> Array:
    """(n,) nonzeros of each row."""
    if isinstance(rows, Dense):
        return np.asarray(np.count_nonzero(rows.X, axis=1))
    return np.diff(rows.indptr)


def gather(model: Model, sets: Sequence[Seen], run: Run) -> Facts:
    """All that a page says of a model, of the data sets it is shown on, and of its run."""
    sets = list(sets)
    values = [margins_of(seen) for seen in sets]
    edges = margin_edges(values)
    names = feature_names(model) if run.names is None else run.names
    first = (0 if model.zero_based else 1) if run.first is None else run.first
    return Facts(
        title=run.title,
        labels=model.labels,
        fit=_fit(model, run),
        data=tuple(_counts(seen, len(model.labels)) for seen in sets),
        margins=tuple(
            margin_counts(s, v, edges, joint=model.loss == JOINT)
            for s, v in zip(sets, values, strict=True)
        ),
        confusion=confusions(sets, len(model.labels)),
        curves=tuple(curves(seen) for seen in sets),
        strongest=strongest(model, names, first),
        named=names is not None,
        command=run.command,
        seed=run.seed,
        seconds=tuple((run.seconds or {}).items()),
        versions=versions(),
    )


def _fit(model: Model, run: Run) -> Fit:
    proof: Mapping[str, Any] | None = model.certificate
    epochs = model.training.get("epochs", len(run.history) or None)
    return Fit(
        solver=model.solver,
        loss=model.loss,
        penalty=model.penalty,
        C=model.C,
        fit_intercept=model.fit_intercept,
        certificate=Certificate(**proof) if proof else None,
        tol=run.tol,
        epochs=epochs,
        history=tuple(dict(row) for row in run.history),
    )


def _counts(seen: Seen, n_classes: int) -> Counts:
    known = seen.codes[seen.codes >= 0]
    return Counts(
        role=seen.role,
        source=seen.source,
        n_samples=len(seen.codes),
        n_features=seen.n_features,
        n_nonzeros=int(seen.lengths.sum()),
        classes=np.bincount(known, minlength=n_classes),
        unknown=len(seen.codes) - len(known),
        error=error_of(seen.scores, seen.codes),
        lengths=lengths_of(seen.lengths),
    )


def versions() -> tuple[tuple[str, str], ...]:
    """What ran: this package, Python, and the libraries that compute."""
    from importlib.metadata import version

    libraries: Iterable[str] = ("numpy", "numba")
    return (
        ("widemargin", __version__),
        ("python", platform.python_version()),
        *((name, version(name)) for name in libraries),
        ("system", f"{platform.system()} {platform.machine()}"),
    )
