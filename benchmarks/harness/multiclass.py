"""Actions of `multiclass.py`: the joint problem of news20, and the topics of rcv1_topics.

Rivals penalise the intercept. So the joint problem is taken as theirs, a constant feature
appended and no intercept besides; of the topics each side solves its own problem, and effort is
what brings it within TOL of its own optimum.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack, load_npz
from sklearn.preprocessing import normalize

from harness.clock import cost, seconds
from harness.datasets import SHARED, load
from harness.formats import csr
from harness.peers import TOL, epochs, tolerances

Spec = dict[str, Any]
REFERENCE_GAP = 1e-6
EVERY = 6  # of the topics by frequency, those that the rival is measured on


# -- one joint problem -----------------------------------------------------------------------------

FORMS = {"counts": 0.01, "unit rows": 1.0}  # of news20's rows, and the C that goes with them
TIGHTEST = 0.01  # tolerance of the rival, in the search


def joint(spec: Spec) -> Any:
    """One fit of spec["solver"] with spec["effort"], after one on a few rows."""
    form, solver = spec["form"], spec["solver"]
    X, y = _news(form, np.float64 if solver == "scikit-learn" else np.float32)
    C = FORMS[form]
    _joint_fit(solver, X[:500], y[:500], C, 1e-5 if solver == "widemargin" else 1.0)
    spent, model = cost(lambda: _joint_fit(solver, X, y, C, spec["effort"]))
    found = {**spent._asdict(), "objective": _joint_value(model, X, y, C)}
    found["epochs"] = int(np.max(model.n_iter_))
    if solver == "widemargin":
        found["dual"] = model.certificate_.dual
    return found


def joint_search(spec: Spec) -> Any:
    """For each of spec["levels"], from the highest down, the loosest tolerance of scikit-learn's
    with which its objective is at most that; None where TIGHTEST was not enough."""
    X, y = _news(spec["form"], np.float64)
    efforts: list[float | None] = []
    trials = (eps for eps in tolerances() if eps >= TIGHTEST)
    reached, effort = np.inf, None
    for level in spec["levels"]:
        while reached > level and (effort := next(trials, None)) is not None:
            model = _joint_fit("scikit-learn", X, y, FORMS[spec["form"]], effort)
            reached = _joint_value(model, X, y, FORMS[spec["form"]])
        efforts.append(effort if reached <= level else None)
    return efforts


def _joint_fit(solver: str, X: Any, y: Any, C: float, tol: float) -> Any:
    how = {"multi_class": "crammer_singer", "C": C, "tol": tol, "random_state": 0}
    if solver == "widemargin":
        from widemargin import LinearSVC

        ones = hstack([X, np.ones((X.shape[0], 1), X.dtype)], "csr", X.dtype)
        return LinearSVC(fit_intercept=False, max_iter=10_000, **how).fit(ones, y)
    from sklearn.svm import LinearSVC

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LinearSVC(max_iter=10_000, **how).fit(X, y)


def _joint_value(model: Any, X: Any, y: Any, C: float) -> float:
    """½‖W‖² + C Σ ξ with the intercept, if it is one, among the weights."""
    W, b = model.coef_, np.broadcast_to(model.intercept_, len(model.classes_))
    if W.shape[1] > X.shape[1]:
        W, b = W[:, :-1], W[:, -1]
    G = X @ W.T + b + 1.0
    G[np.arange(len(y)), y] -= 1.0
    slack = G.max(axis=1) - G[np.arange(len(y)), y]
    return float(0.5 * ((W**2).sum() + (b**2).sum()) + C * slack.sum())


@cache
def _news(form: str, dtype: Any) -> Any:
    problem = load("news20")
    X = csr(problem, dtype)
    return (normalize(X) if form == "unit rows" else X), problem.codes.astype(np.int64)


# -- many labels -----------------------------------------------------------------------------------


def topics(spec: Spec) -> Any:
    """Seconds of all topics, ours; the gaps that it certifies."""
    from widemargin import LinearSVC, OneVsRestClassifier

    X, Y = _topics()
    model = LinearSVC(loss=spec["loss"], tol=TOL, random_state=0)
    clf = OneVsRestClassifier(model, n_jobs=spec["threads"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a topic that no document has
        clf.fit(X[:2000], Y[:2000])
        took = seconds(lambda: clf.fit(X, Y))
    worst = max(proof.relative_gap for proof in clf.certificates_)
    return {"seconds": took / Y.shape[1], "worst": worst, "columns": Y.shape[1]}


def topic_efforts(spec: Spec) -> Any:
    """The fewest epochs of scikit-learn for each measured topic to come within TOL."""
    return {str(k): _fewest(k, spec["loss"]) for k in _measured()}


def topics_rival(spec: Spec) -> Any:
    """Seconds of a measured topic on average, with the epochs of spec["efforts"], one after the
    other as OneVsRestClassifier has them."""
    X, Y = _topics()
    X = X.astype(np.float64)
    columns = {int(k): Y[:, [int(k)]].toarray().ravel() for k in spec["efforts"]}

    def run() -> None:
        for k, y in columns.items():
            _rival(X, y, spec["loss"], spec["efforts"][str(k)])

    return {"seconds": seconds(run) / len(columns)}


def _fewest(k: int, loss: str) -> int:
    """Epochs of scikit-learn on topic k until it is within TOL of its own optimum."""
    from widemargin import LinearSVC

    X, Y = _topics()
    y = Y[:, [k]].toarray().ravel()
    ones = hstack([X, np.ones((X.shape[0], 1), X.dtype)], "csr", X.dtype)
    best = LinearSVC(loss=loss, tol=1e-5, fit_intercept=False, random_state=0).fit(ones, y)
    level, X = best.certificate_.dual * (1.0 + TOL), X.astype(np.float64)

    def enough(effort: int) -> bool:
        return _value(_rival(X, y, loss, effort), X, y, loss) <= level

    few, most = 0, 1
    for most in epochs():
        if enough(most):
            break
        few = most
    while most - few > 1:  # between two steps of `epochs`
        middle = (few + most) // 2
        few, most = (few, middle) if enough(middle) else (middle, most)
    return most


def _rival(X: Any, y: Any, loss: str, effort: int) -> Any:
    from sklearn.svm import LinearSVC

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"loss": loss, "dual": True, "tol": 1e-12, "max_iter": effort}
        return LinearSVC(random_state=0, **how).fit(X, y)


def _value(model: Any, X: Any, y: Any, loss: str) -> float:
    w, b = model.coef_[0], model.intercept_[0]
    slack = np.maximum(0.0, 1.0 - (2 * y - 1) * (X @ w + b))
    losses = slack.sum() if loss == "hinge" else slack @ slack
    return float(0.5 * (w @ w + b * b) + losses)


def _measured() -> list[int]:
    counts = np.asarray(_topics()[1].sum(axis=0)).ravel()
    ranked = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return [int(k) for k in ranked[::EVERY]]


@cache
def _topics() -> Any:
    folder = SHARED / "rcv1_topics"
    X = csr_matrix(load_npz(os.fspath(folder / "X.npz")))
    return X, load_npz(os.fspath(folder / "Y103.npz")).tocsr()
