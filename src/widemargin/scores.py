"""Scores of rows under given weights, and the classes that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._jit import kernel
from widemargin.data.columns import dots
from widemargin.data.rows import Array, Rows, n_rows, row, take_rows
from widemargin.threads import each, ranges


@kernel
def score_rows(rows: Any, W: Array, b: Array, out: Array) -> None:
    """out[i, k] = wₖᵀxᵢ + bₖ."""
    for i in range(out.shape[0]):
        dots(row(rows, i), W, out[i])
        for k in range(b.size):
            out[i, k] += b[k]


def scores(rows: Rows, W: Array, b: Array, threads: int = 1) -> Array:
    """wₖᵀxᵢ + bₖ of every row and column, shape (n, K)."""
    out = np.empty((n_rows(rows), b.size))
    W, b = np.ascontiguousarray(W, np.float64), np.ascontiguousarray(b, np.float64)

    def part(start: int, stop: int) -> None:
        score_rows(take_rows(rows, start, stop), W, b, out[start:stop])

    each(part, ranges(len(out)), threads)
    return out


def codes_of(scores: Array) -> NDArray[np.int32]:
    """The class of each row: the sign of a single column, the largest of several."""
    if scores.shape[1] == 1:
        return (scores[:, 0] > 0.0).astype(np.int32)
    largest: NDArray[np.int32] = scores.argmax(axis=1).astype(np.int32)
    return largest


def error_of(scores: Array, codes: Array) -> float:
    """The share of rows whose class is not the one that the scores stand for."""
    return float(np.mean(codes_of(scores) != codes)) if len(codes) else 0.0
