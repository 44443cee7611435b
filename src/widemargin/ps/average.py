"""The decayed average of a shard's parameters, at O(nonzeros) for a commit of a few keys."""

from __future__ import annotations

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps.breath import PIECE, Breathe, copied, rest
from widemargin.ps.optimizer_kernels import averaged, leaned
from widemargin.solvers.steps import SMALLEST_SCALE

MOST = 8.0  # r v as a multiple of θ = s v, above which rounding would show


class DecayedAverage:
    """θ̄ ← α θ̄ + (1 − α) θ, of θ = s v, kept as θ̄ = c u + r v.

    A commit that changes v by δ leaves θ̄ alone if u ← u − (r / c) δ, for the keys of δ only. Then
    θ̄ moves by c ← α c, r ← α r + (1 − α) s. All is multiplied out, u ← c u + r v, c ← 1, r ← 0,
    when c < SMALLEST_SCALE, before v is, and before a commit of all keys, which then takes θ̄
    entry by entry: so without named keys u is θ̄, and the arithmetic is as the rule above states.
    And when r > MOST s, where c u and r v nearly cancel; only a θ that shrinks faster than θ̄
    forgets, η λ > 1 − α, comes to that.
    Free keys, of θ = v, have an r of their own.
    After the averages of Xu, Towards optimal one pass large scale learning with ASGD, 2011.
    """

    def __init__(
        self, alpha: float, free: int, u: Array, parts: Array, breathe: Breathe = rest
    ) -> None:
        self._alpha, self._free, self._u, self._breathe = alpha, free, u, breathe
        self._c, self._r, self._free_r = (float(x) for x in parts)

    def read(self, v: Array) -> Array:
        """A copy of θ̄."""
        u = copied(self._u, self._breathe)
        if self._c != 1.0 or self._free_r:
            self._sum_into(u, v)
        return u

    def arrays(self) -> dict[str, Array]:
        """u, and c, r, r of the free keys."""
        return {"average": self._u, "average_parts": np.array([self._c, self._r, self._free_r])}

    def leave(self, v: Array, at: Array, sign: float) -> None:
        """u ← u ± (r / c) v at some keys: + before v changes there and − after keep θ̄."""
        number = v.dtype.type
        r, free_r = (number(sign * x / self._c) for x in (self._r, self._free_r))
        leaned(self._u, v, at, self._free, r, free_r)

    def multiply_out(self, v: Array) -> None:
        """u ← θ̄."""
        if self._c != 1.0 or self._free_r:
            self._sum_into(self._u, v)
            self._c, self._r, self._free_r = 1.0, 0.0, 0.0

    def take(self, v: Array, s: float) -> None:
        """θ̄ ← α θ̄ + (1 − α) θ, entry by entry; multiplied out before."""
        rest = 1.0 - self._alpha
        self._each(self._u, v, self._alpha, [(rest, s), (rest, 1.0)])

    def take_lazily(self, v: Array, s: float) -> None:
        """The same at O(1)."""
        rest = 1.0 - self._alpha
        self._c *= self._alpha
        self._r = self._alpha * self._r + rest * s
        self._free_r = self._alpha * self._free_r + rest
        if self._c < SMALLEST_SCALE or self._r > MOST * s:
            self.multiply_out(v)

    def _sum_into(self, u: Array, v: Array) -> None:
        self._each(u, v, self._c, [(1.0, self._r), (1.0, self._free_r)])

    def _each(self, u: Array, v: Array, keep: float, takes: list[tuple[float, float]]) -> None:
        """u ← keep u + rest (s v) for the keys that shrink and for the free ones."""
        number, free = v.dtype.type, self._free
        size = max(PIECE // max(v.shape[1], 1), 1)
        for (first, last), (share, s) in zip([(0, free), (free, len(v))], takes, strict=True):
            numbers = number(keep), number(share), number(s)
            for a in range(first, last, size):
                rows = slice(a, min(a + size, last))
                averaged(u[rows].reshape(-1), v[rows].reshape(-1), *numbers)
                self._breathe()
