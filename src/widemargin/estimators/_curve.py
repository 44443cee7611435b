"""What LinearSVCCV asks of its data and splits before the curve can be walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing

from widemargin.data.rows import Array, n_features
from widemargin.data.samples import Samples
from widemargin.estimators._common import generator
from widemargin.estimators.linear_svc import LOSSES, LinearSVC
from widemargin.objective import Objective
from widemargin.run.judging import judge_by
from widemargin.run.tuning import FEW_FEATURES, Fold, Held, Judge, Point, effort_for, tune
from widemargin.run.tuning_newton import tune_by_newton
from widemargin.threads import cores


def threads_of(n_jobs: int | None) -> int:
    """1 for None; all cores for −1, all but one for −2, and so on."""
    if n_jobs is None:
        return 1
    return max(1, n_jobs if n_jobs > 0 else cores() + 1 + n_jobs)


def curve(est: Any, X: Any, y: Any, samples: Samples, folds: list[Fold]) -> list[Point]:
    """The score of every C and fold; of Newton's fits where there can be, with few features."""
    few = n_features(samples.rows) <= FEW_FEATURES
    objective = Objective(LOSSES[est.loss], 1.0, fit_intercept=bool(est.fit_intercept))
    judge, most = judge_of(est, X, y, samples, folds), int(est.max_iter)
    common: dict[str, Any] = {
        "threads": threads_of(est.n_jobs),
        "progress": est._report if est.verbose else None,
    }
    if few and est.loss == "squared_hinge":
        return tune_by_newton(objective, samples, folds, est.Cs_, judge, max_epochs=most, **common)
    effort = effort_for(samples, float(est.cv_tol), most, est.cv_epochs)
    rng = generator(est.random_state)
    return tune(objective, samples, folds, est.Cs_, judge, rng=rng, effort=effort, **common)


def folds_of(cv: Any, X: Any, y: Any, groups: Any, samples: Samples) -> list[Fold]:
    """The splits, each with two classes to learn from."""
    folds: list[Fold] = []
    for train, held in check_cv(cv, y, classifier=True).split(X, y, groups):
        train, held = np.arange(len(y))[train], np.arange(len(y))[held]  # masks too
        present = np.unique(samples.codes[train][samples.weight[train] > 0.0])
        if len(present) < 2 or not len(held):
            raise ValueError(
                f"Fold {len(folds)} of cv={cv!r} learns from {len(present)} class and holds out "
                f"{len(held)} samples: it needs two classes and a sample. Use fewer folds, or "
                "add samples of the rare classes."
            )
        folds.append(Fold(train, held))
    return folds


def judge_of(est: Any, X: Any, y: Any, samples: Samples, folds: list[Fold]) -> Judge:
    """The score of every fold: accuracy from the scores at hand, or any scorer's."""
    if est.scoring is None:
        return judge_by("accuracy", samples, folds, len(est.classes_))
    scorer: Callable[..., float] = check_scoring(LinearSVC(), est.scoring)

    def judge(held: Held) -> Array:
        found = []
        for f, fold in enumerate(folds):
            W, b = held.weights(f)
            clf = LinearSVC(C=held.C, loss=est.loss)
            clf.classes_, clf.n_features_in_ = est.classes_, est.n_features_in_
            clf.coef_, clf.intercept_ = np.ascontiguousarray(W.T), b
            rows, labels = _safe_indexing(X, fold.held), y[fold.held]
            found.append(scorer(clf, rows, labels))
        if not np.isfinite(found).all():
            raise ValueError(f"scoring={est.scoring!r} gave {found} at C={held.C:g}: no numbers.")
        return np.array(found, np.float64)

    return judge
