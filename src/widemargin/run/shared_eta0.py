"""The first learning rate of shared mini-batches, found by trial on a subsample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from widemargin.data.rows import as_read_only, n_features, n_rows
from widemargin.data.samples import Samples, n_columns, take_samples
from widemargin.errors import Diverged
from widemargin.objective import Objective, primal
from widemargin.penalties import L2, NoPenalty
from widemargin.ps.parameters import Parameters, Update
from widemargin.run.shared_linear import LinearJob, stepping, stored
from widemargin.solvers.eta0 import MOST_TRIALS, downhill, picked, typical_rate
from widemargin.solvers.shared_minibatch import propose

TRIAL_ROWS, TRIAL_STEPS, TRIAL_BATCH = 8192, 100, 512
START = 32.0  # times 1 / mean ‖x‖²: where the search starts, nearer to what a mean bears


def shared_eta0(job: LinearJob, longest: float, seed: int) -> float:
    """The η₀ whose TRIAL_STEPS mini-batch steps on a subsample end lowest, on a grid of factor 2.

    As `solvers.eta0.trial_eta0`, which steps sample by sample: a mean over many samples bears, and
    in few steps needs, a rate many times larger. The subsample is TRIAL_ROWS rows of the store in
    stretches of TRIAL_BATCH, or all rows where there are fewer. `longest` is for `stepping`.
    """
    samples = subsample(stored(job), np.random.default_rng(seed))
    n = n_rows(samples.rows)
    size = max(1, min(job.block_size, TRIAL_BATCH, n // 4))
    batches = [take_samples(samples, a, min(a + size, n)) for a in range(0, n, size)]
    penalty = L2() if job.lam > 0.0 else NoPenalty()
    objective = Objective(job.loss, 1.0 / ((job.lam or 1.0) * n), penalty, job.fit_intercept)
    top = 0.5 / job.lam if job.lam > 0.0 else math.inf

    def after(eta0: float) -> float:
        tried = job._replace(n_features=n_features(samples.rows))
        try:
            theta = walk(stepping(tried, eta0, longest), batches)
        except Diverged:
            return math.inf
        return value(objective, samples, theta)

    start = min(START * typical_rate(samples.rows), top)
    return downhill(after, bearable(after, start), top)


def bearable(after: Callable[[float], float], eta: float) -> float:
    """The first of η, η / 16, … whose trial stays finite: downhill there is a way from it."""
    for _ in range(MOST_TRIALS):
        if math.isfinite(after(eta)):
            break
        eta /= 16.0
    return eta


def walk(job: LinearJob, batches: list[Samples]) -> Any:
    """θ after TRIAL_STEPS steps over the batches, round and round."""
    first = np.zeros((job.n_keys, n_columns(batches[0])))
    server = Parameters.create(job.rule._replace(decay=None), first, 0)
    for t in range(TRIAL_STEPS):
        batch = batches[t % len(batches)]
        g = propose(job.loss, job.schedule, batch, server.read(), intercept=job.fit_intercept)
        server.apply([Update(None, g, float(n_rows(batch.rows)))])
    return server.read()


def value(objective: Objective, samples: Samples, theta: Any) -> float:
    """The objective at θ; +∞ where it is not finite."""
    d, K = n_features(samples.rows), theta.shape[1]
    W = theta[:d] if K > 1 else theta[:d, 0]
    b = theta[d] if objective.fit_intercept else np.zeros(K)
    with np.errstate(over="ignore", invalid="ignore"):
        f = float(primal(objective, samples, np.ascontiguousarray(W), b).sum())
    return f if math.isfinite(f) else math.inf


def subsample(samples: Samples, rng: np.random.Generator) -> Samples:
    """TRIAL_ROWS samples at most, in stretches of the store, without columns that they lack."""
    n = len(samples.codes)
    starts = rng.permutation(-(-n // TRIAL_BATCH))[: TRIAL_ROWS // TRIAL_BATCH] * TRIAL_BATCH
    spans = [np.arange(a, min(a + TRIAL_BATCH, n)) for a in starts]
    chosen = np.concatenate(spans)
    return samples._replace(
        rows=picked(samples.rows, chosen),
        codes=as_read_only(samples.codes[chosen]),
        weight=as_read_only(samples.weight[chosen]),
    )
