"""C by cross-validation, and probabilities, on the first rows of the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from widemargin.data.rows import Sparse, take_rows
from widemargin.demo import as_csr, head
from widemargin.demo_tour.lines import Line, Stopwatch
from widemargin.estimators.linear_svc import LinearSVC
from widemargin.estimators.linear_svc_cv import LinearSVCCV

ROWS, HELD = 10_000, 10_000


def choice(task: Any) -> Iterator[Line]:
    small, test = head(task, ROWS), task.corpus.test
    assert isinstance(small.train.rows, Sparse), "as the corpus is"
    X, y = as_csr(small.train.rows), np.asarray(small.train.codes)
    held = min(HELD, len(test.codes))
    Xt, yt = as_csr(_first(test.rows, held)), np.asarray(test.codes[:held])
    watch = Stopwatch()
    found = LinearSVCCV(Cs=7, loss="hinge", tol=1e-3, random_state=0, n_jobs=2).fit(X, y)
    best, error = float(found.mean_scores_.max()), 1.0 - float(found.score(Xt, yt))
    yield Line(
        "C by cross-validation",
        f"C = {found.C_:.3g} of {len(found.Cs_)} values on {found.scores_.shape[1]} folds, "
        f"error {100 * (1.0 - best):.1f} %; test error {100 * error:.1f} %",
        watch.lap(),
        {"C": float(found.C_), "mean_score": best, "test_error": error},
    )
    clf = LinearSVC(C=found.C_, loss="hinge", tol=1e-3, random_state=0, probability=True).fit(X, y)
    brier = float(np.mean((clf.predict_proba(Xt)[:, 1] - yt) ** 2))
    share = float(np.mean(y))
    blind = float(np.mean((share - yt) ** 2))
    yield Line(
        "probabilities",
        f"Brier score {brier:.4f} on held-out rows; {blind:.4f} for the share of the classes",
        watch.lap(),
        {"brier": brier, "brier_of_share": blind},
    )


def _first(rows: Sparse, n: int) -> Any:
    return take_rows(rows, 0, n)
