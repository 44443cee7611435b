"""Histograms of margins and of row lengths: few bins, whatever the number of rows."""

from __future__ import annotations

import math

import numpy as np

from widemargin.data.rows import Array
from widemargin.reports.facts import Histogram, Lengths, Margins, Seen

BINS = 48
TAIL = 0.005  # share of the rows on either end that may be counted in the outermost bins
AT_ONE = 0.01  # a margin this near to 1 counts as 1
WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5)  # whole parts of 1, so that 0 and 1 are edges


def counted(values: Array, edges: Array) -> Histogram:
    """How many values lie between the edges; those beyond count in the outermost bins."""
    place = np.searchsorted(edges, values, side="right") - 1
    return Histogram(edges, np.bincount(place.clip(0, len(edges) - 2), minlength=len(edges) - 1))


def margin_edges(margins: list[Array]) -> Array:
    """Edges that 0 and 1 belong to, about BINS of them, over all but the tails."""
    some = [values for values in margins if len(values)]
    low = min([0.0, *(float(np.quantile(values, TAIL)) for values in some)])
    high = max([1.5, *(float(np.quantile(values, 1.0 - TAIL)) for values in some)])
    least = (high - low) / BINS
    width = next((w for w in WIDTHS if w >= least), float(math.ceil(least)))
    first, last = math.floor(low / width), math.ceil(high / width)
    return width * np.arange(first, last + 1)


def margins_of(seen: Seen) -> Array:
    """yᵢ f(xᵢ) for two classes; for more, the score of a row's class less the best other one.

    A row is told rightly where that is above 0. Rows of an unknown label are left out.
    """
    known = seen.codes >= 0
    scores, codes = seen.scores[known], seen.codes[known]
    if scores.shape[1] == 1:
        return scores[:, 0] * np.where(codes == 1, 1.0, -1.0)
    rows = np.arange(len(codes))
    own, rest = scores[rows, codes], scores.copy()
    rest[rows, codes] = -np.inf
    return np.asarray(own - rest.max(axis=1))


def margin_counts(seen: Seen, values: Array, edges: Array, *, joint: bool = False) -> Margins:
    """Counts of `margins_of` a data set. A joint problem of many classes has one margin a row, so
    that its rows are counted by class; else each column has margins of its own."""
    wrong = int(np.count_nonzero(values < 0.0))
    below, at, beyond = (int(part) for part in sides(values))
    known = seen.codes >= 0
    scores, codes = seen.scores[known], seen.codes[known]
    K = scores.shape[1]
    first = 1 if K == 1 else 0
    if joint and K > 1:
        columns = [values[codes == k] for k in range(K)]
    else:
        columns = [scores[:, k] * np.where(codes == k + first, 1.0, -1.0) for k in range(K)]
    each = np.array([sides(margins) for margins in columns])
    return Margins(seen.role, counted(values, edges), wrong, below, at, beyond, each)


def sides(margins: Array) -> Array:
    """(below 1, at 1, beyond 1)."""
    below = np.count_nonzero(margins < 1.0 - AT_ONE)
    beyond = np.count_nonzero(margins > 1.0 + AT_ONE)
    return np.array([below, len(margins) - below - beyond, beyond])


def lengths_of(lengths: Array) -> Lengths:
    """Whole numbers, in bins of equal width of whole numbers."""
    if not len(lengths):
        return Lengths(0, 0.0, 0.0, 0, Histogram(np.array([0, 1]), np.zeros(1, int)))
    low, high = np.quantile(lengths, [TAIL, 1.0 - TAIL], method="nearest").astype(int)
    width = max(1, math.ceil((high - low + 1) / BINS))
    edges = np.arange(low, high + 1 + width, width)
    return Lengths(
        int(lengths.min()),
        float(np.median(lengths)),
        float(lengths.mean()),
        int(lengths.max()),
        counted(lengths, edges),
    )
