"""What is saved, loaded and served: weights, the names of the classes, how they were found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._version import __version__
from widemargin.calibration import Sigmoid, probabilities

KINDS: dict[str, Any] = {"int": np.int64, "float": np.float64, "str": np.str_, "bool": np.bool_}


@dataclass(frozen=True)
class Model:
    """A linear classifier: one column of weights for two classes, one per class for more.

    >>> model = Model(np.array([1.0, -1.0]), np.zeros(1), ("ham", "spam"))
    >>> model.predict(np.array([[2.0, 1.0], [1.0, 2.0]])).tolist()
    ['spam', 'ham']
    """

    W: NDArray[np.float64]  # (d,) or (d, K)
    b: NDArray[np.float64]  # (K,)
    labels: tuple[str, ...]  # names of the classes as spelt; code i is labels[i]
    kind: str = "str"  # what a label is to the user: int, float, str or bool
    zero_based: bool = False  # whether svmlight text for it counts features from 0
    loss: str = "hinge"
    penalty: str = "l2"
    C: float | None = None
    fit_intercept: bool = True
    solver: str = ""
    certificate: Mapping[str, float] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)  # facts: samples, epochs, seconds …
    sigmoids: tuple[Sigmoid, ...] | None = None  # of each column, where probabilities were fitted
    package_version: str = __version__
    features: Any = None  # how raw documents or records become rows; `features.fitted.Features`

    @property
    def n_features(self) -> int:
        return int(self.W.shape[0])

    @property
    def numeric(self) -> bool:
        """Whether every label is a number, so that "+1" and "1" are one class."""
        return self.kind in ("int", "float")

    @property
    def classes(self) -> NDArray[Any]:
        """(n_classes,) the labels as values."""
        return label_values(self.labels, self.kind)

    def decision_function(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """Scores Xw + b: shape (n,) for two classes, (n, K) for more.

        X is dense or CSR; for a model of text or tables also raw documents or records.
        """
        found = self.scores(X, threads=threads)
        return found[:, 0] if self.b.size == 1 else found

    def predict(self, X: Any, *, threads: int = 1) -> NDArray[Any]:
        """(n,) the label of each row."""
        from widemargin.scores import codes_of

        values: NDArray[Any] = self.classes[codes_of(self.scores(X, threads=threads))]
        return values

    def predict_proba(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """P(class | x), shape (n, n_classes), of a model that was trained for probabilities."""
        return self.probabilities(self.scores(X, threads=threads))

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same from scores (n, K)."""
        if self.sigmoids is None:
            raise ValueError(
                "the model has no probabilities: it was trained without them. Train it with "
                "probability=True, or with `widemargin train --proba`."
            )
        return probabilities(scores, self.sigmoids)

    def scores(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """(n, K) scores of the rows of a NumPy array, a SciPy matrix, or `Sparse` rows."""
        from widemargin.data.rows import Sparse, as_rows, n_features
        from widemargin.scores import scores

        if self.features is not None:
            from widemargin.features.raw import in_rows

            X = in_rows(self.features, X)
        rows = X if isinstance(X, Sparse) else as_rows(as_matrix(X))
        if n_features(rows) != self.n_features:
            raise ValueError(
                f"X has {n_features(rows)} features, but the model was trained on "
                f"{self.n_features}. Give rows with the columns of the training data."
            )
        found: NDArray[np.float64] = scores(rows, self.W, self.b, threads)
        return found


def as_matrix(X: Any) -> Any:
    """Numbers as float32 or float64, CSR if sparse, without a copy where they are so already."""
    sparse = getattr(X, "tocsr", None)
    X = np.asarray(X) if sparse is None else sparse()
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}. Give one row a sample, two dimensions.")
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


def label_values(labels: tuple[str, ...], kind: str) -> NDArray[Any]:
    """The labels as int64, float64, str or bool."""
    if kind == "bool":
        return np.array([label == "True" for label in labels])
    if kind == "int":  # "+1.0" is a whole number too
        return np.array([_whole(label) for label in labels], np.int64)
    return np.array(labels, KINDS[kind])


def _whole(label: str) -> int:
    try:
        return int(label)
    except ValueError:
        return int(float(label))


# -- from an estimator -------------------------------------------------------------------------


def as_model(fitted: Any) -> Model:
    """The model of a fitted linear classifier, read from its public attributes."""
    if isinstance(fitted, Model):
        return fitted
    if type(fitted).__name__ == "Pipeline":
        from widemargin.features.pipelines import features_of

        *steps, last = (step for _, step in fitted.steps if step not in (None, "passthrough"))
        model = as_model(last)
        return replace(model, features=features_of(steps)) if steps else model
    coef = getattr(fitted, "coef_", None)
    if coef is None:
        raise ValueError(
            f"{type(fitted).__name__} has no coef_. Give a fitted linear classifier: "
            "call fit first."
        )
    coef = np.asarray(coef.toarray() if hasattr(coef, "toarray") else coef, np.float64)
    if hasattr(fitted, "multilabel_"):
        raise ValueError(
            f"{type(fitted).__name__} is not kept in a model file, which tells one class for each "
            "row. Pickle it, or train a LinearSVC."
        )
    labels, kind = spelt(np.asarray(fitted.classes_))
    options = fitted.get_params()
    certificate = getattr(fitted, "certificate_", None)
    intercept = np.asarray(fitted.intercept_, np.float64).ravel()
    return Model(
        W=np.ascontiguousarray(coef[0] if len(coef) == 1 else coef.T),
        b=np.ascontiguousarray(np.broadcast_to(intercept, (len(coef),))),
        labels=labels,
        kind=kind,
        loss=_loss_name(options),
        penalty=str(options.get("penalty")),
        C=options.get("C", getattr(fitted, "C_", None)),
        fit_intercept=bool(options.get("fit_intercept", True)),
        solver=type(fitted).__name__,
        certificate=None if certificate is None else certificate._asdict(),
        training={"params": {name: _plain(value) for name, value in options.items()}},
        sigmoids=getattr(fitted, "sigmoids_", None) if options.get("probability") else None,
    )


def _loss_name(options: Mapping[str, Any]) -> str:
    """The loss, or what a joint problem of all classes is called."""
    joint = options.get("multi_class", "ovr")
    return str(options.get("loss", "perceptron") if joint == "ovr" else joint)


def _plain(value: Any) -> Any:
    """The value itself if JSON can hold it, else its text."""
    return value if isinstance(value, str | bool | int | float | None) else repr(value)


def spelt(classes: NDArray[Any]) -> tuple[tuple[str, ...], str]:
    """The names of class values, and their kind."""
    values = classes.tolist()
    for kind, types in (("bool", bool), ("int", int), ("float", float), ("str", str)):
        if all(isinstance(value, types) for value in values):
            return tuple(map(str, values)), kind
    raise ValueError(
        f"classes_ holds {sorted({type(value).__name__ for value in values})}. "
        "A model file keeps whole numbers, floats, booleans or strings: train on one of these."
    )


def misfit(model: Model) -> str:
    """What does not fit together in a model; empty if all does."""
    W, b, names = model.W, model.b, model.labels
    if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
        return "labels that are no strings"
    columns = 1 if len(names) == 2 else len(names)
    shape = W.shape[:1] if columns == 1 else (*W.shape[:1], columns)
    if len(names) < 2 or W.ndim == 0 or W.shape != shape or b.shape != (columns,):
        return f"W of shape {W.shape} and b of shape {b.shape} for {len(names)} classes"
    if model.kind not in KINDS:
        return f"labels of kind {model.kind!r}"
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        return "weights that are not finite"
    if model.sigmoids is not None and not sound(model.sigmoids, columns):
        return f"sigmoids {model.sigmoids!r} for {columns} columns"
    if model.C is not None and not (isinstance(model.C, float | int) and math.isfinite(model.C)):
        return f"C={model.C!r}"
    if model.features is not None and model.features.n_features != model.n_features:
        return f"{model.n_features} weights for {model.features.n_features} features of its input"
    return ""


def sound(sigmoids: Any, columns: int) -> bool:
    """Whether these are as many sigmoids of two or three finite numbers as there are columns."""
    return len(sigmoids) == columns and all(
        len(pair) in (2, 3)
        and all(isinstance(value, float | int) and math.isfinite(value) for value in pair)
        for pair in sigmoids
    )
