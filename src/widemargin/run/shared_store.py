"""A packed store fitted by an engine, and certified here in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from widemargin.data.blocks import Blocks
from widemargin.data.rows import Array
from widemargin.data.samples import n_columns
from widemargin.data.windows import row_array
from widemargin.objective import Objective, lam_of
from widemargin.run.blocked import evaluate_blocks
from widemargin.run.blocked_dual import BlockedDual
from widemargin.run.fit import Fitted, Progress
from widemargin.run.shared_dual_fit import dual_job, fit_dual_on, in_blocks
from widemargin.run.shared_fit import EPOCHS, certified_end, follow, job_of
from widemargin.run.solve import SOLVERS
from widemargin.solvers.dual_replicas import worthwhile
from widemargin.threads import crew_of


class How(NamedTuple):
    """How many steps, of how many samples."""

    epochs: int | None = None
    tol: float | None = None
    block_size: int | None = None
    class_weight: Array | None = None
    seed: int = 0
    threads: int = 1


def fit_shared(
    engine: Any,
    objective: Objective,
    blocks: Blocks,
    how: How,
    *,
    mapped: bool,
    progress: Progress | None = None,
) -> tuple[Fitted, dict[str, Any]]:
    """Minimise over the store of the blocks; also what is told of the run: eta0, block_size,
    commits."""
    epochs = EPOCHS if how.epochs is None else how.epochs
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1.")
    job = job_of(
        blocks.source,
        objective.loss,
        lam_of(objective, blocks.n),
        class_weight=how.class_weight,
        fit_intercept=objective.fit_intercept,
        block_size=how.block_size,
        penalty=objective.penalty,
        seed=how.seed,
    )
    learned = follow(engine, job, epochs, seed=how.seed, progress=progress)
    alpha = row_array(blocks.n, n_columns(blocks.samples), mapped=mapped)

    def look(W: Array, b: Array) -> Any:
        return evaluate_blocks(objective, blocks, W, b, alpha, how.threads)

    told = {
        "eta0": job.schedule.eta0,
        "block_size": job.block_size,
        "commits": learned.version,
    }
    return certified_end(learned, look, how.tol), told


def fit_dual_shared(
    engine: Any,
    objective: Objective,
    blocks: Blocks,
    how: How,
    *,
    mapped: bool,
    progress: Progress | None = None,
) -> tuple[Fitted, dict[str, Any]]:
    """Climb the dual over the store of the blocks; also what is told: block_size, commits."""
    kind = SOLVERS["dual"]
    job = dual_job(
        blocks.source,
        objective,
        engine,
        class_weight=how.class_weight,
        block_size=how.block_size,
        seed=how.seed,
    )
    alpha, scores = (row_array(blocks.n, job.width, mapped=mapped) for _ in range(2))
    with crew_of(worthwhile(blocks.samples, how.threads)) as crew:
        dual = BlockedDual(objective, blocks, alpha, scores, crew=crew)
        tol = kind.tol if how.tol is None else how.tol
        fitted, commits = fit_dual_on(
            engine,
            job,
            in_blocks(dual, tol or 0.0),
            tol=tol or 0.0,
            max_epochs=kind.epochs if how.epochs is None else how.epochs,
            seed=how.seed,
            progress=progress,
        )
        fitted = fitted._replace(errors=dual.errors(fitted.b))
    return fitted, {"block_size": -(-job.n_samples // job.blocks), "commits": commits}


FITS: dict[str, Callable[..., tuple[Fitted, dict[str, Any]]]] = {
    "minibatch": fit_shared,
    "dual": fit_dual_shared,
}  # by the solver whose steps an engine takes
