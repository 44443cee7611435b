"""Work on ranges of rows by threads; what comes out does not depend on how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
PARTS = 16  # ranges that rows are cut into, whatever the number of threads
FEWEST = 4096  # rows below which a range is not worth a task


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ranges(n: int, parts: int = PARTS) -> list[tuple[int, int]]:
    """At most `parts` consecutive ranges (start, stop) that cover 0 … n − 1."""
    parts = max(1, min(parts, n // FEWEST))
    edges = [n * k // parts for k in range(parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def each(function: Callable[[int, int], T], parts: list[tuple[int, int]], threads: int) -> list[T]:
    """function(start, stop) of every range, in order, on so many threads."""
    if threads <= 1 or len(parts) == 1:
        return [function(*part) for part in parts]
    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        return list(pool.map(lambda part: function(*part), parts))
