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

from harness.clock import cost, seconds
from harness.datasets import SHARED, load
from harness.formats import csr
from harness.peers import TOL, epochs, tolerances

Spec = dict[str, Any]
REFERENCE_GAP = 1e-6
EVERY = 6  # of the topics by frequency, those that the rival is measured on


# -- one joint problem -----------------------------------------------------------------------------


def joint(spec: Spec) -> Any:
    """One fit of spec["solver"] with spec["effort"], after one on a few rows."""
    X, y = _news(np.float64 if spec["solver"] == "scikit-learn" else np.float32)
    _joint_fit(spec["solver"], X[:500], y[:500], spec["C"], 1.0)
    spent, model = cost(lambda: _joint_fit(spec["solver"], X, y, spec["C"], spec["effort"]))
    found = {**spent._asdict(), "objective": _joint_value(model, X, y, spec["C"])}
    found["epochs"] = int(np.max(model.n_iter_))
    return found


def joint_search(spec: Spec) -> Any:
    """The loosest tolerance of scikit-learn's that comes within TOL of spec["optimum"], the
    tightest tried and what it reaches."""
    X, y = _news(np.float64)
    found, reached = None, None
    for effort in tolerances():
        reached = _joint_value(_joint_fit("scikit-learn", X, y, spec["C"], effort), X, y, spec["C"])
        if reached <= spec["optimum"] * (1.0 + TOL):
            found = effort
            break
    return {"effort": found, "reached": reached}


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
def _news(dtype: Any) -> Any:
    problem = load("news20")
    return csr(problem, dtype), problem.codes.astype(np.int64)


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
    for effort in epochs():
        model = _rival(X, y, loss, effort)
        if _value(model, X, y, loss) <= level:
            return effort
    return effort


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
