"""The first learning rate, found by trial on a subsample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from widemargin.data.rows import Dense, Rows, Sparse, as_read_only, n_rows, order_type
from widemargin.data.samples import Samples
from widemargin.errors import Diverged
from widemargin.objective import Objective, primal
from widemargin.solvers.steps import stated_lam

TRIAL_ROWS = 2000  # and steps
FACTOR = 2.0
MOST_TRIALS = 40


def trial_eta0(
    solver: Any, objective: Objective, samples: Samples, rng: np.random.Generator
) -> float:
    """The η₀ whose TRIAL_ROWS steps on a subsample end lowest, on a grid of factor 2.

    `solver` has a `schedule` with an eta0 and a `lam`. The search starts at 1 / mean ‖x‖² and
    walks the grid downhill until the objective of the subsample rises again; a trial that diverges
    counts as +∞. Only rates with λ η₀ < 1 are tried. One rate serves all columns. Bottou,
    Stochastic gradient descent tricks, 2012, section 5.2.
    """
    lam = stated_lam(solver.lam, objective, samples)
    part = subsample(samples, rng)
    n = n_rows(part.rows)
    small = objective._replace(C=1.0 / (lam * n)) if lam > 0.0 else objective
    once = np.arange(n, dtype=order_type(n))
    order = np.resize(once, max(n, TRIAL_ROWS))  # small data are passed over again

    def after(eta0: float) -> float:
        trial = replace(solver, schedule=solver.schedule._replace(eta0=eta0), lam=lam, clip=True)
        try:
            state = trial.epoch(small, part, order, trial.init(small, part))
        except Diverged:
            return math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            f = float(primal(small, part, state.W, state.b).sum())
        return f if math.isfinite(f) else math.inf

    top = 0.5 / lam if lam > 0.0 else math.inf
    return downhill(after, min(typical_rate(part.rows), top), top)


def downhill(after: Any, eta: float, top: float) -> float:
    """Walk the grid η, η·2^±1, … below `top` while `after` falls; the best rate met."""
    best = after(eta)
    up = eta * FACTOR <= top and (high := after(eta * FACTOR)) < best
    factor = FACTOR if up else 1.0 / FACTOR
    if up:
        eta, best = eta * FACTOR, high
    for _ in range(MOST_TRIALS):
        if eta * factor > top or not (value := after(eta * factor)) < best:
            break
        eta, best = eta * factor, value
    return eta


def typical_rate(rows: Rows) -> float:
    """1 / mean ‖x‖², the longest step that a quadratic loss of curvature 1 bears."""
    values = np.asarray(rows.X if isinstance(rows, Dense) else rows.values, np.float64).ravel()
    with np.errstate(over="ignore", under="ignore"):
        mean = float(values @ values) / max(1, n_rows(rows))
    return 1.0 / mean if 0.0 < mean < math.inf else 1.0


def subsample(samples: Samples, rng: np.random.Generator) -> Samples:
    """At most TRIAL_ROWS samples at random, in random order, with their weights."""
    n = n_rows(samples.rows)
    chosen = rng.permutation(n) if n <= TRIAL_ROWS else rng.choice(n, TRIAL_ROWS, replace=False)
    return samples._replace(
        rows=picked(samples.rows, chosen),
        codes=as_read_only(samples.codes[chosen]),
        weight=as_read_only(samples.weight[chosen]),
    )


def picked(rows: Rows, chosen: Any) -> Rows:
    """A copy of some rows. Where they leave most columns empty, those are left out."""
    if isinstance(rows, Dense):
        part = rows.X[chosen]
        return Dense(as_read_only(part if rows.X.flags.c_contiguous else np.asfortranarray(part)))
    starts, sizes = rows.indptr[chosen], rows.indptr[chosen + 1] - rows.indptr[chosen]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    at = np.repeat(starts - indptr[:-1], sizes) + np.arange(indptr[-1])
    indices, d = rows.indices[at], rows.n_features
    if d > 4 * at.size:
        used, inverse = np.unique(indices, return_inverse=True)
        indices, d = inverse.astype(indices.dtype), max(1, used.size)
    values = as_read_only(rows.values[at])
    return Sparse(values, as_read_only(indices), as_read_only(indptr), d)
