"""Rows of a kernel matrix that are kept: the least recently used one gives way."""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.rows import Array


class RowCache:
    """As many rows of length n as fit into so many bytes; shorter rows, more of them.

    `rows` is (slots, n); sample k's row is rows[where[k]], or not held where where[k] = −1.
    """

    def __init__(self, n: int, dtype: Any, n_bytes: float, least: int) -> None:
        held = min(n, max(least, int(n_bytes // (n * np.dtype(dtype).itemsize))))
        self.flat = np.empty(held * n, dtype)
        self.n, self.clock = n, 0
        self.where = np.full(n, -1, np.int64)
        self._cut(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def _cut(self, owner: Array, stamp: Array) -> None:
        """Rows of the present length; the first of them are owned already."""
        slots = min(self.n, self.flat.size // self.n)
        self.rows = self.flat[: slots * self.n].reshape(slots, self.n)
        self.owner, self.stamp = np.full(slots, -1, np.int64), np.zeros(slots, np.int64)
        self.owner[: len(owner)], self.stamp[: len(owner)] = owner, stamp

    @property
    def slots(self) -> int:
        return len(self.owner)

    def claim(self, which: Array) -> tuple[Array, Array]:
        """(slots of the distinct samples `which`, at most `slots` of them; those to be computed).

        Raises nothing: rows asked for now are never the ones that give way.
        """
        self.clock += 1
        found = self.where[which]
        self.stamp[found[found >= 0]] = self.clock
        missing = which[found < 0]
        if len(missing):
            oldest = np.argpartition(self.stamp, len(missing) - 1)[: len(missing)]
            gone = self.owner[oldest]
            self.where[gone[gone >= 0]] = -1
            self.owner[oldest], self.stamp[oldest] = missing, self.clock
            self.where[missing] = oldest
        return self.where[which], missing

    def keep(self, samples: Array) -> None:
        """Go on with the samples of these rising numbers alone, renumbered from 0."""
        number = np.full(self.n, -1, np.int64)
        number[samples] = np.arange(len(samples))
        held = np.flatnonzero(self.owner >= 0)
        held = held[number[self.owner[held]] >= 0]
        owner, stamp, n = number[self.owner[held]], self.stamp[held], len(samples)
        for to, slot in enumerate(held):  # a row moves down or stays, so none is overwritten early
            self.flat[to * n : (to + 1) * n] = self.rows[slot].take(samples)
        self.n = n
        self.where = np.full(n, -1, np.int64)
        self.where[owner] = np.arange(len(owner))
        self._cut(owner, stamp)

    @classmethod
    def over(cls, before: RowCache, n: int) -> RowCache:
        """An empty cache for rows of length n in the memory of another."""
        cache = cls.__new__(cls)
        cache.flat, cache.n, cache.clock = before.flat, n, 0
        cache.where = np.full(n, -1, np.int64)
        cache._cut(np.zeros(0, np.int64), np.zeros(0, np.int64))
        return cache
