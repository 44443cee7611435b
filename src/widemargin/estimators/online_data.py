"""What comes in to the estimators that learn sample by sample: checked, and not copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, compute_class_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import validate_data

from widemargin.data.rows import Array, n_features
from widemargin.data.samples import Samples, make_samples, n_columns
from widemargin.estimators._common import checked_sparse, refuse_broken_columns
from widemargin.solvers.steps import State

ALL_OF_Y = object()  # stands for "the classes are those that occur in y"


def checked_samples(est: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> Samples:
    """Samples that share the memory of X; sets classes_ and n_features_in_ on the first call.

    Only a dense matrix that is contiguous in neither order is copied.
    """
    refuse_broken_columns(X)
    first = not hasattr(est, "classes_")
    X, y = validate_data(
        est, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], reset=first
    )
    check_classification_targets(y)
    _check_partial_fit_first_call(est, np.unique(y) if classes is ALL_OF_Y else classes)
    codes = checked_codes(y, est.classes_)
    if isinstance(X, np.ndarray) and not X.flags.c_contiguous and not X.flags.f_contiguous:
        X = np.ascontiguousarray(X)
    weight = checked_weight(sample_weight, X, all_zero=getattr(est, "early_stopping", False))
    class_weight = compute_class_weight(est.class_weight, classes=est.classes_, y=y)
    return make_samples(checked_sparse(X), codes, len(est.classes_), weight, class_weight)


def checked_codes(y: Any, classes: Any) -> NDArray[np.int32]:
    """The position of each label in `classes`."""
    if len(classes) < 2:
        raise ValueError(
            f"The number of classes has to be greater than one; got {len(classes)} class."
        )
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    strange = classes[codes] != y
    if strange.any():
        raise ValueError(
            f"y holds the label {y[strange][0]!r}, which is not among the classes {list(classes)} "
            "of the first call. Pass every label in `classes` then."
        )
    return np.asarray(codes, np.int32)


def checked_weight(sample_weight: Any, X: Any, *, all_zero: bool) -> Array | None:
    """Sample weights as float64 of shape (n,), none negative; None stands for all ones."""
    if sample_weight is None:
        return None
    n = X.shape[0]
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n,)}: one weight for each sample."
        )
    if (weight < 0.0).any():
        raise ValueError(
            f"sample_weight has the negative value {weight.min()}: weights must be >= 0. Negative "
            "weights would make the objective non-convex. Drop or reweigh those samples."
        )
    if not all_zero and not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.asarray(weight)


def start_state(est: Any, samples: Samples, coef: Any, intercept: Any, t: int) -> State:
    """A state from weights of scikit-learn's shapes, (K, d) and (K,); None stands for zero."""
    K, d = n_columns(samples), n_features(samples.rows)
    W, b = np.zeros((K, d)), np.zeros(K)
    if coef is not None:
        coef = coef.toarray() if issparse(coef) else coef  # after sparsify()
        if np.shape(coef) != (K, d) and (K > 1 or np.size(coef) != d):
            raise ValueError(
                f"Provided coef_init does not match dataset: shape {np.shape(coef)}, not {(K, d)}."
            )
        W[:] = np.reshape(np.asarray(coef, np.float64), (K, d))
    if intercept is not None:
        if np.shape(intercept) != (K,) and (K > 1 or np.size(intercept) != 1):
            raise ValueError(
                f"Provided intercept_init does not match dataset: shape {np.shape(intercept)}, "
                f"not {(K,)}."
            )
        b[:] = intercept
    return State(W[0] if K == 1 else np.ascontiguousarray(W.T), b, t, np.zeros(K))
