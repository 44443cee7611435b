"""`SVC(probability=True)`: sigmoids on scores of samples that each fit did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing

from widemargin.calibration import Sigmoid, fit_sigmoids
from widemargin.data.rows import Array
from widemargin.estimators._common import generator
from widemargin.kernel_scores import votes
from widemargin.run.cross_scores import deal_folds


def svc_sigmoids(
    est: Any, X: Any, codes: Array, sample_weight: Array | None
) -> tuple[Sigmoid, ...]:
    """A sigmoid for two classes, one per class on the votes for more; samples of no weight take
    no part."""
    weight = np.ones(len(codes)) if sample_weight is None else np.maximum(sample_weight, 0.0)
    found = np.full((len(codes), 1 if len(est.classes_) == 2 else len(est.classes_)), np.nan)
    part = clone(est).set_params(probability=False, decision_function_shape="ovr")
    for fold in deal_folds(codes, generator(est.random_state)):
        part.fit(_taken(est, X, fold.train, fold.train), codes[fold.train], weight[fold.train])
        scores = part.decision_function(_taken(est, X, fold.held, fold.train))
        found[fold.held] = scores.reshape(len(fold.held), -1)
    return fit_sigmoids(found, codes, weight)


def _taken(est: Any, X: Any, some: Array, others: Array) -> Any:
    """Samples; of a kernel matrix their values with the others."""
    return X[np.ix_(some, others)] if est.kernel == "precomputed" else _safe_indexing(X, some)


def fitted_sigmoids(est: Any) -> tuple[Sigmoid, ...]:
    if est.sigmoids_ is None:
        raise NotFittedError(
            "predict_proba is not available when fitted with probability=False. Fit again with "
            "probability=True."
        )
    found: tuple[Sigmoid, ...] = est.sigmoids_
    return found


def votes_or_scores(scores: Array) -> Array:
    """(n, 1) scores of two classes, (n, K) votes of more, from the scores of the pairs."""
    pairs = scores.shape[1]
    return scores if pairs == 1 else votes(scores, int((1 + (1 + 8 * pairs) ** 0.5) / 2))
