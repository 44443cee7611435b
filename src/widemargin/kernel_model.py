"""A fitted machine with a kernel, as it is saved, loaded and served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._version import __version__
from widemargin.calibration import Sigmoid, probabilities
from widemargin.data.panels import held_as
from widemargin.data.rows import Array, Dense, Rows, Sparse, as_rows, n_features, n_rows
from widemargin.kernel_scores import Machine, pairs_of, row_scores, votes
from widemargin.kernels import KERNELS, Kernel
from widemargin.model import KINDS, label_values, sound, spelt
from widemargin.scores import codes_of


@dataclass(frozen=True)
class KernelModel:
    """Support vectors, their coefficients, and the kernel that they are met through.

    >>> from sklearn.datasets import load_iris
    >>> from widemargin import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> model = as_kernel_model(SVC().fit(X, y))
    >>> model.predict(X[:1]).tolist()
    [0]
    """

    kernel: Kernel
    support: Rows  # float64, grouped by class
    machine: Machine
    labels: tuple[str, ...]
    kind: str = "str"  # what a label is to the user: int, float, str or bool
    zero_based: bool = False  # whether svmlight text for it counts features from 0
    C: float | str | None = None
    certificate: Mapping[str, float] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    package_version: str = __version__
    sigmoids: tuple[Sigmoid, ...] | None = None  # of each column, where probabilities were fitted

    loss = "hinge of pairs"  # what linear models say here too; no single objective to evaluate
    penalty = "l2"
    features = None  # rows come as features, not as text or tables

    @property
    def n_features(self) -> int:
        return n_features(self.support)

    @property
    def numeric(self) -> bool:
        """Whether every label is a number, so that "+1" and "1" are one class."""
        return self.kind in ("int", "float")

    @property
    def classes(self) -> NDArray[Any]:
        """(n_classes,) the labels as values."""
        return label_values(self.labels, self.kind)

    def scores(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """(n, 1) scores of two classes, (n, K) votes of more, of an array, a SciPy matrix or rows;
        the class is the sign, or the largest."""
        rows = held_as(X if isinstance(X, Sparse | Dense) else as_rows(_matrix(X)), np.float64)
        if n_features(rows) != self.n_features:
            raise ValueError(
                f"X has {n_features(rows)} features, but the model was trained on "
                f"{self.n_features}. Give rows with the columns of the training data."
            )
        found = row_scores(self.machine, self.kernel, self.support, rows, threads)
        return found if len(self.labels) == 2 else votes(found, len(self.labels))

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(class | x), shape (n, n_classes), from `scores`."""
        if self.sigmoids is None:
            raise ValueError(
                "the model has no probabilities: it was trained without them. Train it with "
                "probability=True."
            )
        return probabilities(scores, self.sigmoids)

    def predict_proba(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """P(class | x), shape (n, n_classes), of a model that was trained for probabilities."""
        return self.probabilities(self.scores(X, threads=threads))

    def decision_function(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """(n,) scores for two classes, (n, K) votes that break ties by score for more."""
        found = self.scores(X, threads=threads)
        return found[:, 0] if len(self.labels) == 2 else found

    def predict(self, X: Any, *, threads: int = 1) -> NDArray[Any]:
        """(n,) the label of each row."""
        values: NDArray[Any] = self.classes[codes_of(self.scores(X, threads=threads))]
        return values


def _matrix(X: Any) -> Any:
    X = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}. Give one row a sample, two dimensions.")
    return X.astype(np.float64, copy=False)


def as_kernel_model(fitted: Any) -> KernelModel:
    """The model of a fitted SVC, read from its public attributes."""
    if isinstance(fitted, KernelModel):
        return fitted
    if not hasattr(fitted, "dual_coef_"):
        raise ValueError(f"{type(fitted).__name__} has no dual_coef_. Call fit first.")
    kernel = fitted.fitted_kernel_
    if kernel is None:
        raise ValueError(
            f"kernel={fitted.kernel!r} cannot be saved: a model file holds no code and no training "
            f"data. Accepted: {', '.join(map(repr, KERNELS))}. Keep the estimator itself instead."
        )
    coef = fitted.dual_coef_
    coef = np.asarray(coef.toarray() if hasattr(coef, "toarray") else coef, np.float64)
    labels, kind = spelt(np.asarray(fitted.classes_))
    machine = Machine(coef, np.asarray(fitted.n_support_, np.int64), np.array(fitted.intercept_))
    options = fitted.get_params()
    return KernelModel(
        kernel,
        held_as(as_rows(_matrix(fitted.support_vectors_)), np.float64),
        machine,
        labels,
        kind,
        C=float(fitted.C) if np.isfinite(fitted.C) else "inf",
        certificate=fitted.certificate_._asdict(),
        sigmoids=getattr(fitted, "sigmoids_", None),
        training={"params": {name: value for name, value in options.items() if _plain(value)}},
    )


def _plain(value: Any) -> bool:
    """Whether JSON can hold it."""
    finite = not isinstance(value, float) or bool(np.isfinite(value))
    return finite and isinstance(value, str | bool | int | float | None)


def misfit(model: KernelModel) -> str:
    """What does not fit together in a model; empty if all does."""
    coef, counts, intercept = model.machine
    K, n = len(model.labels), n_rows(model.support)
    if K < 2 or not all(isinstance(name, str) for name in model.labels):
        return "labels that are not two or more strings"
    if coef.shape != (K - 1, n) or counts.shape != (K,) or (counts < 0).any() or counts.sum() != n:
        return f"{n} support vectors, coefficients {coef.shape} and counts {counts.tolist()}"
    if intercept.shape != (len(pairs_of(K)),):
        return f"{len(intercept)} intercepts for {K} classes"
    if model.kind not in KINDS:
        return f"labels of kind {model.kind!r}"
    columns = 1 if K == 2 else K
    if model.sigmoids is not None and not sound(model.sigmoids, columns):
        return f"sigmoids {model.sigmoids!r} for {columns} columns"
    numbers: list[Array] = [coef, intercept, np.array(list(model.kernel), np.float64)]
    numbers.append(model.support[0])
    if not all(np.isfinite(array).all() for array in numbers):
        return "numbers that are not finite"
    return ""
