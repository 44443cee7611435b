"""The hard margin and a kernel, on the handwritten digits of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from widemargin.data.rows import Array
from widemargin.demo_tour.lines import Line, Stopwatch
from widemargin.estimators.svc import SVC

Halves = tuple[Array, Array, Array, Array]  # X, y to learn from, X, y to judge by


def digits() -> Halves:
    """1,797 pictures of 8 × 8 points between 0 and 1, every other one held out."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    return X[::2], y[::2], X[1::2], y[1::2]


def margins(task: Any) -> Iterator[Line]:
    """The widest margin between two digits, and all ten with a kernel."""
    X, y, Xt, yt = digits()
    watch, pair, pair_t = Stopwatch(), np.isin(y, (3, 8)), np.isin(yt, (3, 8))
    clf = SVC(C=math.inf, kernel="linear", tol=1e-6).fit(X[pair], y[pair])
    margin = float(np.ravel(clf.margin_)[0])
    yield line(
        "hard margin, digits 3 and 8",
        f"margin {margin:.4f}, ",
        clf,
        clf.score(Xt[pair_t], yt[pair_t]),
        watch,
        margin=margin,
    )
    clf = SVC(C=10.0, kernel="rbf").fit(X, y)
    yield line("SVC, rbf kernel, ten digits", "", clf, clf.score(Xt, yt), watch)


def line(what: str, first: str, clf: Any, right: float, watch: Stopwatch, **more: float) -> Line:
    gap, error = clf.certificate_.relative_gap, 1.0 - float(right)
    vectors, n = len(clf.support_), clf.shape_fit_[0]
    found = (
        f"{first}{vectors} support vectors of {n} rows, gap {gap:.0e}, "
        f"test error {100 * error:.1f} %"
    )
    facts = {"support_vectors": vectors, "relative_gap": gap, "test_error": error, **more}
    return Line(what, found, watch.lap(), facts)
