"""Many classes: one problem of them all, and one against all, on ten digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from widemargin.demo_tour.lines import Line, Stopwatch
from widemargin.demo_tour.margins import digits
from widemargin.estimators.linear_svc import LinearSVC

WAYS = {"Crammer-Singer": "crammer_singer", "one against all": "ovr"}


def classes(task: Any) -> Iterator[Line]:
    X, y, Xt, yt = digits()
    for name, way in WAYS.items():
        watch = Stopwatch()
        clf = LinearSVC(C=1.0, loss="hinge", tol=1e-3, multi_class=way, random_state=0).fit(X, y)
        gap, error = clf.certificate_.relative_gap, 1.0 - float(clf.score(Xt, yt))
        found = f"gap {gap:.0e} after {clf.n_iter_} epochs, test error {100 * error:.1f} %"
        facts = {"relative_gap": gap, "epochs": clf.n_iter_, "test_error": error}
        yield Line(f"{name}, ten digits", found, watch.lap(), facts)
