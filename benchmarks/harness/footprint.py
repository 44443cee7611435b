"""Action: the extra memory of a fit.

The data are touched first, so that pages of a memory map count as data, and the fit is done once
on a few rows of the same kind, so that compiled code counts as the package.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import datasets, texts
from harness.clock import cost
from harness.datasets import LAM, in_memory, thinned
from harness.formats import csr

Spec = dict[str, Any]
WARM_ROWS = 2000
DENSE = (100_000, 256)  # rows and columns, half the columns where thinned
SHORT = {"tol": 1e-3, "max_iter": 10}  # more epochs need no more memory
ESTIMATORS: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "LinearSVC, hinge": lambda n: ("LinearSVC", {"loss": "hinge", "C": 1 / (LAM * n), **SHORT}),
    "LinearSVC, squared hinge": lambda n: ("LinearSVC", {"C": 1 / (LAM * n), **SHORT}),
    "SGDClassifier": lambda n: ("SGDClassifier", {"max_iter": 2, "tol": None}),
    "SGDClassifier, averaged": lambda n: (
        "SGDClassifier", {"max_iter": 2, "tol": None, "average": True},
    ),
    "Perceptron": lambda n: ("Perceptron", {"max_iter": 2, "tol": None}),
}  # fmt: skip
FORMATS = ("CSR float32", "CSR float64", "packed store", "dense float32")


def fit(spec: Spec) -> Any:
    """Bytes beyond the data that a fit of spec["estimator"] needs at its peak."""
    import widemargin

    X, y = given(spec)
    name, options = ESTIMATORS[spec["estimator"]](X.shape[0])
    model = getattr(widemargin, name)(random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few epochs did not converge
        model.fit(X[:WARM_ROWS], y[:WARM_ROWS])
        touch(X)
        spent, _ = cost(lambda: model.fit(X, y))
    return {
        **spent._asdict(),
        "n": X.shape[0],
        "d": X.shape[1],
        "nonzeros": X.nnz if hasattr(X, "nnz") else X.size,
    }


def given(spec: Spec) -> tuple[Any, Any]:
    """(X, y) in spec["format"], thinned or whole."""
    kind, _, dtype = spec["format"].partition(" ")
    if kind == "dense":
        return dense(dtype, spec["thin"])
    problem = datasets.load(spec["data"], spec.get("rows"))
    if kind == "packed":
        from widemargin import open as open_data

        data = open_data(os.fspath(texts.store(problem, spec["thin"])))
        return data.X, data.y
    problem = in_memory(thinned(problem) if spec["thin"] else problem)
    return csr(problem, np.dtype(dtype)), problem.codes


def dense(dtype: str, thin: bool) -> tuple[Any, Any]:
    n, d = DENSE
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d // 2 if thin else d)).astype(dtype)
    return X, (X[:, 0] + rng.normal(size=n) > 0.0).astype(np.int32)


def touch(X: Any) -> None:
    for array in (X.data, X.indices, X.indptr) if hasattr(X, "indptr") else (X,):
        array.max()
