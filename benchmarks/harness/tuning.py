"""The search for C against a single fit, and how good the probabilities are."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import datasets
from harness.datasets import SHARED, head, in_memory
from harness.formats import csr

TURNS = 5  # inside a process
WARM_ROWS = 2000


def search(spec: dict[str, Any]) -> Any:
    """Median seconds of LinearSVCCV and of LinearSVC at the C that it chose, in turns."""
    from widemargin import LinearSVC, LinearSVCCV

    warnings.simplefilter("ignore")
    problem = in_memory(datasets.load(spec["data"], spec.get("rows")))
    X, y, loss = csr(problem.rows), problem.codes, spec["loss"]
    tuned = LinearSVCCV(loss=loss, n_jobs=spec["threads"], random_state=0)
    small = head(problem, min(WARM_ROWS, len(y)))
    tuned.fit(csr(small.rows), small.codes)
    tuned.fit(X, y)
    single = LinearSVC(C=tuned.C_, loss=loss, random_state=0).fit(X, y)
    turns = [(_seconds(single.fit, X, y), _seconds(tuned.fit, X, y)) for _ in range(TURNS)]
    alone, together = map(statistics.median, zip(*turns, strict=True))
    return {
        "C": tuned.C_,
        "single": alone,
        "search": together,
        "score": float(tuned.mean_scores_[tuned.best_index_]),
        "curve": tuned.mean_scores_.tolist(),
        "gaps": tuned.gaps_.max(axis=1).tolist(),
    }


def brier(spec: dict[str, Any]) -> Any:
    """Brier scores on the test set of a9a: ours and scikit-learn's, by name."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC as Theirs

    import widemargin as wm

    warnings.simplefilter("ignore")
    train = wm.open(SHARED / "a9a" / "a9a")
    test = wm.open(SHARED / "a9a" / "a9a.t", n_features=train.n_features)
    X, y = train.X.astype(float), train.y
    rivals: dict[str, Any] = {
        "widemargin LinearSVC(probability=True)": wm.LinearSVC(probability=True, random_state=0),
        "widemargin LinearSVCCV(probability=True)": wm.LinearSVCCV(
            probability=True, random_state=0
        ),
        "scikit-learn CalibratedClassifierCV(LinearSVC())": CalibratedClassifierCV(
            Theirs(random_state=0)
        ),
        "the same, ensemble=False": CalibratedClassifierCV(Theirs(random_state=0), ensemble=False),
    }
    return {
        name: float(np.mean((clf.fit(X, y).predict_proba(test.X)[:, 1] - (test.y == 1)) ** 2))
        for name, clf in rivals.items()
    }


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began
