"""What is saved, loaded and served: weights, the names of the classes, how they were found.

A model file is a safetensors file: tensors W and b, and in its metadata one JSON text with all
else and a SHA-256 digest over the text and the tensors. Loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._version import __version__
from widemargin.errors import ModelFileError
from widemargin.files import written_whole

FORMAT, VERSION = "widemargin-model", 1
KINDS: dict[str, Any] = {"int": np.int64, "float": np.float64, "str": np.str_, "bool": np.bool_}
PathLike = str | os.PathLike[str]


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
    package_version: str = __version__

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
        """Scores Xw + b: shape (n,) for two classes, (n, K) for more; X is dense or CSR."""
        found = self.scores(X, threads=threads)
        return found[:, 0] if self.b.size == 1 else found

    def predict(self, X: Any, *, threads: int = 1) -> NDArray[Any]:
        """(n,) the label of each row."""
        from widemargin.scores import codes_of

        values: NDArray[Any] = self.classes[codes_of(self.scores(X, threads=threads))]
        return values

    def scores(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """(n, K) scores of the rows of a NumPy array, a SciPy matrix, or `Sparse` rows."""
        from widemargin.data.rows import Sparse, as_rows, n_features
        from widemargin.scores import scores

        rows = X if isinstance(X, Sparse) else as_rows(_as_matrix(X))
        if n_features(rows) != self.n_features:
            raise ValueError(
                f"X has {n_features(rows)} features, but the model was trained on "
                f"{self.n_features}. Give rows with the columns of the training data."
            )
        found: NDArray[np.float64] = scores(rows, self.W, self.b, threads)
        return found


def _as_matrix(X: Any) -> Any:
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
    coef = getattr(fitted, "coef_", None)
    if coef is None:
        raise ValueError(
            f"{type(fitted).__name__} has no coef_. Give a fitted linear classifier: "
            "call fit first."
        )
    coef = np.asarray(coef.toarray() if hasattr(coef, "toarray") else coef, np.float64)
    labels, kind = spelt(np.asarray(fitted.classes_))
    options = fitted.get_params()
    certificate = getattr(fitted, "certificate_", None)
    intercept = np.asarray(fitted.intercept_, np.float64).ravel()
    return Model(
        W=np.ascontiguousarray(coef[0] if len(coef) == 1 else coef.T),
        b=np.ascontiguousarray(np.broadcast_to(intercept, (len(coef),))),
        labels=labels,
        kind=kind,
        loss=str(options.get("loss", "perceptron")),
        penalty=str(options.get("penalty")),
        C=options.get("C"),
        fit_intercept=bool(options.get("fit_intercept", True)),
        solver=type(fitted).__name__,
        certificate=None if certificate is None else certificate._asdict(),
        training={"params": {name: _plain(value) for name, value in options.items()}},
    )


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


# -- files -------------------------------------------------------------------------------------


def save(model: Any, path: PathLike) -> None:
    """Write a Model or a fitted estimator; the file appears under `path` when it is whole."""
    from safetensors.numpy import save as to_bytes

    model = as_model(model)
    problem = _misfit(model)
    if problem:
        raise ValueError(f"the model has {problem}, so it is not saved. Train it again.")
    text = json.dumps({"format": FORMAT, "version": VERSION, **_facts(model)}, ensure_ascii=False)
    metadata = {"widemargin": text, "digest": digest(text, model.W, model.b)}
    whole = to_bytes({"W": model.W, "b": model.b}, metadata)
    with written_whole(path) as stream:
        stream.write(whole)


def _facts(model: Model) -> dict[str, Any]:
    facts = {name: value for name, value in vars(model).items() if name not in ("W", "b")}
    return {**facts, "n_features": model.n_features}


def digest(text: str, W: NDArray[Any], b: NDArray[Any]) -> str:
    h = hashlib.sha256(text.encode())
    for array in (W, b):
        h.update(np.ascontiguousarray(array, "<f8").data)
    return f"sha256:{h.hexdigest()}"


def load(path: PathLike) -> Model:
    """The model in a file. Raises ModelFileError for anything that is not a whole model file."""
    name = os.fspath(path)
    W, b, metadata = _tensors(name)
    text = metadata.get("widemargin")
    if text is None:
        raise _refused(name, "a safetensors file of another program")
    facts = _parsed(name, text)
    if metadata.get("digest") != digest(text, W, b):
        raise _refused(name, "contents that do not match their digest")
    try:
        n_features = facts.pop("n_features")
        facts["labels"] = tuple(facts["labels"])
        model = Model(W, b, **facts)
    except (KeyError, TypeError) as error:
        raise _refused(name, f"metadata that do not describe a model ({error})") from None
    problem = _misfit(model)
    if problem or n_features != model.n_features:
        raise _refused(name, problem or f"{model.n_features} weights for {n_features} features")
    return model


def _tensors(name: str) -> tuple[NDArray[Any], NDArray[Any], dict[str, str]]:
    """W, b and the metadata of a safetensors file that holds these two as float64."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(name, framework="numpy") as file:
            shapes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            if shapes != {"W": "F64", "b": "F64"}:
                raise _refused(name, f"tensors {shapes}")
            return file.get_tensor("W"), file.get_tensor("b"), dict(file.metadata() or {})
    except SafetensorError as error:
        raise _refused(name, f"no whole safetensors file ({error})") from None
    except FileNotFoundError:
        raise ModelFileError(f"{name}: found no such file. Check the path.") from None
    except (OSError, ValueError, OverflowError, MemoryError, TypeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _refused(name, f"nothing that can be read ({error})") from None


def _parsed(name: str, text: str) -> dict[str, Any]:
    """The facts, after a look at format and version."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(name, "metadata that are no JSON") from None
    if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
        raise _refused(name, "metadata of another program")
    version = facts.pop("version", None)
    if type(version) is not int or version < 1:
        raise _refused(name, f"version {version!r}")
    if version > VERSION:
        raise ModelFileError(
            f"{name}: found a model file of version {version}; this widemargin {__version__} "
            f"reads up to {VERSION}. Update widemargin, or train again."
        )
    return facts


def _misfit(model: Model) -> str:
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
    if model.C is not None and not (isinstance(model.C, float | int) and math.isfinite(model.C)):
        return f"C={model.C!r}"
    return ""


def _refused(name: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"{name}: found {found}; accepted: a model file that widemargin wrote. "
        "Copy it again, or train again."
    )
