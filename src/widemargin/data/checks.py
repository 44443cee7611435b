"""A look at rows that come from outside, before kernels trust their column indices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from widemargin._jit import fast_kernel, kernel
from widemargin.data.rows import Array, Sparse

PIECE = 8192  # indices that stay in the cache for a second loop


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
    """(the largest of at least one index, whether every row's indices rise).

    Falls are counted in one flat run, less those from one row to the next.
    """
    top, falls, row, n = indices[0], 0, 1, indices.size
    for start in range(0, n, PIECE):
        stop = min(start + PIECE, n)
        top = max(top, largest(indices[start:stop]))
        falls += count_falls(indices[max(start, 1) - 1 : stop - 1], indices[max(start, 1) : stop])
        while row < indptr.size - 1 and indptr[row] < stop:  # while the piece is in the cache
            a = indptr[row]
            if indptr[row - 1] < a:  # the first entry behind a row that is not empty
                falls -= indices[a] <= indices[a - 1]
            row += 1
    return top, falls == 0


@fast_kernel
def largest(indices: Array) -> int:
    top = indices[0]
    for k in range(indices.size):
        top = indices[k] if indices[k] > top else top
    return top  # type: ignore[no-any-return]


@fast_kernel
def count_falls(before: Array, after: Array) -> int:
    """How often after[k] ≤ before[k]; in 32 bits, so that a vector holds many."""
    falls = np.uint32(0)
    for k in range(after.size):
        falls = np.uint32(falls + np.uint32(after[k] <= before[k]))
    return int(falls)


@kernel
def has_repeats(indices: Array, indptr: Array, last_row: Array) -> bool:
    """Whether some row names a column twice; last_row (d,) starts at −1."""
    for i in range(indptr.size - 1):
        for j in indices[indptr[i] : indptr[i + 1]]:
            if last_row[j] == i:
                return True
            last_row[j] = i
    return False
