"""The curve of `tuning.py` where there are few features: Newton's exact fits, fold after fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.fit import Fitted
from widemargin.run.path import newton_path
from widemargin.run.tuning import Fold, Held, Judge, Point
from widemargin.scores import scores


def tune_by_newton(
    objective: Objective,
    samples: Samples,
    folds: Sequence[Fold],
    Cs: Array,
    judge: Judge,
    *,
    max_epochs: int,
    threads: int = 1,
    progress: Callable[[Point], None] | None = None,
) -> list[Point]:
    """The points of the curve for rising Cs; squared hinge. Folds are shared out to threads."""

    def path(fold: Fold) -> list[Fitted]:
        part = samples._replace(weight=masked(samples.weight, fold.train))
        return list(newton_path(objective, part, Cs.tolist(), tol=1e-9, max_epochs=max_epochs))

    with ThreadPoolExecutor(max(1, min(threads, len(folds)))) as pool:
        paths = list(pool.map(path, folds))
    points = []
    for i, C in enumerate(map(float, Cs)):
        fits = [each[i] for each in paths]
        gaps = np.array([fit.certificate.relative_gap for fit in fits])
        score = judge(held_by(C, samples, folds, fits))
        points.append(Point(C, score, gaps, max(fit.epochs for fit in fits)))
        if progress is not None:
            progress(points[-1])
    return points


def masked(weight: Array, train: Array) -> Array:
    """The weights of the rows to learn from, 0 for the others."""
    kept = np.zeros(len(weight))
    kept[train] = weight[train]
    return kept


def held_by(C: float, samples: Samples, folds: Sequence[Fold], fits: Sequence[Fitted]) -> Held:
    def decisions(f: int) -> Array:
        found: Array = scores(samples.rows, fits[f].W, fits[f].b)[folds[f].held]
        return found

    def weights(f: int) -> tuple[Array, Array]:
        return fits[f].W.reshape(-1, fits[f].b.size), fits[f].b

    return Held(C, decisions, weights)
