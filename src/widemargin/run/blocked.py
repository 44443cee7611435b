"""Epochs of primal solvers over the blocks of a store, whatever its size.

An epoch visits the blocks in random order, and in a block the rows as `serial` does. A solver
sees one block at a time as if it were all there is, so λ, which is 1 / (C n) of all n rows, is
told to it, and what it counts over an epoch is added up here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from widemargin.data.blocks import Block, Blocks, through, visit
from widemargin.data.rows import Array, block_order
from widemargin.errors import Diverged
from widemargin.objective import Objective, loss_sums
from widemargin.run.evaluation import (
    Evaluation,
    added,
    conjugates_of,
    empty_sums,
    look,
    plain,
    proof,
)
from widemargin.run.serial import LARGEST_BLOCK
from widemargin.scores import codes_of

STRETCHES = 64  # at least, that a block is shuffled in; memory order within them
COUNTED = ("loss_sum", "mistakes")  # what a state counts from 0 in every epoch


def rows_of(block: Block, rng: np.random.Generator) -> Array:
    """The rows of a block in the order of an epoch."""
    n = block.stop - block.start
    return block_order(n, min(LARGEST_BLOCK, n // STRETCHES), rng)


def blocked(
    solver: Any, objective: Objective, blocks: Blocks, rng: np.random.Generator
) -> Iterator[Any]:
    """Yield the state after each epoch."""
    state, epoch = solver.init(objective, blocks.samples), 0
    while True:
        epoch += 1
        try:
            state = _epoch(solver, objective, blocks, rng, state)
        except Diverged:
            raise Diverged(
                f"Floating-point under-/overflow occurred at epoch #{epoch}. Lower eta0 or C. "
                "Scaling the features before packing might help."
            ) from None
        yield state


def _epoch(
    solver: Any, objective: Objective, blocks: Blocks, rng: np.random.Generator, state: Any
) -> Any:
    counted = [name for name in COUNTED if name in state._fields]
    sums = {name: np.zeros_like(getattr(state, name)) for name in counted}
    for block in visit(blocks, rng.permutation(blocks.many)):
        state = solver.epoch(objective, block.samples, rows_of(block, rng), state)
        for name in counted:
            sums[name] += getattr(state, name)
    return state._replace(**sums)


def blocked_batch(solver: Any, objective: Objective, blocks: Blocks) -> Iterator[Any]:
    """Yield the state after each step of batch gradient descent; a pass adds up over blocks."""
    order = range(blocks.many)

    def gradient(W: Array, b: Array, G: Array, h: Array) -> Array:
        from widemargin.solvers.batch import batch_gradient

        sums, G_more, h_more = np.zeros_like(b), np.empty_like(G), np.empty_like(h)
        G[:], h[:] = 0.0, 0.0
        for block in visit(blocks, order):
            loss, C = objective.loss, objective.C
            sums += batch_gradient(loss, C, block.samples, W, b, G_more, h_more)
            G += G_more
            h += h_more
        return sums

    def losses(W: Array, b: Array) -> Array:
        seen = [loss_sums(objective.loss, block.samples, W, b) for block in visit(blocks, order)]
        return np.asarray(np.sum(seen, axis=0))

    state = solver.init(objective, blocks.samples)
    while True:
        state = solver.descend(objective, gradient, losses, state)
        yield state


def evaluate_blocks(
    objective: Objective, blocks: Blocks, W: Array, b: Array, alpha: Array, threads: int
) -> Evaluation:
    """`evaluation.evaluate` over blocks; α (n, K) is room."""
    W, b = plain(W, b)
    sums, errors = empty_sums(W, b, int(np.diff(blocks.entries).max())), 0
    for block in visit(blocks, range(blocks.many), beside=[alpha]):
        p = np.empty((block.stop - block.start, b.size))
        look(objective, block.samples, (W, b), p, alpha[block.start : block.stop], sums, threads)
        errors += int(np.count_nonzero(codes_of(p) != block.samples.codes))

    def conjugates(scale: Array, t: Array) -> Array:
        found = [
            conjugates_of(objective, block.samples, alpha[block.start : block.stop], scale, t, 1)
            for block in through(blocks, beside=[alpha])
        ]
        return np.asarray(np.sum(found, axis=0))

    return Evaluation(None, proof(objective, W, added(sums), conjugates), errors)
