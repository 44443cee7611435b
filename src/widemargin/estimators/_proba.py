"""`probability=True`: a sigmoid on cross-validated scores behind predict_proba."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from widemargin.calibration import Sigmoid, fit_sigmoids, log_probabilities, probabilities
from widemargin.data.rows import Array, n_features
from widemargin.data.samples import Samples
from widemargin.estimators._common import generator
from widemargin.losses import SquaredHinge
from widemargin.objective import Objective
from widemargin.run.cross_scores import (
    deal_folds,
    dual_cross_scores,
    fitted_cross_scores,
    sigmoids_of,
)
from widemargin.run.path import newton_path
from widemargin.run.tuning import FEW_FEATURES


def has_sigmoids(est: Any) -> bool:
    """For `available_if`: predict_proba is there where it was asked for."""
    if not est.probability:
        raise AttributeError(
            "predict_proba is not available when probability=False. "
            f"Use {type(est).__name__}(probability=True) and fit again."
        )
    return True


def dual_sigmoids(est: Any, objective: Objective, samples: Samples) -> tuple[Sigmoid, ...]:
    """Sigmoids of a classifier that the dual solver can fit, all folds in one walk; where there
    are few features, of Newton's fits if there can be."""
    rng, most = generator(est.random_state), max(int(est.max_iter), 1)
    folds = deal_folds(samples.codes, rng)
    if n_features(samples.rows) <= FEW_FEATURES and isinstance(objective.loss, SquaredHinge):

        def weights(part: Samples) -> tuple[Array, Array]:
            (fitted,) = newton_path(objective, part, [objective.C], tol=est.tol, max_epochs=most)
            return fitted.W, fitted.b

        return sigmoids_of(samples, fitted_cross_scores(samples, folds, weights))
    tol = float(est.tol)
    found = dual_cross_scores(objective, samples, folds, tol=tol, max_epochs=most, rng=rng)
    return sigmoids_of(samples, found)


def cloned_sigmoids(est: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Sigmoid, ...]:
    """Sigmoids of any classifier, from a clone fitted to each fold."""
    codes = np.searchsorted(est.classes_, y)
    found = np.full((len(codes), 1 if len(est.classes_) == 2 else len(est.classes_)), np.nan)
    for fold in deal_folds(codes, generator(est.random_state)):
        part = clone(est).set_params(probability=False)
        weight = None if sample_weight is None else np.asarray(sample_weight)[fold.train]
        part.fit(_safe_indexing(X, fold.train), _safe_indexing(y, fold.train), sample_weight=weight)
        scores = part.decision_function(_safe_indexing(X, fold.held))
        found[fold.held] = scores.reshape(len(fold.held), -1)
    return fit_sigmoids(found, codes, sample_weight)


def proba_of(est: Any, X: Any) -> Array:
    """P(class | x), shape (n, n_classes)."""
    return probabilities(scores_of(est, X), est.sigmoids_)


def log_proba_of(est: Any, X: Any) -> Array:
    return log_probabilities(scores_of(est, X), est.sigmoids_)


def scores_of(est: Any, X: Any) -> Any:
    check_is_fitted(est, "sigmoids_")
    return est.decision_function(X)
