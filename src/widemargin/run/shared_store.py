"""A packed store fitted by an engine, and certified here in blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin.data.blocks import Blocks
from widemargin.data.rows import Array
from widemargin.data.samples import n_columns
from widemargin.data.windows import row_array
from widemargin.objective import Objective, lam_of
from widemargin.run.blocked import evaluate_blocks
from widemargin.run.fit import Fitted, Progress
from widemargin.run.shared_fit import EPOCHS, certified_end, follow, job_of


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
