"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np

from widemargin.data.rows import Array
from widemargin.reports.facts import Confusion, Seen
from widemargin.scores import codes_of

SHOWN = 20  # classes in the matrix: the most confused
PAIRS = 10


def confusions(sets: list[Seen], n_classes: int) -> tuple[Confusion, ...]:
    """The matrix of each data set over the same classes: those the last set confuses most."""
    whole = [matrix(seen, n_classes) for seen in sets]
    shown = most_confused(whole[-1])
    return tuple(
        Confusion(seen.role, shown, counts[np.ix_(shown, shown)], pairs(counts))
        for seen, counts in zip(sets, whole, strict=True)
    )


def matrix(seen: Seen, n_classes: int) -> Array:
    """(n_classes, n_classes) rows by true and predicted class."""
    known = seen.codes >= 0
    cells = seen.codes[known].astype(np.int64) * n_classes + codes_of(seen.scores[known])
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def most_confused(counts: Array) -> Array:
    """At most SHOWN classes, in their order, with the most rows taken for or from another."""
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
    return np.sort(np.argsort(-wrong, kind="stable")[:SHOWN])


def pairs(counts: Array) -> tuple[tuple[int, int, int], ...]:
    """(true, predicted, rows) of the most frequent confusions."""
    wrong = counts - np.diag(np.diagonal(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(cell), len(counts)) for cell in order]
    return tuple((i, j, int(wrong[i, j])) for i, j in places if wrong[i, j])
