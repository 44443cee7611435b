"""Solvers by name over the blocks of a store: what `solve.fit` is to samples in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from widemargin.data.blocks import Blocks, visit
from widemargin.data.rows import Array
from widemargin.data.samples import n_columns
from widemargin.data.windows import row_array
from widemargin.objective import Objective, lam_of
from widemargin.run.blocked import blocked, blocked_batch, evaluate_blocks
from widemargin.run.blocked_dual import BlockedDual, First
from widemargin.run.certified import certified_along
from widemargin.run.fit import Fitted, Progress, followed
from widemargin.run.online import online_along
from widemargin.run.solve import SOLVERS, Plan, first_averaged, separated
from widemargin.solvers import dual_replicas as replicas
from widemargin.solvers.dual_replicas import worthwhile
from widemargin.threads import Crew, crew_of

STEPPING = ("sgd", "asgd", "minibatch")  # their steps know λ


def fit_blocks(
    name: str,
    objective: Objective,
    blocks: Blocks,
    *,
    rng: np.random.Generator,
    plan: Plan,
    mapped: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the objective over all blocks; `mapped` keeps what each row needs in a file."""
    kind, K = SOLVERS[name], n_columns(blocks.samples)
    epochs = kind.epochs if plan.epochs is None else plan.epochs
    tol = kind.tol if plan.tol is None else plan.tol
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1.")
    alpha = row_array(blocks.n, K, mapped=mapped)
    if kind.make is None:
        scores = row_array(blocks.n, K, mapped=mapped)
        with crew_of(worthwhile(blocks.samples, plan.threads)) as crew:
            dual = dual_on(crew, objective, blocks, alpha, scores)
            return fit_dual_blocks(dual, rng, tol or 0.0, epochs, progress)
    return online_along(
        objective,
        _states(name, objective, blocks, rng, plan),
        lambda W, b: evaluate_blocks(objective, blocks, W, b, alpha, plan.threads),
        epochs=epochs,
        tol=tol,
        settled=separated if name == "perceptron" else None,
        progress=progress,
    )


def dual_on(
    crew: Crew, objective: Objective, blocks: Blocks, alpha: Array, scores: Array
) -> BlockedDual:
    """The dual solver over blocks; on a crew of several, each block is walked by all of them."""
    if crew.pool is None:
        return BlockedDual(objective, blocks, alpha, scores)
    first = First(replicas.CHUNKS, replicas.FIRST_CHUNK, replicas.FIRST_WALKS)
    solver = replicas.ReplicatedDual(crew)
    return BlockedDual(objective, blocks, alpha, scores, solver, first, crew)


def fit_dual_blocks(
    dual: BlockedDual, rng: np.random.Generator, tol: float, epochs: int, progress: Progress | None
) -> Fitted:
    """A `BlockedDual` until the relative duality gap of every column is at most tol."""
    steps = certified_along(
        dual.states(rng), lambda state: dual.certify(tol, state), tol=tol, max_epochs=epochs
    )
    fitted = followed(steps, progress)
    return fitted._replace(errors=dual.errors(fitted.b))


def _states(
    name: str, objective: Objective, blocks: Blocks, rng: np.random.Generator, plan: Plan
) -> Iterator[Any]:
    """The states of a primal solver, made ready by trials on one block."""
    for block in visit(blocks, rng.permutation(blocks.many)[:1]):
        # the C that gives the rows of the block alone the λ of all
        small = objective._replace(C=objective.C * blocks.n / (block.stop - block.start))
        make: Any = SOLVERS[name].make
        solver = make(small, block.samples, rng, plan)
    if name == "batch":
        return blocked_batch(solver, objective, blocks)
    if name in STEPPING:
        solver = replace(solver, lam=lam_of(objective, blocks.n))
    if name == "asgd":
        solver = replace(solver, average_from=first_averaged(blocks.n, plan))
    return blocked(solver, objective, blocks, rng)
