"""Solvers: ours and those of other packages, for the hinge loss with an L2 penalty.

A solver says whether it can take a problem (`skip`), takes it in its own best form
(`prepare`, outside the clock), fits it with a given effort (`fit`, inside the clock) and gives
back the weights as (d, K) (`weights`). An effort is what makes it stop: a number of epochs, a
tolerance; `efforts` lists them from the least on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from harness.datasets import Problem
from harness.formats import csr, liblinear_problem, signs

TOL = 1e-3  # the relative duality gap that ours certifies


class Solver(NamedTuple):
    package: str  # whose version is reported
    module: str  # what must be importable
    settings: str  # what it was told, in its own words
    prepare: Callable[[Problem], Any]
    fit: Callable[[Any, Problem, Any], Any]
    weights: Callable[[Any, Problem], Any]
    efforts: Callable[[], Iterator[Any]]
    binary_only: bool = False


def skip(name: str, problem: Problem) -> tuple[bool, str]:
    """(True, why) where the package is absent or the problem is not one that it solves."""
    solver = SOLVERS[name]
    if find_spec(solver.module) is None:
        return True, f"{solver.package} is not installed"
    if solver.binary_only and problem.n_classes > 2:
        return True, f"{name} is measured on two classes only"
    return False, ""


def epochs() -> Iterator[int]:
    """1, 2, … 10, then half as many again, up to 500."""
    k = 1
    while k <= 500:
        yield k
        k = k + 1 if k < 10 else k * 3 // 2


def tolerances() -> Iterator[float]:
    """10, 7, 5, 3.5, 2.5, 1.8, 1.3, 1, 0.7, … 1e-4: about three a factor of 2.5."""
    for power in count(0):
        eps = float(f"{10.0 * 10.0 ** (-power / 7):.2g}")
        if eps < 1e-4:
            return
        yield eps


# -- ours ------------------------------------------------------------------------------------------


def _ours(dtype: Any) -> Solver:
    def fit(data: Any, problem: Problem, tol: float) -> Any:
        from widemargin import LinearSVC

        return LinearSVC(loss="hinge", C=problem.C, tol=tol, random_state=0).fit(*data)

    return Solver(
        "widemargin", "widemargin", f"LinearSVC(tol={TOL:g}), CSR {np.dtype(dtype)}",
        lambda problem: (csr(problem, dtype), problem.codes), fit, _coef, lambda: iter([TOL]),
    )  # fmt: skip


def _coef(model: Any, problem: Problem) -> Any:
    return np.ascontiguousarray(model.coef_.T, np.float64)


# -- scikit-learn ----------------------------------------------------------------------------------


def _sklearn_fit(data: Any, problem: Problem, effort: int | None) -> Any:
    """`max_iter` epochs and no other stop; None: its defaults."""
    from sklearn.svm import LinearSVC

    how = {} if effort is None else {"max_iter": effort, "tol": 1e-12}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge is the point
        return LinearSVC(loss="hinge", C=problem.C, random_state=0, **how).fit(*data)


# -- snapml ----------------------------------------------------------------------------------------


def _snapml_fit(data: Any, problem: Problem, effort: int) -> Any:
    from snapml import SupportVectorMachine

    return SupportVectorMachine(
        loss="hinge", regularizer=1.0 / problem.C, max_iter=effort, tol=0.0, n_jobs=1,
        fit_intercept=True, random_state=0,
    ).fit(*data)  # fmt: skip


def _snapml_weights(model: Any, problem: Problem) -> Any:
    return np.asarray(model.coef_, np.float64).reshape(-1, 1)


# -- liblinear-official ----------------------------------------------------------------------------


def _liblinear_fit(data: Any, problem: Problem, effort: float) -> Any:
    import ctypes

    from liblinear.liblinearutil import parameter, train

    ctypes.CDLL(None).srand(1)  # its shuffles, so that a search and a measurement see the same
    return train(data, parameter(f"-s 3 -c {problem.C!r} -B 1 -e {effort!r} -q"))


def _liblinear_weights(model: Any, problem: Problem) -> Any:
    """From its order of labels to ours; with two classes it keeps the first label's weights."""
    K = 1 if problem.n_classes == 2 else problem.n_classes
    d = problem.rows.n_features
    W = np.ctypeslib.as_array(model.w, ((d + 1) * K,)).reshape(d + 1, K)[:d]
    labels = model.get_labels()
    if K == 1:
        return W * float(labels[0])
    return np.ascontiguousarray(W[:, np.argsort(labels)])


SOLVERS: dict[str, Solver] = {
    "widemargin": _ours(np.float32),
    "widemargin float64": _ours(np.float64),
    "scikit-learn": Solver(
        "scikit-learn", "sklearn", "LinearSVC(max_iter=…), CSR float64",
        lambda problem: (csr(problem, np.float64), problem.codes),
        _sklearn_fit, _coef, epochs,
    ),
    "snapml": Solver(
        "snapml", "snapml", "SupportVectorMachine(max_iter=…, n_jobs=1), CSR float32",
        lambda problem: (csr(problem, np.float32), signs(problem, np.float32)),
        _snapml_fit, _snapml_weights, epochs, binary_only=True,
    ),
    "liblinear": Solver(
        "liblinear-official", "liblinear", "-s 3 -B 1 -e …, its own array of nodes",
        liblinear_problem, _liblinear_fit, _liblinear_weights, tolerances,
    ),
}  # fmt: skip
OURS = ("widemargin", "widemargin float64")
RIVALS = ("scikit-learn", "snapml", "liblinear")
