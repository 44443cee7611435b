"""What SVC is given, checked: samples, labels, weights, kernel values, options."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, column_or_1d, compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from widemargin.data.panels import held_as, squared_norms
from widemargin.data.rows import Array, Rows, as_rows
from widemargin.estimators._common import checked_sparse, refuse_broken_columns
from widemargin.kernel_scores import Machine, pairs_of
from widemargin.kernels import Kernel, Linear, Polynomial, Rbf, Sigmoid, diagonal
from widemargin.threads import cores

CHECKS = {"dtype": np.float64, "order": "C", "accept_sparse": "csr", "accept_large_sparse": True}


# -- training --------------------------------------------------------------------------------------


def checked_training(estimator: Any, X: Any, y: Any) -> tuple[Any, Array]:
    """(X, y): float64, CSR or an array; for a callable kernel X is left as it is."""
    if callable(estimator.kernel):
        check_consistent_length(X, y)
        return X, column_or_1d(y, warn=True)
    if issparse(X) and estimator.kernel == "precomputed":
        raise TypeError(
            "Sparse precomputed kernels are not supported. Give the kernel matrix as an array."
        )
    refuse_broken_columns(X)
    X, y = validate_data(estimator, X, y, **CHECKS)
    if issparse(X):
        rows: Any = checked_sparse(X)  # entries named twice are summed
        X = csr_matrix((rows.values, rows.indices.view(np.int32 if
            rows.indices.itemsize == 4 else np.int64), rows.indptr), shape=X.shape)  # fmt: skip
    return X, column_or_1d(y, warn=True)


def checked_targets(y: Array, class_weight: Any) -> tuple[Array, Array, Array]:
    """(classes, the code of each sample, the weight of each class)."""
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "The number of classes has to be greater than one; got 1 class: "
            f"{classes.tolist()[0]!r}. Add samples of another class."
        )
    weight = compute_class_weight(class_weight, classes=classes, y=y)
    return classes, codes, weight


def upper_bounds(C: float, sample_weight: Any, class_weight: Array, codes: Array) -> Array:
    """(n,) C sᵢ; 0 for samples of no or negative weight."""
    weight = class_weight[codes].astype(np.float64)
    if sample_weight is not None:
        weight = weight * checked_weights(sample_weight, len(codes))
    upper = np.zeros(len(codes))
    upper[weight > 0.0] = C * weight[weight > 0.0]
    left = np.bincount(codes[upper > 0.0], minlength=len(class_weight)) > 0
    if not left.any():
        raise ValueError(
            "Invalid input - all samples have zero or negative weights. Give some of at least "
            "two classes a weight above 0."
        )
    if left.sum() == 1:
        raise ValueError(
            "Invalid input - all samples with positive weights belong to the same class. Give "
            "some of another class a weight above 0."
        )
    if not left.all():
        raise ValueError(
            f"The class with code {int(np.argmin(left))} has no sample of positive weight. Leave "
            "its samples out, or give some a weight above 0."
        )
    return upper


def checked_weights(sample_weight: Any, n: int) -> Array:
    """(n,) finite numbers of any sign; one number stands for all."""
    weights = np.asarray(sample_weight, np.float64)
    weights = np.full(n, weights) if weights.ndim == 0 else weights
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight and X have incompatible shapes: {weights.shape} for {n} samples. "
            "Give one weight a sample."
        )
    if not np.isfinite(weights).all():
        raise ValueError("sample_weight holds NaN or infinity. Give finite numbers.")
    return weights


def check_pairwise(K: Array) -> Array:
    """A kernel matrix of the training samples: square and finite."""
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ValueError(
            f"Precomputed matrix must be a square matrix. Input is a matrix of shape {K.shape}. "
            "Give the kernel values of all training samples with each other."
        )
    return K


# -- prediction ------------------------------------------------------------------------------------


def validated(estimator: Any, X: Any) -> Any:
    """X as prediction takes it."""
    check_is_fitted(estimator)
    if callable(estimator.kernel):
        return X
    X = validate_data(estimator, X, reset=False, **CHECKS)
    if issparse(X) and not issparse(estimator.support_vectors_):
        name = type(estimator).__name__
        raise ValueError(
            f"cannot use sparse input in {name!r} trained on dense data. Give X.toarray(), or "
            "train on sparse data."
        )
    return X


def linear_weights(machine: Machine, support: Any) -> Any:
    """(pairs, d) w = Σ coef x of each machine; an array that cannot be written."""
    edges = np.concatenate([[0], np.cumsum(machine.counts)])
    K, found = len(machine.counts), []
    for i, j in pairs_of(K):
        of_i, of_j = slice(edges[i], edges[i + 1]), slice(edges[j], edges[j + 1])
        row_j, row_i = (0, 0) if K == 2 else (j - 1, i)
        first = safe_sparse_dot(csr_or_array(machine.coef[row_j, of_i], support), support[of_i])
        second = safe_sparse_dot(csr_or_array(machine.coef[row_i, of_j], support), support[of_j])
        found.append(first + second)
    if issparse(support):
        from scipy.sparse import vstack

        coef = vstack(found, format="csr")
        coef.data.flags.writeable = False
        return coef
    weights = np.concatenate(found)
    weights.flags.writeable = False
    return weights


def csr_or_array(coef: Array, like: Any) -> Any:
    """A row of coefficients of the same kind as the matrix it multiplies."""
    return csr_matrix(coef[None]) if issparse(like) else coef[None]


# -- what is told ----------------------------------------------------------------------------------


def reporter(verbose: bool | int) -> Any:
    """What prints a line for each row of the history, or None."""
    if not verbose:
        return None

    def report(row: dict[str, float]) -> None:
        print(
            f"[SVC] {row['steps']:>9,.0f} steps  {row['seconds']:8.3f} s  objective "
            f"{row['objective']:.6g}  relative gap {row['gap']:.2g}"
        )

    return report


def warn_of_early_end(estimator: Any, gap: float) -> None:
    why = f"max_iter={estimator.max_iter}"
    if estimator.max_iter < 0:
        why += ", but float64 holds no more digits"
    warnings.warn(
        f"Solver terminated early ({why}).  Consider pre-processing your data with "
        f"StandardScaler or MinMaxScaler. The relative duality gap is {gap:.2g}, "
        f"tol={estimator.tol:g}.",
        ConvergenceWarning,
        stacklevel=5,
    )


# -- options ---------------------------------------------------------------------------------------


def rows_of(X: Any) -> Rows:
    """Rows in float64, those of a dense matrix of few nonzeros sparse; finite in their squares."""
    rows = held_as(as_rows(X), np.float64)
    with np.errstate(over="ignore"):
        if not np.isfinite(squared_norms(rows)).all():
            raise ValueError(
                "The dual coefficients or intercepts are not finite: the squared norm of a sample "
                "overflows. Scale the features."
            )
    return rows


def gamma_of(gamma: float | str, X: Any) -> float:
    """'scale': 1 / (d Var X), 1 where X does not vary; 'auto': 1 / d."""
    if gamma == "auto":
        return 1.0 / int(X.shape[1])
    if gamma != "scale":
        return float(gamma)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = float(X.multiply(X).mean() - X.mean() ** 2 if issparse(X) else X.var())
    return 1.0 / (int(X.shape[1]) * variance) if variance != 0.0 else 1.0


def kernel_of(estimator: Any) -> Kernel | None:
    """The kernel of an estimator whose `_gamma` is set; None where kernel values are given."""
    gamma, coef0 = float(estimator._gamma), float(estimator.coef0)
    kernels: dict[Any, Kernel] = {
        "linear": Linear(),
        "poly": Polynomial(int(estimator.degree), gamma, coef0),
        "rbf": Rbf(gamma),
        "sigmoid": Sigmoid(gamma, coef0),
    }
    return kernels.get(estimator.kernel) if isinstance(estimator.kernel, str) else None


def refuse_overflow(kernel: Kernel, rows: Rows) -> None:
    """Raise where a sample's kernel value with itself is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(diagonal(kernel, squared_norms(rows))).all()
    if not finite:
        raise ValueError(
            "The dual coefficients or intercepts are not finite: kernel values overflow. Scale "
            "the features, or lower degree, gamma or coef0."
        )


def threads_of(n_jobs: int | None) -> int:
    """None is 1; −1 all cores, −2 all but one."""
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise ValueError("n_jobs=0 is no number of threads. Give 1 or more, or -1 for all cores.")
    return n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)
