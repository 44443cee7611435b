"""Dual coordinate descent on several threads, each with a replica of the weights.

An epoch is cut into rounds. In a round each of T threads walks a bucket of consecutive rows and
sees its own steps only, T times over:

    wₜ = w + T Δwₜ,     bₜ = b + T ρ Δδₜ,     Δwₜ = Σ Δαᵢ yᵢ xᵢ over its own bucket

Then the steps of all are added, w ← w + Σ Δwₜ. As ‖Σ Δwₜ‖² ≤ T Σ ‖Δwₜ‖², what a thread takes for
the rise of the dual is no more than its share of the true one, so the dual rises in every round,
whatever the rows have in common. The buckets are dealt anew with the order of each epoch.

In the first epoch, where w leans on the rows seen so far, T is also the right guess: the rows
of the other threads do to w, on average, what a thread's own rows do.

A thread's replica is wₜ / T = w / T + Δwₜ: `dual_epoch` walks it as it is, with the scale T times
as large, and the sum of the replicas is the new w. Which thread walks which bucket changes
nothing: for a seed and a T the bits are the same.

Ioannou, Mendler-Dünner & Parnell, SySCD: a system-aware parallel coordinate descent algorithm,
2019 (buckets, replicas, dealing anew); Ma et al., Adding vs. averaging in distributed primal-dual
optimization, 2015 (adding, with σ′ = T).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from widemargin.data.rows import Array, n_features, n_nonzeros
from widemargin.data.samples import Samples, n_columns
from widemargin.objective import Objective
from widemargin.solvers.dual import (
    FEW_ROWS,
    PARTS,
    SLACKS,
    DualCoordinateDescent,
    DualState,
    after_first_epoch,
)
from widemargin.solvers.dual_kernels import dual_epoch
from widemargin.threads import Crew

CHUNKS = 15  # of the first epoch
FIRST_CHUNK = 0.05  # as a share of the rows
FIRST_WALKS = 2  # over the first chunk
WORTH_A_THREAD = 4_000_000  # entries times columns: with fewer, steps a thread sees late cost more
PER_WEIGHT = 64  # entries to a weight and thread, below which adding replicas costs too much
LARGE = 500_000  # weights of all replicas, from which they are added by threads
LINE = 16  # numbers between what two threads write, so that they share no line of the cache


@dataclass(frozen=True)
class ReplicatedDual:
    """`DualCoordinateDescent` with steps on all threads of a crew of two or more."""

    crew: Crew
    shrink: bool = True
    fewest: float = 2.0 * WORTH_A_THREAD  # work of an epoch, below which one thread takes its steps

    def init(self, objective: Objective, samples: Samples) -> DualState:
        return self._alone().init(objective, samples)

    def epoch(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        if np.isinf(state.gain) and len(order) >= FEW_ROWS:
            return self._first_epoch(objective, samples, order, state)
        if work_of(samples, int(np.count_nonzero(state.keep))) < self.fewest:
            return self._alone().epoch(objective, samples, order, state)
        gain, visited = 0.0, state.visited
        for part in np.array_split(order, PARTS):
            state, walked = self._round(objective, samples, part, state)
            gain, visited = gain + state.gain, visited + walked
        return state._replace(gain=gain, epochs=state.epochs + 1, visited=visited)

    def certify(
        self, objective: Objective, samples: Samples, tol: float, state: DualState
    ) -> tuple[DualState, Array, Array]:
        return self._alone().certify(objective, samples, tol, state)

    def _alone(self) -> DualCoordinateDescent:
        return DualCoordinateDescent(self.shrink, self.crew)

    def _first_epoch(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        n = len(order)
        edges = np.geomspace(FIRST_CHUNK * n, n, CHUNKS).astype(np.int64)
        for _ in range(FIRST_WALKS):
            seen = state._replace(scale=n / edges[0])
            state, _walked = self._round(objective, samples, order[: edges[0]], seen)
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            seen = state._replace(scale=2.0 * n / float(start + stop))
            state, _walked = self._round(objective, samples, order[start:stop], seen)
        return after_first_epoch(self.crew, objective, samples, state)

    def _round(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> tuple[DualState, int]:
        """(the state after every thread walked its bucket, rows walked)."""
        kept = np.count_nonzero(state.keep[order])
        state = self.walk(objective, samples, order, state)
        self.settle(state)
        return state, int(kept)

    def settle(self, state: DualState) -> None:
        self._alone().settle(state)

    def walk(
        self, objective: Objective, samples: Samples, order: Array, state: DualState
    ) -> DualState:
        """Each thread walks a bucket of the rows in `order` that are not left out, the multiplier
        held."""
        T = self.crew.threads
        replicas = np.empty((T, state.W.size))
        room = np.empty((T, 4, max(LINE, state.b.size)))

        def walk(t: int, bucket: Array) -> tuple[float, float]:
            V = np.divide(state.W, T, out=replicas[t].reshape(state.W.shape))
            b, delta, scores, moves = room[t, :, : state.b.size]
            b[:], delta[:] = state.b, state.delta
            own = state._replace(W=V, b=b, delta=delta, scale=state.scale * T)
            kept = bucket[state.keep[bucket]]
            gain, slope = dual_epoch(objective, samples, kept, own, scores, moves)
            return gain, slope

        found = self.crew.each(walk, list(enumerate(np.array_split(order, T))))
        self._add(state.W.reshape(-1), replicas)
        moved = (room[:, 1, : state.b.size] - state.delta).sum(axis=0)
        state.delta[:] += moved
        state.b[:] += state.scale * state.rho * moved  # b = β + ρ δ follows δ
        slack = SLACKS * sum(slope for _, slope in found) / T if self.shrink else np.inf
        return state._replace(gain=sum(gain for gain, _ in found), slack=slack)

    def _add(self, w: Array, replicas: Array) -> None:
        """w ← Σ (w / T + Δwₜ), by ranges of weights."""
        parts = self.crew.threads if replicas.size >= LARGE else 1
        edges = [w.size * k // parts for k in range(parts + 1)]

        def part(start: int, stop: int) -> None:
            np.add.reduce(replicas[:, start:stop], axis=0, out=w[start:stop])

        self.crew.each(part, list(zip(edges[:-1], edges[1:], strict=True)))


def worthwhile(samples: Samples, threads: int) -> int:
    """As many threads as these data are worth: large enough, and rows enough to a weight."""
    work, weights = work_of(samples, len(samples.codes)), n_features(samples.rows)
    per_weight = n_nonzeros(samples.rows) / (PER_WEIGHT * max(1, weights))
    return max(1, min(threads, int(work / WORTH_A_THREAD), int(per_weight)))


def work_of(samples: Samples, n: int) -> float:
    """Entries times columns of n rows of mean length."""
    return n_nonzeros(samples.rows) * n_columns(samples) * (n / max(1, len(samples.codes)))
