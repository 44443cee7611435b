"""Gradients of several workers into one: sums in the order given, and what makes them unfit."""

from __future__ import annotations

from typing import Any

from widemargin._jit import lean_kernel
from widemargin.data.rows import Array
from widemargin.ps.optimizer_kernels import unruly


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
def merged_more(
    place: Array, at: Array, g: Array, c: Any, seen: Array, total: Array, count: int
) -> int:
    """Add c g[i] to the total of row at[i]; returns how many rows were met by now.

    place[j] − 1 is where row j has its total; 0 says that it was not met, and then it gets the
    next place. Costs O(nonzeros), whatever the number of gradients before.
    """
    for i in range(at.size):
        j = at[i]
        fresh = place[j] == 0
        if fresh:
            seen[count] = j
            count += 1
            place[j] = count
        for k in range(total.shape[1]):
            if fresh:
                total[place[j] - 1, k] = c * g[i, k]
            else:
                total[place[j] - 1, k] += c * g[i, k]
    return count


@lean_kernel
def all_finite(g: Array) -> bool:
    """Whether no entry is NaN or infinite."""
    bad = 0
    for j in range(g.size):
        bad += unruly(g[j])
    return bad == 0
