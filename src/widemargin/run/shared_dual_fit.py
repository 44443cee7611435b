"""A linear model fitted through its dual by an engine, until its duality gap is proved small.

At the end of each epoch the run has a snapshot: w and α of one version. This process takes it, sums
w anew from α, makes δ = 0 and certifies the whole, as the solver of one machine does, while the
workers go on; where an epoch is over before the last one is certified, the newest counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.blocks import through
from widemargin.data.rows import Array
from widemargin.data.samples import Samples, take_samples
from widemargin.data.store import open_store
from widemargin.objective import Certificate, Objective, certificate_of
from widemargin.ps.compression import codec_of
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.run.blocked_dual import BlockedDual
from widemargin.run.fit import Fitted, Progress, Row, history_row
from widemargin.run.shared_dual import DualJob
from widemargin.run.shared_fit import POLL_S, Engine
from widemargin.run.shared_linear import stored
from widemargin.solvers.dual import RHO, DualCoordinateDescent, DualState, mean_squared_norm
from widemargin.solvers.dual_passes import combine
from widemargin.solvers.shared_dual import SUMS, at_bounds
from widemargin.threads import Crew

ROUNDS = 4  # of an epoch, at least: blocks for each worker
LARGEST = 4_000_000  # entries of a block, about
STRETCH = 512  # rows; fewer where a block would have less than FEWEST of them
FEWEST = 64
FIRST_ROWS = 1000  # that tell the mean ‖x‖²

Proof = tuple[DualState, Array, Array]  # primal and dual of each column, (K,)
Prove = Callable[[DualState], Proof]


class Seen(NamedTuple):
    """A certified epoch."""

    state: DualState
    certificate: Certificate
    solved: bool
    epoch: int
    version: int  # commits
    history: list[Row]


def dual_job(
    folder: str,
    objective: Objective,
    engine: Any,
    *,
    weights: str | None = None,
    class_weight: Array | None = None,
    block_size: int | None = None,
    seed: int = 0,
) -> DualJob:
    """The job of a store; `block_size` rows a block, None: ROUNDS blocks for each worker."""
    refuse_compression(engine)
    store = open_store(folder)
    n, workers = len(store.codes), int(getattr(engine, "workers", 1))
    rounds = max(ROUNDS, -(-len(store.rows.values) // (LARGEST * workers)))
    blocks = rounds * workers if block_size is None else -(-n // block_size)
    blocks = max(1, min(blocks, n))
    job = DualJob(
        folder,
        n,
        store.rows.n_features,
        len(store.label_names),
        weights,
        None if class_weight is None else tuple(map(float, class_weight)),
        objective.loss,
        objective.C,
        objective.fit_intercept,
        adding=added_by(engine),
        blocks=blocks,
        stretch=max(1, min(STRETCH, n // (FEWEST * blocks))),
        seed=seed,
        digest=str(store.meta.get("digest")),
    )
    few = take_samples(stored(job), 0, min(n, FIRST_ROWS))
    return job._replace(rho=RHO * mean_squared_norm(few) if objective.fit_intercept else 0.0)


def refuse_compression(engine: Any) -> None:
    """w and α are changed by one step: rounded apart, w is no longer the sum of its α."""
    compression = getattr(engine, "compression", None)
    if codec_of(compression) is not None:
        raise ValueError(
            f"compression={compression!r} does not go with the dual solver, which must keep "
            "w = Σ αᵢyᵢxᵢ: rounded apart, the two no longer agree and the fit does not converge. "
            "Leave compression out, or take a primal solver."
        )


def added_by(engine: Any) -> float:
    """σ′ of an engine: as many updates may be added before the next one is seen.

    Sync adds one of each worker but the backups. Else an update that is late by S commits meets as
    many that it has not seen, and P − 1 at most that have not seen it, P the workers. As each pair
    costs Δwₖ·Δwⱼ ≤ ½(‖Δwₖ‖² + ‖Δwⱼ‖²) of what both were sure of, σ′ = 1 + S + (P − 1) suffices:
    the dual after any number of commits is no less than the sum of what they were sure of.
    """
    policy, workers = getattr(engine, "policy", Sync()), int(getattr(engine, "workers", 1))
    most = max(workers, getattr(engine, "max_workers", None) or 0)
    if most == 1:
        return 1.0
    match policy:
        case Async(max_staleness=None):
            raise ValueError(
                "max_staleness=None of Async does not go with the dual solver, whose steps must "
                "know by how many commits they may be late. Give Async(max_staleness=S), or "
                "Sync()."
            )
        case Async(max_staleness=late):
            return float(most + (late or 0))
        case RoundRobin():
            return float(2 * most - 1)
        case Sync(backup=int(backup)):
            return float(max(1, most - backup))
    return float(most)


def fit_dual_on(
    engine: Engine,
    job: DualJob,
    prove: Prove,
    *,
    tol: float,
    max_epochs: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Fitted, int]:
    """Until every column is within tol, or max_epochs are done; also how many commits."""
    if max_epochs < 1:
        raise ValueError(f"epochs={max_epochs} must be at least 1.")
    seen, ends, told, done = None, dict[int, int](), 0, False
    began = time.perf_counter()
    with engine.start(job, max_epochs, seed=seed) as run:
        while not done and (seen is None or not seen.solved):
            done = run.wait(POLL_S)
            fresh = run.events()[told:]
            told += len(fresh)
            ended = [e.what for e in fresh if e.kind == "epoch"]
            ends |= {what["version"]: int(what["epoch"]) + 1 for what in ended}
            if not any(event.kind in ("epoch", "snapshot", "done") for event in fresh):
                continue
            made = run.result() if done else run.newest()
            epoch = 0 if made is None else ends.get(made.version, 0)
            if epoch > (0 if seen is None else seen.epoch):
                state = state_of(job, np.asarray(made.parameters), epoch)
                seen = look(prove(state), seen, epoch, made.version, began, progress)
    assert seen is not None, "a run that ended well has a last epoch"
    W, b = seen.state.W, seen.state.b
    fitted = Fitted(W, b, seen.certificate, seen.history, seen.epoch, seen.solved)
    return fitted, seen.version


def look(
    proof: Proof,
    before: Seen | None,
    epoch: int,
    version: int,
    began: float,
    progress: Progress | None,
) -> Seen:
    """What a certificate says; a row of history for it, and for the epochs passed over."""
    state, upper, lower = proof
    certificate = certificate_of(float(upper.sum()), float(lower.sum()))
    history = [] if before is None else before.history
    seconds = time.perf_counter() - began
    passed = range(1 if before is None else before.epoch + 1, epoch)
    rows = [history_row(k, seconds, None) for k in passed]
    rows.append(history_row(epoch, seconds, certificate))
    for row in rows if progress is not None else ():
        progress(row)  # type: ignore[misc]
    solved = not state.live.any()
    return Seen(state, certificate, solved, epoch, version, [*history, *rows])


def state_of(job: DualJob, theta: Array, epoch: int) -> DualState:
    """θ at the end of an epoch, as the solver of one machine keeps it."""
    d, K, n = job.n_features, theta.shape[1], job.n_samples
    delta, beta = theta[d].copy(), theta[d + 1]
    return DualState(
        W=theta[:d, 0].copy() if K == 1 else theta[:d].copy(),
        b=beta + job.rho * delta,
        alpha=theta[d + SUMS :],
        delta=delta,
        keep=np.ones(n, np.bool_),
        live=np.ones(K, np.bool_),
        rho=job.rho,
        scale=1.0,
        slack=math.inf,
        gain=math.inf,
        floor=np.zeros(K),
        epochs=epoch,
        visited=epoch * n,
    )


def in_memory(objective: Objective, samples: Samples, tol: float, crew: Crew) -> Prove:
    """Certificates over samples that this process holds, in the order of the store."""
    solver = DualCoordinateDescent(crew=crew)
    first = solver.init(objective, samples)

    def prove(state: DualState) -> Proof:
        alpha = at_bounds(objective, samples, state.alpha)
        combine(crew, samples, alpha, state.W)
        return solver.certify(
            objective, samples, tol, state._replace(alpha=alpha, floor=first.floor)
        )

    return prove


def in_blocks(dual: BlockedDual, tol: float) -> Prove:
    """Certificates block by block, over a store of any size; no sample weights."""
    floor = dual.init().floor

    def prove(state: DualState) -> Proof:
        for block in through(dual.blocks, beside=[dual.alpha]):
            own = slice(block.start, block.stop)
            dual.alpha[own] = at_bounds(dual.objective, block.samples, state.alpha[own])
        state = state._replace(alpha=dual.alpha, floor=floor)
        dual.combine(state)
        return dual.certify(tol, state)

    return prove
