"""Linear models on a parameter server: a job over the blocks of a packed store.

The parameters are θ, (d + 1, K): a key for each feature, the last one, if asked for, that of the
intercept, which is not penalised and has a rate of its own. A block is a range of consecutive
rows of the store, which `pack` shuffled; the ledger shuffles the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from widemargin.data.rows import Array, as_read_only
from widemargin.data.samples import Samples, make_samples
from widemargin.data.store import is_store, open_store
from widemargin.errors import InputError
from widemargin.losses import (
    Hinge,
    Huber,
    Loss,
    ModifiedHuber,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
)
from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.optimizers import Optimizer, Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.run.ahead import Ahead
from widemargin.schedules import Optimal, Schedule
from widemargin.solvers.shared_minibatch import Batch, batch_of, propose

KINK = 0.25  # what a loss of straight pieces, or the log loss, bends at most
BENDS: dict[type[Any], float] = {  # sup ℓ″ of the losses that bend more
    SquaredHinge: 2.0,
    ModifiedHuber: 2.0,
    SquaredError: 1.0,
    Huber: 1.0,
    SquaredEpsilonInsensitive: 2.0,
}


class LinearJob(NamedTuple):
    """One linear problem over a store that all workers can read.

        min_θ  (1/n) Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ) + (λ/2)‖w‖²

    >>> job = LinearJob("train.store", n_samples=781_265, n_features=47_153)   # doctest: +SKIP
    >>> job.n_blocks, job.n_keys                                               # doctest: +SKIP
    (191, 47154)
    """

    store: str  # the folder of a packed store
    n_samples: int
    n_features: int
    n_classes: int = 2
    weights: str | None = None  # a .npy file of sample weights, float64 of shape (n,)
    class_weight: tuple[float, ...] | None = None
    loss: Loss = Hinge()
    lam: float = 1e-4
    schedule: Schedule = Optimal(1.0, 1e-4)
    optimizer: Optimizer = Sgd()
    decay: float | None = None  # α of the average θ̄; None: none is kept
    fit_intercept: bool = True
    intercept_share: float = 1.0  # of the learning rate
    block_size: int = 4096
    dtype: str = "float32"  # of θ, on the servers and on the wire
    sparse: bool = True  # pull and push what a block touches; else all keys
    digest: str = ""  # of the store: a run goes on with the same data alone

    @property
    def rule(self) -> Rule:
        free = self.n_features if self.fit_intercept else None
        return Rule(
            self.optimizer,
            self.schedule,
            lam=self.lam,
            free_from=free,
            free_share=self.intercept_share,
            decay=self.decay,
        )

    @property
    def n_blocks(self) -> int:
        return -(-self.n_samples // self.block_size)

    @property
    def n_keys(self) -> int:
        return self.n_features + self.fit_intercept

    @property
    def width(self) -> int:
        """K: one column for two classes, else one against all."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def fingerprint(self) -> list[str]:
        """What a run that goes on must have in common with the one before, beside the rule."""
        own = (self.digest, self.loss, self.class_weight, self.block_size, self.dtype)
        return [repr(thing) for thing in own]

    def first(self, keys: Range) -> Array:
        """Zeros."""
        return np.zeros((keys.stop - keys.start, self.width), self.dtype)

    def open(self) -> LinearTask:
        return LinearTask(self, stored(self))


def intercept_rate(loss: Loss, mean_weight: float) -> float:
    """1 / sup ℓ″: the longest step along b that never overshoots, for samples of this weight."""
    return 1.0 / (BENDS.get(type(loss), KINK) * max(mean_weight, 1e-9))


def stepping(job: LinearJob, eta0: float, longest: float) -> LinearJob:
    """The job with this first rate, of which the intercept gets `longest` at most.

    Features are many and rare, so that a mean over a batch bears a rate of hundreds; the intercept
    is in every row. Steps of one sample leave it η / 100, which here is too much or too little.
    """
    share = min(1.0, longest / eta0)
    return job._replace(schedule=job.schedule._replace(eta0=eta0), intercept_share=share)


class OfStore(Protocol):
    """A job over a packed store."""

    @property
    def store(self) -> str: ...

    @property
    def n_samples(self) -> int: ...

    @property
    def n_features(self) -> int: ...

    @property
    def n_classes(self) -> int: ...

    @property
    def weights(self) -> str | None: ...

    @property
    def class_weight(self) -> tuple[float, ...] | None: ...


def stored(job: OfStore) -> Samples:
    """All samples of the job's store, mapped."""
    if not is_store(job.store):
        raise InputError(
            f"{job.store}: this machine sees no packed store there; accepted: a folder that all "
            "machines of the cluster share; pack the data there, or give Cluster a snapshot_to "
            "that all of them see."
        )
    store = open_store(job.store)
    weight = None if job.weights is None else np.load(job.weights, mmap_mode="r")
    classes = None if job.class_weight is None else np.array(job.class_weight)
    if store.rows.n_features != job.n_features or len(store.codes) != job.n_samples:
        raise ValueError(
            f"{job.store} holds {len(store.codes)} rows of {store.rows.n_features} features, not "
            f"{job.n_samples} of {job.n_features}: another store is in its place on this machine. "
            "Put the same folder on all machines."
        )
    return make_samples(store.rows, store.codes, job.n_classes, weight, classes)


class LinearTask:
    """A worker's side: reads batches, ahead in a thread of its own, and computes gradients."""

    def __init__(self, job: LinearJob, samples: Samples) -> None:
        self.job, self.samples = job, samples
        self.ahead = Ahead(self.read)

    def touch(self, block: m.Block) -> Any:
        keys = self.batch(block.number).keys
        if keys is None or not self.job.fit_intercept:
            return keys
        return np.append(keys, np.uint32(self.job.n_features))

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The mean subgradient, of the keys alone that it changes."""
        job, batch = self.job, self.batch(block.number)
        theta = parts[0] if len(parts) == 1 else np.concatenate(parts)
        g = propose(job.loss, job.schedule, batch.samples, theta, intercept=job.fit_intercept)
        n = float(len(batch.samples.codes))
        if keys is None:
            return Update(None, g, n)
        changed = np.flatnonzero(g.any(axis=1))
        return Update(keys[changed], g[changed], n)

    def prefetch(self, block: m.Block) -> None:
        self.ahead.want(block.number)

    def close(self) -> None:
        self.ahead.close()

    def batch(self, number: int) -> Batch:
        """Block `number`, read by now or now."""
        return self.ahead.get(number)

    def read(self, number: int) -> Batch:
        """The rows of a block, with their features counted anew where keys are named."""
        size = self.job.block_size
        start, stop = number * size, min(self.job.n_samples, (number + 1) * size)
        samples = rows_between(self.samples, start, stop)
        return batch_of(samples) if self.job.sparse else Batch(None, samples)


def rows_between(samples: Samples, start: int, stop: int) -> Samples:
    """Samples start..stop-1; what is small as arrays of its own, of one type for the kernels."""
    rows = samples.rows._replace(indptr=samples.rows.indptr[start : stop + 1])  # type: ignore[union-attr, call-arg]
    return samples._replace(
        rows=rows,
        codes=as_read_only(samples.codes[start:stop]),
        weight=as_read_only(np.array(samples.weight[start:stop])),
    )
