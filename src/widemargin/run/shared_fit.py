"""A linear model fitted by an engine: a job for a store, its run followed, its weights read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from widemargin.data.rows import Array
from widemargin.data.store import open_store
from widemargin.losses import Loss
from widemargin.penalties import NoPenalty
from widemargin.ps.job import Job
from widemargin.ps.messages import Event
from widemargin.ps.policy import Policy, Sync
from widemargin.run.evaluation import Evaluation
from widemargin.run.fit import Fitted, Progress, Row, history_row
from widemargin.run.shared_eta0 import shared_eta0
from widemargin.run.shared_linear import (
    LinearJob,
    intercept_rate,
    rows_between,
    stepping,
    stored,
)
from widemargin.schedules import Optimal, Schedule
from widemargin.solvers.shared_minibatch import batch_of

LARGEST_BLOCK = 4096  # samples: a step costs milliseconds, so that its gradient may cost one
FEWEST_BLOCKS = 64  # of an epoch, so that there are steps enough
MANY = 0.6  # of all keys: who touches more pulls and pushes all of them, in fewer bytes
EPOCHS = 5  # where the user names none: a few hundred steps on a large corpus
POLL_S = 0.1
RECENT = 0.1  # of all commits: what the decayed average looks back on


class Outcome(Protocol):
    """What a run made."""

    @property
    def parameters(self) -> Array: ...

    @property
    def average(self) -> Array: ...

    @property
    def version(self) -> int: ...


class Run(Protocol):
    """A run under way; leaving a `with` block ends it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: Any) -> None: ...

    def wait(self, timeout: float | None = None) -> bool: ...

    def events(self) -> list[Event]: ...

    def newest(self) -> Any: ...

    def result(self) -> Any: ...


class Engine(Protocol):
    """Where a job is run: a `Cluster`, or `Serial`, in this process."""

    @property
    def policy(self) -> Policy: ...

    @property
    def workers(self) -> int: ...

    def start(self, job: Job, epochs: int, *, seed: int = 0, shuffle: bool = True) -> Any: ...


class Learned(NamedTuple):
    """The end of a run."""

    W: Array  # (d,) or (d, K)
    b: Array  # (K,)
    version: int  # commits
    history: list[Row]


def block_size_of(n: int) -> int:
    """Samples a block where the user names none."""
    return max(1, min(LARGEST_BLOCK, n // FEWEST_BLOCKS))


def job_of(
    folder: str,
    loss: Loss,
    lam: float,
    *,
    schedule: Schedule | None = None,
    class_weight: Array | None = None,
    weights: str | None = None,
    fit_intercept: bool = True,
    block_size: int | None = None,
    penalty: Any = None,
    seed: int = 0,
) -> LinearJob:
    """The job of a store. Without a schedule, ηₜ = η₀ / (1 + λ η₀ t) with η₀ found by trial."""
    store = open_store(folder)
    n = len(store.codes)
    job = LinearJob(
        folder,
        n,
        store.rows.n_features,
        len(store.label_names),
        weights,
        None if class_weight is None else tuple(map(float, class_weight)),
        loss,
        0.0 if isinstance(penalty, NoPenalty) else lam,
        Optimal(1.0, lam) if schedule is None else schedule,
        fit_intercept=fit_intercept,
        block_size=block_size_of(n) if block_size is None else block_size,
        dtype=str(store.rows.values.dtype),
        digest=str(store.meta.get("digest")),
    )
    job = job._replace(sparse=touches_few(job))
    longest = intercept_rate(loss, mean_weight(job))
    eta0 = shared_eta0(job, longest, seed) if schedule is None else schedule.eta0
    return stepping(job, eta0, longest)


def mean_weight(job: LinearJob) -> float:
    """What a sample of the heavier side weighs in the mean."""
    samples = stored(job)
    return float(np.mean(samples.weight)) * float(samples.factor.max())


def touches_few(job: LinearJob) -> bool:
    """Whether naming the keys that the first block touches costs fewer bytes than all of them."""
    first = rows_between(stored(job), 0, min(job.block_size, job.n_samples))
    keys = batch_of(first).keys
    return keys is not None and len(keys) <= MANY * job.n_features


def averaging(job: LinearJob, epochs: int, engine: Engine) -> LinearJob:
    """The job with a decayed average over about the last tenth of its commits.

    Under `Sync` as many gradients make a commit as the engine has workers.
    """
    synchronous = isinstance(engine.policy, Sync)
    commits = max(1, epochs * job.n_blocks // (engine.workers if synchronous else 1))
    return job._replace(decay=max(0.0, 1.0 - 1.0 / max(1.0, RECENT * commits)))


def follow(
    engine: Engine,
    job: LinearJob,
    epochs: int,
    *,
    seed: int,
    shuffle: bool = True,
    progress: Progress | None = None,
) -> Learned:
    """Run the job; a row of history for each epoch, told to `progress` when it has ended.

    Objective and gap of a row are NaN: in between, nobody sees all samples.
    """
    began, rows = time.perf_counter(), dict[int, Row]()
    offset, seen = float("inf"), 0
    with engine.start(job, epochs, seed=seed, shuffle=shuffle) as run:
        done = False
        while not done:
            done = run.wait(POLL_S)
            events = run.events()
            if len(events) > seen:
                offset = min(offset, time.perf_counter() - began - events[-1].time)
            for event in events[seen:]:
                if event.kind == "epoch":
                    epoch = int(event.what["epoch"]) + 1
                    rows[epoch] = history_row(epoch, max(0.0, event.time + offset), None)
                    if progress is not None:
                        progress(rows[epoch])
            seen = len(events)
        made = run.result()
    theta = np.asarray(made.parameters if job.decay is None else made.average)
    W, b = weights_of(job, theta)
    return Learned(W, b, made.version, [rows[epoch] for epoch in sorted(rows)])


def weights_of(job: LinearJob, theta: Array) -> tuple[Array, Array]:
    """W and b, float64, from θ."""
    d = job.n_features
    W = theta[:d].astype(np.float64)
    b = theta[d].astype(np.float64) if job.fit_intercept else np.zeros(theta.shape[1])
    return (W[:, 0].copy() if W.shape[1] == 1 else W), b


def certified_end(
    learned: Learned, look: Callable[[Array, Array], Evaluation], tol: float | None = None
) -> Fitted:
    """The certificate, by one look at all samples, in the last row of the history."""
    seen, rows = look(learned.W, learned.b), learned.history
    last = rows[-1]
    row = history_row(int(last["epoch"]), last["seconds"], seen.certificate)
    solved = tol is None or seen.certificate.relative_gap <= tol
    return Fitted(
        learned.W,
        learned.b,
        seen.certificate,
        [*rows[:-1], row],
        int(last["epoch"]),
        solved,
        seen.scores,
        seen.errors,
    )
