"""A look at rows that come from outside, before kernels trust their column indices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array, Sparse


class Findings(NamedTuple):
    top: int  # the largest column index, −1 where nothing is held
    repeats: bool  # some row names a column twice
    ends: bool  # indptr rises from 0 to the number of entries


def look(rows: Sparse) -> Findings:
    """What the indices hold; one pass in memory order.

    Rows whose columns rise need no more; others are checked for repeats against a table of d
    entries.
    """
    p = rows.indptr
    rising = bool((p[1:] >= p[:-1]).all())
    if not (rising and p[0] == 0 and p[-1] == len(rows.indices)):
        return Findings(-1, False, False)
    if not len(rows.indices):
        return Findings(-1, False, True)
    top, sorted_rows = largest_and_order(rows.indices, p)
    repeats = False
    if not sorted_rows and top < rows.n_features:
        repeats = bool(has_repeats(rows.indices, p, np.full(rows.n_features, -1, np.int64)))
    return Findings(int(top), repeats, True)


@kernel
def largest_and_order(indices: Array, indptr: Array) -> tuple[int, bool]:
    """(the largest of at least one index, whether every row's indices rise)."""
    top, falls = indices[0], 0
    for i in range(indptr.size - 1):
        js = indices[indptr[i] : indptr[i + 1]]
        for k in range(js.size):
            top = max(top, js[k])
        for k in range(1, js.size):
            falls += js[k] <= js[k - 1]
    return top, falls == 0


@kernel
def has_repeats(indices: Array, indptr: Array, last_row: Array) -> bool:
    """Whether some row names a column twice; last_row (d,) starts at −1."""
    for i in range(indptr.size - 1):
        for j in indices[indptr[i] : indptr[i + 1]]:
            if last_row[j] == i:
                return True
            last_row[j] = i
    return False
