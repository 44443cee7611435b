"""Judges of a cross-validation that need no more than the classes told: scores by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.errors import choose
from widemargin.run.tuning import Fold, Held, Judge
from widemargin.scores import codes_of


def accuracy(confusion: Array) -> float:
    """The weight of what is right, over all of it; 0 where there is none."""
    return float(np.trace(confusion) / (confusion.sum() or 1.0))


def balanced_accuracy(confusion: Array) -> float:
    """The mean recall of the classes that occur."""
    true = confusion.sum(axis=1)
    return float(np.mean((np.diagonal(confusion) / np.where(true > 0.0, true, 1.0))[true > 0.0]))


def f1_macro(confusion: Array) -> float:
    """The mean over the classes of 2 right / (true + predicted)."""
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = 2.0 * np.diagonal(confusion) / np.where(both > 0.0, both, 1.0)
    return float(np.mean(f1[both > 0.0]))


SCORES: dict[str, Callable[[Array], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1_macro": f1_macro,
}


def judge_by(name: str, samples: Samples, folds: Sequence[Fold], n_classes: int) -> Judge:
    """The score of that name on the rows each fold holds out, by their sample weights."""
    score = choose("scoring", name, SCORES)

    def judge(held: Held) -> Array:
        found = []
        for f, fold in enumerate(folds):
            cells = samples.codes[fold.held] * n_classes + codes_of(held.decisions(f))
            weight = samples.weight[fold.held]
            confusion = np.bincount(cells, weight, minlength=n_classes**2)
            found.append(score(confusion.reshape(n_classes, n_classes)))
        return np.array(found)

    return judge
