"""What the estimators share: checked data in, weights and certificate out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from widemargin.data.checks import look
from widemargin.data.rows import Array, Dense, Rows, Sparse, as_rows
from widemargin.data.samples import Samples, make_samples
from widemargin.run.fit import Fitted
from widemargin.scores import scores

PIECE = 65536  # labels looked at in one go


def checked_rows(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Rows, Any, Array]:
    """(rows, X as checked, y as checked); nothing is copied that is numeric CSR or an array."""
    refuse_broken_columns(X)
    X, y = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        accept_sparse="csr",
        accept_large_sparse=True,
        dtype=[np.float64, np.float32],
    )
    if y.ndim != 1 or y.dtype.kind not in "iub":  # whole numbers are classes: spares a sort
        check_classification_targets(y)
    return checked_sparse(X), X, y


def refuse_broken_columns(X: Any) -> None:
    """Refuse CSC input whose indices point outside the matrix, before it is turned to rows."""
    if getattr(X, "format", None) != "csc":
        return
    columns = as_rows(X.T)
    assert isinstance(columns, Sparse)
    found = look(columns)
    if not found.ends or found.top >= X.shape[0]:
        raise ValueError(
            f"X of shape {X.shape} in CSC form has the row index {worst_index(X)}, or column "
            "pointers that do not rise from 0 to the number of entries. Row indices must be "
            "0 … n_samples − 1. Build the matrix again from its source."
        )


def worst_index(X: Any) -> int:
    """A negative index if there is one, else the largest."""
    least = int(X.indices.min(initial=0))
    return least if least < 0 else int(X.indices.max(initial=0))


def checked_sparse(X: Any) -> Rows:
    """Rows of checked X; the kernels trust row pointers and indices, so they are looked at once.

    Rows that name a column twice are summed, in a copy. Raises ValueError where an index lies
    outside the matrix or the three arrays do not fit each other.
    """
    rows = as_rows(X)
    if isinstance(rows, Dense):
        return rows
    if len(rows.indptr) != X.shape[0] + 1 or len(rows.values) != len(rows.indices):
        raise ValueError(
            f"X.indptr has {len(rows.indptr)} entries for {X.shape[0]} rows, and X.data "
            f"{len(rows.values)} for {len(rows.indices)} in X.indices. X.indptr must have one more "
            "than rows, X.data as many as X.indices. Build the matrix again from its source."
        )
    found = look(rows)
    if not found.ends:
        raise ValueError(
            f"X.indptr must rise from 0 to {len(rows.indices)}, the number of entries, got "
            f"{rows.indptr[0]} to {rows.indptr[-1]}. Build the matrix again from its source."
        )
    if found.top >= rows.n_features:
        raise ValueError(
            f"X has the column index {worst_index(X)}, outside its {rows.n_features} columns. "
            "Column indices must be 0 … n_features − 1. Build the matrix again from its source."
        )
    if found.repeats:
        X = X.copy()
        X.sum_duplicates()
        rows = as_rows(X)
    return rows


def samples_of(
    rows: Rows,
    y: Array,
    sample_weight: Any,
    X: Any,
    class_weight: Any,
    make: Callable[..., Samples] = make_samples,
) -> Any:
    """(Samples, classes) of checked data; at least two classes must carry weight."""
    classes, codes = classes_and_codes(y)
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        present = np.unique(codes[weight > 0.0])
    else:
        present = np.arange(len(classes))
    if len(present) < 2:
        seen = ", ".join(repr(c) for c in classes[present].tolist()) or "none"
        raise ValueError(
            "The data must hold samples of at least two classes (with weight > 0), "
            f"got {len(present)} class: {seen}. Add samples of another class."
        )
    per_class = None
    if class_weight is not None:
        per_class = compute_class_weight(class_weight, classes=classes, y=y)
    return make(rows, codes, len(classes), weight, per_class), classes


def classes_and_codes(y: Array) -> tuple[Array, Array]:
    """np.unique(y, return_inverse=True), without a sort where labels are few small integers."""
    if y.dtype.kind in "iub" and y.size and y.dtype != np.uint64:
        low, high = int(y.min()), int(y.max())
        if high - low < 65536:
            return _counted(y, low, high)
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int32)


def _counted(y: Array, low: int, high: int) -> tuple[Array, Array]:
    """Classes and codes of whole numbers low … high, piece by piece: fresh memory is dear."""
    pieces = [slice(start, start + PIECE) for start in range(0, y.size, PIECE)]
    counts = np.zeros(high - low + 1, np.int64)
    for piece in pieces:
        counts += np.bincount(y[piece].astype(np.int64) - low, minlength=counts.size)
    present = np.flatnonzero(counts)
    table = np.zeros(counts.size, np.int32)
    table[present] = np.arange(present.size, dtype=np.int32)
    codes = np.empty(y.size, np.int32)
    for piece in pieces:
        codes[piece] = table[y[piece].astype(np.int64) - low]
    return (present + low).astype(y.dtype), codes


def generator(random_state: Any) -> np.random.Generator:
    """A NumPy generator drawn from scikit-learn's random_state."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def keep_fit(estimator: Any, fitted: Fitted, samples: Samples) -> None:
    """Set coef_, intercept_, certificate_, history_, n_iter_ from a fit."""
    K = fitted.b.size
    W = fitted.W.reshape(-1, K)
    estimator.coef_ = np.ascontiguousarray(W.T)
    estimator.intercept_ = fitted.b.copy()
    estimator.certificate_ = fitted.certificate
    estimator.history_ = fitted.history
    estimator.n_iter_ = int(fitted.epochs)


def scores_of(estimator: Any, X: Any, threads: int) -> Array:
    """Scores under coef_ and intercept_ as scikit-learn gives them, (n,) or (n, K)."""
    check_is_fitted(estimator)
    dtype = [np.float64, np.float32]
    X = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=dtype)
    coef = estimator.coef_
    W = np.ascontiguousarray(coef.toarray().T if hasattr(coef, "toarray") else coef.T, np.float64)
    b = np.broadcast_to(np.asarray(estimator.intercept_, np.float64), W.shape[1:]).copy()
    found = scores(checked_sparse(X), W[:, 0].copy() if b.size == 1 else W, b, threads)
    return found.ravel() if b.size == 1 else found
