"""Facts of made-up runs, without a fit: scores are drawn."""

import numpy as np

from widemargin.model import Model
from widemargin.reports.facts import Seen
from widemargin.reports.gather import Run, gather

HISTORY = [
    {"epoch": e, "seconds": 0.1 * e, "objective": 50 + 9.0 / e, "gap": 0.3**e, "dual": 50 - 9.0 / e}
    for e in range(1, 9)
]


def a_model(labels, d=30, seed=0, **said):
    """Weights drawn from a seed, with a certificate."""
    rng = np.random.default_rng(seed)
    K = 1 if len(labels) == 2 else len(labels)
    proof = {"primal": 51.0, "dual": 50.9, "gap": 0.1, "relative_gap": 0.1 / 51.0}
    W = rng.normal(size=d if K == 1 else (d, K))
    facts = {"certificate": proof, "C": 1.0, "solver": "dual", "training": {"epochs": 8}, **said}
    return Model(W, np.zeros(K), tuple(labels), **facts)


def a_set(role, n, n_classes, seed=0, *, unknown=0, d=30):
    """Scores that tell the classes with some errors; the last rows may be of unknown labels."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_classes, n)
    scores = rng.normal(size=(n, 1 if n_classes == 2 else n_classes))
    if n_classes == 2:
        scores[:, 0] += 2.0 * codes - 1.0
    else:
        scores[np.arange(n), codes] += 1.5
    codes[n - unknown :] = -1
    return Seen(role, f"{role}.svm", scores, codes, rng.integers(1, d, n), d)


def some_facts(labels=("no", "yes"), n=400, d=30, **said):
    """Training and test data, a history, a command."""
    model, k = a_model(labels, d), len(labels)
    sets = [a_set("training", n, k, 1, d=d), a_set("test", max(n // 4, 1), k, 2, d=d)]
    about = {
        "title": "made.svm",
        "history": HISTORY,
        "tol": 1e-2,
        "command": "widemargin train made.svm",
        "seed": 0,
        "seconds": {"load": 0.1, "fit": 0.8},
        **said,
    }
    return gather(model, sets, Run(**about))
