"""Second moments of rows with weights: what Newton's methods ask of the data.

H = Σ hᵢ zᵢ zᵢᵀ,     g = Σ gᵢ zᵢ,     z = (x, 1), or (x, 0) without an intercept
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import kernel, lean_kernel
from widemargin.data.rows import (
    Array,
    Rows,
    Sparse,
    axpy,
    n_features,
    n_nonzeros,
    n_rows,
    row,
    take_rows,
)

CHUNK = 2048  # rows made dense at a time
SPARSE_BELOW = 0.3  # share of entries below which pairs of entries cost less than a dense product


def moments(rows: Rows, h: Array, g: Array, fit_intercept: bool) -> tuple[Array, Array]:
    """(H, g) of shape (d + 1, d + 1) and (d + 1,); rows where h and g are 0 cost nothing."""
    if (
        isinstance(rows, Sparse)
        and n_nonzeros(rows) < SPARSE_BELOW * n_rows(rows) * rows.n_features
    ):
        return _of_pairs(rows, h, g, fit_intercept)
    return _of_chunks(rows, h, g, fit_intercept)


def _of_pairs(rows: Sparse, h: Array, g: Array, fit_intercept: bool) -> tuple[Array, Array]:
    size = rows.n_features + 1
    H, first = np.zeros((size, size)), np.zeros(size)
    add_pairs(rows, h, g, H, first)
    if not fit_intercept:
        H[-1], first[-1] = 0.0, 0.0
    H += np.tril(H, -1).T + np.triu(H, 1).T
    return H, first


@lean_kernel
def add_pairs(rows: Any, h: Array, g: Array, H: Array, first: Array) -> None:
    """Each pair of entries once, into whichever triangle of H the order of the row says."""
    last = first.size - 1
    for i in range(h.size):
        if h[i] == 0.0 and g[i] == 0.0:
            continue
        xs, js = row(rows, i)
        for a in range(xs.size):
            x = np.float64(xs[a])
            first[js[a]] += g[i] * x
            H[last, js[a]] += h[i] * x
            for b in range(a + 1):
                H[js[a], js[b]] += h[i] * x * xs[b]
        first[last] += g[i]
        H[last, last] += h[i]


def _of_chunks(rows: Rows, h: Array, g: Array, fit_intercept: bool) -> tuple[Array, Array]:
    size = n_features(rows) + 1
    H, first = np.zeros((size, size)), np.zeros(size)
    for start in range(0, len(h), CHUNK):
        stop = min(start + CHUNK, len(h))
        used = (h[start:stop] != 0.0) | (g[start:stop] != 0.0)
        Z = dense_chunk(rows, start, stop, used, fit_intercept)
        H += Z.T @ (h[start:stop][used, None] * Z)
        first += Z.T @ g[start:stop][used]
    return H, first


def dense_chunk(rows: Rows, start: int, stop: int, mask: Array, fit_intercept: bool) -> Array:
    """(x, 1) of the rows start … stop − 1 where mask holds, dense, float64."""
    Z = np.zeros((int(mask.sum()), n_features(rows) + 1))
    spread(take_rows(rows, start, stop), mask, Z)
    Z[:, -1] = 1.0 if fit_intercept else 0.0
    return Z


@kernel
def spread(rows: Any, mask: Array, Z: Array) -> None:
    at = 0
    for i in range(mask.size):
        if mask[i]:
            axpy(1.0, row(rows, i), Z[at, :-1])
            at += 1
