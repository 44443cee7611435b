"""The features that weigh most, by name where they have one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from widemargin.data.rows import Array
from widemargin.model import Model
from widemargin.objective import column
from widemargin.reports.facts import Strongest

OF_TWO = 15  # features shown for each of two classes
OF_MANY = 8  # for each of more


def feature_names(model: Model) -> Sequence[str] | None:
    """What the columns are called, or None where they have numbers only."""
    if model.features is None:
        return None
    from widemargin.features.naming import names_of

    return names_of(model.features, range(model.n_features))


def strongest(model: Model, names: Sequence[str] | None, first: int) -> tuple[Strongest, ...]:
    """For each class the features whose weights speak most for it.

    Of two classes the first is spoken for by weights below zero. Without names, features are
    counted from `first`.
    """

    def told(label: str, w: Array, most: int) -> Strongest:
        picked = [
            (str(first + j) if names is None else str(names[j]), float(w[j]))
            for j in largest(w, most)
        ]
        return Strongest(label, tuple(picked))

    if model.b.size == 1:
        w = column(model.W, 0) if model.W.ndim == 1 else model.W[:, 0]
        return (told(model.labels[0], -w, OF_TWO), told(model.labels[1], w, OF_TWO))
    return tuple(told(name, column(model.W, k), OF_MANY) for k, name in enumerate(model.labels))


def largest(w: Array, most: int) -> list[int]:
    """Places of the largest positive entries, largest first."""
    picked = np.argpartition(-w, min(most, len(w) - 1))[:most] if len(w) else np.zeros(0, int)
    picked = picked[w[picked] > 0.0]
    return [int(j) for j in picked[np.argsort(-w[picked], kind="stable")]]
