"""Dual coordinate descent over the blocks of a store, whatever its size.

The solver's own steps, on one block at a time: its rows, and its part of α. An epoch visits the
blocks in random order, those left out whose rows all rest at their bounds. What the solver does
at certain shares of an epoch, the steps of the multiplier and, in the first epoch, the change of
scale, falls where it falls, within a block if need be. Several walks over a block while it is in
memory, as in block minimisation (Yu, Hsieh, Chang & Lin, Large linear classification when data
cannot fit in memory, 2010), gain nothing as long as reading is hidden behind computing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.blocks import Block, Blocks, through, visit
from widemargin.data.rows import Array
from widemargin.data.samples import n_columns, take_samples, without_rows
from widemargin.objective import Objective
from widemargin.run.blocked import rows_of
from widemargin.scores import codes_of
from widemargin.solvers import dual
from widemargin.solvers.dual_kernels import give_way, side_totals
from widemargin.solvers.dual_passes import (
    combine,
    conjugate_sums,
    losses_at,
    reselect,
    scores_and_losses,
    total_shares,
)
from widemargin.solvers.intercept import all_slopes, where_level
from widemargin.threads import ALONE, Crew


class Share(NamedTuple):
    """Of an epoch: the rows start..stop-1 in the order of the visit, and a multiplier's step."""

    start: int
    stop: int
    scale: float


class First(NamedTuple):
    """How a solver goes about its first epoch."""

    chunks: int = dual.CHUNKS
    head: float = dual.FIRST_CHUNK  # the first chunk, as a share of the rows
    walks: int = dual.FIRST_WALKS  # over the head


def first_shares(n: int, head: int, first: First) -> list[Share]:
    """Of the first epoch: the head some times over, then chunks of growing size."""
    edges = np.geomspace(head, n, first.chunks).astype(np.int64).tolist()
    again = [Share(0, head, n / head)] * first.walks
    rest = zip(edges[:-1], edges[1:], strict=True)
    return again + [Share(a, e, 2.0 * n / (a + e)) for a, e in rest]


def later_shares(n: int) -> list[Share]:
    edges = [n * k // dual.PARTS for k in range(dual.PARTS + 1)]
    return [Share(a, e, 1.0) for a, e in zip(edges[:-1], edges[1:], strict=True)]


@dataclass(frozen=True)
class BlockedDual:
    """The dual solver, its data, and room for a number for each row and column twice over."""

    objective: Objective
    blocks: Blocks
    alpha: Array  # (n, K) zeros at first
    scores: Array  # (n, K)
    solver: Any = dual.DualCoordinateDescent()
    first: First = First()
    crew: Crew = ALONE

    def states(self, rng: np.random.Generator) -> Iterator[dual.DualState]:
        """Yield the state after each epoch."""
        state = self.init()
        while True:
            state = self.epoch(state, rng)
            yield state

    def init(self) -> dual.DualState:
        K, blocks = n_columns(self.blocks.samples), self.blocks
        for block in visit(blocks, [0]):
            state: dual.DualState = self.solver.init(self.objective, block.samples)
        shares = self._sum(lambda block: total_shares(self.crew, block.samples, K))
        floor = dual.NOTHING * self.objective.C * shares
        return state._replace(alpha=self.alpha, keep=np.ones(blocks.n, np.bool_), floor=floor)

    def epoch(self, state: dual.DualState, rng: np.random.Generator) -> dual.DualState:
        blocks = self.blocks
        order = rng.permutation(blocks.many)
        edges = zip(blocks.edges[order], blocks.edges[order + 1], strict=True)
        order = order[[bool(state.keep[a:e].any()) for a, e in edges]]
        sizes = np.diff(blocks.edges)[order]
        n, first = int(sizes.sum()), np.isinf(state.gain) and blocks.n >= dual.FEW_ROWS
        head = max(1, min(int(self.first.head * n), int(sizes[0]))) if first else 0
        shares = first_shares(n, head, self.first) if first else later_shares(n)
        gain, at = 0.0, 0
        for block in visit(blocks, order, beside=[state.alpha]):
            own = self._walk(block, at, shares, part_of(state, block), rng)
            gain, at = gain + own.gain, at + block.stop - block.start
            state = state._replace(slack=own.slack, visited=own.visited)
        if first:
            conjugates = self._sum(lambda block: self._conjugates(block, state))
            gain = max(float(-0.5 * (state.W * state.W).sum() - conjugates.sum()), 0.0)
        return state._replace(scale=1.0, gain=gain, epochs=state.epochs + 1)

    def _walk(
        self,
        block: Block,
        at: int,
        shares: list[Share],
        own: dual.DualState,
        rng: np.random.Generator,
    ) -> dual.DualState:
        """The block's part of an epoch, of which `at` rows are done; gain is the block's own."""
        rows, gain, visited = rows_of(block, rng), 0.0, own.visited
        for start, stop, scale in shares:
            kept = rows[max(start - at, 0) : max(stop - at, 0)]
            kept = kept[own.keep[kept]]
            own = own._replace(scale=scale)
            if len(kept):
                own = self.solver.walk(self.objective, block.samples, kept, own)
                gain, visited = gain + own.gain, visited + len(kept)
            if at < stop <= at + len(rows):
                self.solver.settle(own)
        return own._replace(gain=gain, visited=visited)

    def certify(self, tol: float, state: dual.DualState) -> tuple[dual.DualState, Array, Array]:
        """As the solver's own, but that no conjugate gradients go after the last digits."""
        if self.objective.fit_intercept:
            self._rebalance(state)
        if tol < dual.DRIFT_TOL:
            self.combine(state)
        upper, lower = self._bounds(tol, state)
        if state.live.any():
            for block in self._each():
                own, scores = part_of(state, block), self.scores[block.start : block.stop]
                reselect(self.crew, self.objective, block.samples, scores, own)
        return state, upper, lower

    def _bounds(self, tol: float, state: dual.DualState) -> tuple[Array, Array]:
        objective, b, crew = self.objective, state.b, self.crew
        losses, conjugates = np.zeros(b.size), np.zeros(b.size)
        both = [self.alpha, self.scores]
        for block in visit(self.blocks, range(self.blocks.many), beside=both):
            scores = self.scores[block.start : block.stop]
            losses += scores_and_losses(crew, objective.loss, block.samples, state.W, b, scores)
            conjugates += self._conjugates(block, state)
        norms = np.atleast_1d((state.W * state.W).sum(axis=0))
        upper, lower = 0.5 * norms + objective.C * losses, -0.5 * norms - conjugates
        if objective.fit_intercept and (upper - lower > tol * upper).any():
            b[:] = where_level(self._slopes, b, 0.01 * (upper - lower))
            upper = 0.5 * norms + objective.C * self._sum(lambda block: self._losses(block, b))
        state.live[:] = ~(upper - lower <= tol * upper + state.floor)
        return upper, lower

    def _rebalance(self, state: dual.DualState) -> None:
        """`dual_kernels.rebalance`: free α of the heavier side give way, block after block."""
        totals = self._sum(lambda block: self._sides(block, state))
        for k, (free, full) in enumerate(totals):
            delta = float((free[1] + full[1]) - (free[0] + full[0]))
            heavy, left, g = 1.0 if delta > 0.0 else -1.0, abs(delta), np.zeros(state.b.size)
            side = int(delta > 0.0)
            imbalance = heavy, float(free[side]), float(full[side]), left
            if left > 0.0:
                for block in visit(self.blocks, range(self.blocks.many), beside=[state.alpha]):
                    own = part_of(state, block)
                    left = give_way(self.objective, block.samples, own, k, imbalance, left, g)
                    if left <= 0.0:
                        break
            state.delta[k] = left * heavy

    def combine(self, state: dual.DualState) -> None:
        """W ← Σ αᵢₖ yᵢₖ xᵢ, summed anew."""
        some = np.empty_like(state.W)
        state.W[:] = 0.0
        for block in visit(self.blocks, range(self.blocks.many), beside=[state.alpha]):
            combine(self.crew, block.samples, part_of(state, block).alpha, some)
            state.W[:] += some

    def errors(self, b: Array) -> int:
        """Rows on a wrong side, by the scores of the last certificate and these intercepts."""
        return int(self._sum(lambda block: self._wrong(block, b)))

    # -- what a block adds ---------------------------------------------------------------------

    def _wrong(self, block: Block, b: Array) -> Array:
        codes = codes_of(self.scores[block.start : block.stop] + b)
        return np.asarray(np.count_nonzero(codes != block.samples.codes))

    def _conjugates(self, block: Block, state: dual.DualState) -> Array:
        alpha, loss, C = part_of(state, block).alpha, self.objective.loss, self.objective.C
        return conjugate_sums(self.crew, loss, C, block.samples, alpha)

    def _losses(self, block: Block, b: Array) -> Array:
        scores = self.scores[block.start : block.stop]
        return losses_at(self.crew, self.objective.loss, block.samples, scores, b)

    def _sides(self, block: Block, state: dual.DualState) -> Array:
        alpha = part_of(state, block).alpha

        def part(start: int, stop: int) -> Array:
            totals, some = np.zeros((state.b.size, 2, 2)), take_samples(block.samples, start, stop)
            side_totals(self.objective, without_rows(some), alpha[start:stop], totals)
            return totals

        return self.crew.added(len(alpha), part)

    def _slopes(self, at: Array) -> Array:
        def of(block: Block) -> Array:
            scores = self.scores[block.start : block.stop]
            return all_slopes(self.objective, block.samples, scores, at, self.crew)

        return self._sum(of)

    def _each(self) -> Iterator[Block]:
        return through(self.blocks, beside=[self.alpha, self.scores])

    def _sum(self, of: Callable[[Block], Array]) -> Array:
        return np.asarray(np.sum([of(block) for block in self._each()], axis=0))


def part_of(state: dual.DualState, block: Block) -> dual.DualState:
    """The state with a block's α and marks; weights and intercepts are those of all rows."""
    start, stop = block.start, block.stop
    return state._replace(alpha=state.alpha[start:stop], keep=state.keep[start:stop])
