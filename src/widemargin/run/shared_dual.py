"""Dual coordinate descent on a parameter server: a job whose parameters are w, three sums, and α.

    θ = [w (d keys); δ, β, seen; α (n keys)],     (d + SUMS + n, K)

A block of an epoch is a set of rows that no other block of the epoch has. Stretches of consecutive
rows are dealt to the blocks anew in every epoch, as `solvers/dual_replicas.py` deals buckets: with
the same rows together each time, three times as many epochs are needed. A block touches the weights
of its features, the sums, and the α of its rows, and its update is one push of named keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array, Sparse, as_read_only, block_order
from widemargin.data.samples import Samples
from widemargin.losses import Hinge, Loss
from widemargin.objective import Objective
from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.run.ahead import Ahead
from widemargin.run.shared_linear import stored
from widemargin.schedules import Constant
from widemargin.solvers.shared_dual import SUMS, How, dual_moves
from widemargin.solvers.shared_minibatch import Batch, batch_of

PASSES = 5  # over a block; those after the first visit the few rows that moved
DEALING, WALKING = 1, 2  # what is drawn from a seed
STRETCHES = 64  # at least, that a block's rows are shuffled in


class DualJob(NamedTuple):
    """One linear problem, through its dual, over a store that all workers can read.

    min_w,b  ½‖w‖² + C Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ)
    """

    store: str  # the folder of a packed store
    n_samples: int
    n_features: int
    n_classes: int = 2
    weights: str | None = None  # a .npy file of sample weights, float64 of shape (n,)
    class_weight: tuple[float, ...] | None = None
    loss: Loss = Hinge()
    C: float = 1.0
    fit_intercept: bool = True
    rho: float = 0.0  # weight of δ² in the augmented dual; 0 without an intercept
    adding: float = 1.0  # σ′: as many updates as may be added
    blocks: int = 1  # of an epoch
    stretch: int = 1  # consecutive rows that stay together
    seed: int = 0
    digest: str = ""  # of the store: a run goes on with the same data alone

    @property
    def rule(self) -> Rule:
        """θ ← θ − Σ gₖ, with what is pushed being −Δθ."""
        return Rule(Sgd(), Constant(1.0), adding=self.adding)

    @property
    def n_blocks(self) -> int:
        return self.blocks

    @property
    def n_keys(self) -> int:
        return self.n_features + SUMS + self.n_samples

    @property
    def sparse(self) -> bool:
        return True

    @property
    def width(self) -> int:
        """K: one column for two classes, else one against all."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def objective(self) -> Objective:
        return Objective(self.loss, self.C, fit_intercept=self.fit_intercept)

    @property
    def fingerprint(self) -> list[str]:
        """What a run that goes on must have in common with the one before, beside the rule."""
        own = (self.digest, self.loss, self.C, self.class_weight, self.fit_intercept)
        return [repr(thing) for thing in (*own, self.blocks, self.stretch, self.seed)]

    def first(self, keys: Range) -> Array:
        """Zeros, float64: sums of many small moves."""
        return np.zeros((keys.stop - keys.start, self.width))

    def open(self) -> DualTask:
        return DualTask(self, stored(self))


class Dealt(NamedTuple):
    """The rows of a block of an epoch."""

    keys: Array  # of all that it touches
    batch: Batch
    order: Array  # in which its rows are walked


class DualTask:
    """A worker's side: reads blocks ahead, and climbs the dual on each."""

    def __init__(self, job: DualJob, samples: Samples) -> None:
        self.job, self.samples = job, samples
        self.ahead: Ahead[m.Block, Dealt] = Ahead(self.read)
        self.how = How(job.n_samples, job.rho, job.adding, PASSES)

    def touch(self, block: m.Block) -> Any:
        return self.ahead.get(block).keys

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """−Δθ of a walk over the block, of the keys alone that it changes."""
        dealt = self.ahead.get(block)
        theta = parts[0] if len(parts) == 1 else np.concatenate(parts)
        moves = dual_moves(
            self.job.objective,
            dealt.batch.samples,
            dealt.order,
            theta,
            block.epoch == 0,
            self.how,
        )
        changed = np.flatnonzero(moves.any(axis=1))
        return Update(keys[changed], -moves[changed], float(len(dealt.order)))

    def prefetch(self, block: m.Block) -> None:
        self.ahead.want(block)

    def close(self) -> None:
        self.ahead.close()

    def read(self, block: m.Block) -> Dealt:
        """The rows of a block, their features counted anew, and the keys of both."""
        job, (epoch, number) = self.job, block
        starts = dealt_to(job, epoch, number)
        batch = batch_of(stretches_of(self.samples, starts, job.stretch))
        assert batch.keys is not None, "batches of a store name their features"
        d, size = job.n_features, np.int64 if job.n_keys > 2**32 - 1 else np.uint32
        rows = np.concatenate([np.arange(a, e) for a, e in spans(starts, job)])
        keys = np.concatenate([batch.keys, np.arange(d, d + SUMS), d + SUMS + rows]).astype(size)
        rng = np.random.default_rng([job.seed, WALKING, epoch, number])
        order = block_order(len(rows), min(job.stretch, len(rows) // STRETCHES), rng)
        return Dealt(keys, batch, order)


def dealt_to(job: DualJob, epoch: int, number: int) -> Array:
    """The first rows of the stretches of block `number`, ascending: each stretch has one block."""
    many = -(-job.n_samples // job.stretch)
    order = np.random.default_rng([job.seed, DEALING, epoch]).permutation(many)
    cuts = [many * k // job.blocks for k in (number, number + 1)]
    starts: Array = np.sort(order[cuts[0] : cuts[1]]) * job.stretch
    return starts


def spans(starts: Array, job: DualJob) -> list[tuple[int, int]]:
    return [(int(a), min(int(a) + job.stretch, job.n_samples)) for a in starts]


def stretches_of(samples: Samples, starts: Array, stretch: int) -> Samples:
    """The samples of these stretches, in arrays of their own."""
    rows, n = samples.rows, len(samples.codes)
    assert isinstance(rows, Sparse)
    parts = [slice(int(a), min(int(a) + stretch, n)) for a in starts]
    entries = [slice(int(rows.indptr[p.start]), int(rows.indptr[p.stop])) for p in parts]
    lengths = [np.diff(rows.indptr[p.start : p.stop + 1]) for p in parts]
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    own = Sparse(
        as_read_only(np.concatenate([rows.values[e] for e in entries])),
        as_read_only(np.concatenate([rows.indices[e] for e in entries])),
        as_read_only(indptr),
        rows.n_features,
    )
    return samples._replace(
        rows=own,
        codes=as_read_only(np.concatenate([samples.codes[p] for p in parts])),
        weight=as_read_only(np.concatenate([samples.weight[p] for p in parts])),
    )
