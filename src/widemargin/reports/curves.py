"""ROC and precision–recall of scores, all of them taken into account."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.reports.facts import Curve, Curves, Seen

POINTS = 120  # that a drawn curve keeps
GRID = np.linspace(0.0, 1.0, 101)  # where the curves of several classes are averaged


class Ranked(NamedTuple):
    """Rows of either side above each distinct score, from the highest down; (0, 0) first."""

    true: Array  # positive rows
    false: Array  # negative rows


def ranked(scores: Array, positive: Array) -> Ranked:
    """scores (n,), positive (n,) bool; rows of one score are passed together."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.flatnonzero(np.append(np.diff(descending) != 0.0, True)) if len(order) else order
    true = np.cumsum(positive[order])[last]
    return Ranked(np.append(0, true), np.append(0, 1 + last - true))


def roc(seen: Ranked) -> Curve:
    """True-positive against false-positive rate, with the area by trapezoids; NaN without both
    sides."""
    if not (seen.true[-1] and seen.false[-1]):
        return EMPTY
    x, y = seen.false / seen.false[-1], seen.true / seen.true[-1]
    return Curve(x, y, float(np.trapezoid(y, x)))


def precision_recall(seen: Ranked) -> Curve:
    """Precision against recall; the area is the average precision, Σ (Rₖ − Rₖ₋₁) Pₖ."""
    if not seen.true[-1]:
        return EMPTY
    recall = seen.true / seen.true[-1]
    precision = np.append(1.0, seen.true[1:] / (seen.true[1:] + seen.false[1:]))
    return Curve(recall, precision, float(np.sum(np.diff(recall) * precision[1:])))


EMPTY = Curve(np.zeros(0), np.zeros(0), float("nan"))


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """The curve at points about equally far apart along it, both ends kept."""
    if len(curve.x) <= points:
        return curve
    along = np.append(0.0, np.cumsum(np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y))))
    kept = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], points)))
    return Curve(curve.x[kept], curve.y[kept], curve.area)


def curves(seen: Seen) -> Curves:
    """The curves of the second of two classes, or of each class against the rest, averaged."""
    known = seen.codes >= 0
    scores, codes = seen.scores[known], seen.codes[known]
    K = scores.shape[1]
    areas = np.full((K, 2), np.nan)
    rocs, recalls = [], []
    for k in range(K):
        ranks = ranked(scores[:, k], codes == (1 if K == 1 else k))
        one, other = roc(ranks), precision_recall(ranks)
        areas[k] = one.area, other.area
        if K == 1:
            return Curves(seen.role, thinned(one), thinned(other), areas)
        if len(one.x):
            rocs.append(_at_last(one))
        if len(other.x):
            recalls.append(_at_first(other))
    means = [_mean(GRID, rows, areas[:, i]) for i, rows in enumerate((rocs, recalls))]
    return Curves(seen.role, means[0], means[1], areas)


def _at_last(curve: Curve) -> Array:
    """y on the grid; where the curve rises straight up, the top of the rise."""
    values: Array = np.interp(GRID, curve.x, curve.y)
    top = np.searchsorted(curve.x, GRID, side="right") - 1
    return np.maximum(values, curve.y[top])


def _at_first(curve: Curve) -> Array:
    """y on the grid: the precision at which a recall is first reached."""
    values: Array = curve.y[np.searchsorted(curve.x, GRID, side="left").clip(0, len(curve.y) - 1)]
    return values


def _mean(x: Array, rows: list[Array], areas: Array) -> Curve:
    if not rows:
        return EMPTY
    return Curve(x, np.mean(rows, axis=0), float(np.nanmean(areas)))
