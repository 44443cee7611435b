"""Gradients of several workers into one: sums in the order given, and what makes them unfit."""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.rows import Array
from widemargin.ps.optimizer_kernels import unruly

LAST = np.iinfo(np.int64).max  # no position


@lean_kernel
def weighted_pair(total: Array, g: Array, c: Any, h: Array, d: Any) -> None:
    """total ← c g + d h."""
    for j in range(total.size):
        total[j] = c * g[j] + d * h[j]


@lean_kernel
def weighted_more(total: Array, g: Array, c: Any) -> None:
    """total ← total + c g."""
    for j in range(total.size):
        total[j] += c * g[j]


@lean_kernel
def weighted_more_at(total: Array, at: Array, g: Array, c: Any) -> None:
    """Row at[i] of total ← itself + c g[i]."""
    for i in range(at.size):
        for k in range(total.shape[1]):
            total[at[i], k] += c * g[i, k]


@lean_kernel
def merged(
    at: Array, g: Array, shares: Array, heads: Array, ends: Array, seen: Array, total: Array
) -> int:
    """seen ← the keys of k gradients in order, total ← the sums of their rows; returns how many.

    Gradient i is the rows heads[i] … ends[i] − 1 of `at` and g, sorted by key; the heads move to
    the ends. A distinct key costs k comparisons in cache and its rows, each read once in order.
    """
    count, low = 0, LAST
    for i in range(heads.size):
        low = min(low, at[heads[i]]) if heads[i] < ends[i] else low
    while low < LAST:
        after, fresh = LAST, True
        for i in range(heads.size):
            h = heads[i]
            if h < ends[i] and at[h] == low:
                for k in range(total.shape[1]):
                    term = shares[i] * g[h, k]
                    total[count, k] = term if fresh else total[count, k] + term
                fresh = False
                h += 1
                heads[i] = h
            if h < ends[i]:
                after = min(after, at[h])
        seen[count] = low
        low, count = after, count + 1
    return count


@lean_kernel
def all_finite(g: Array) -> bool:
    """Whether no entry is NaN or infinite."""
    bad = 0
    for j in range(g.size):
        bad += unruly(g[j])
    return bad == 0
