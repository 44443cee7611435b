"""Scores of samples by a classifier that did not learn from them, and the sigmoids of those.

Each sample is held out once; the dual solver fits the folds together, as columns of one walk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from widemargin.calibration import Sigmoid, fit_sigmoids
from widemargin.data.rows import Array, n_rows
from widemargin.data.samples import Samples, n_columns
from widemargin.objective import Objective
from widemargin.run.tuning import Effort, Fold, Held, tune
from widemargin.run.tuning_newton import masked
from widemargin.scores import scores

FOLDS = 5
LOOSEST = 1e-3  # relative gap of the folds' fits: what is beyond it moves no probability
Weights = tuple[Array, Array]  # W (d,) or (d, K), b (K,)


def deal_folds(codes: Array, rng: np.random.Generator, count: int = FOLDS) -> list[Fold]:
    """At most `count` folds that hold out each sample once, every class spread over all of them.

    Raises ValueError where a class has a single sample: without it there is nothing to learn.
    """
    sizes = np.bincount(codes)
    least = int(sizes[sizes > 0].min())
    if least < 2:
        raise ValueError(
            "A cross-validation needs two samples of every class at least, got "
            f"{least} of class number {int(np.flatnonzero(sizes == least)[0])}. Add samples of it, "
            "or leave the class out."
        )
    shuffled = rng.permutation(len(codes))
    ranked = shuffled[np.argsort(codes[shuffled], kind="stable")]
    fold_of = np.empty(len(codes), np.int64)
    fold_of[ranked] = np.arange(len(codes)) % min(count, least)  # each class dealt in turn
    return [
        Fold(np.flatnonzero(fold_of != f), np.flatnonzero(fold_of == f))
        for f in range(min(count, least))
    ]


def dual_cross_scores(
    objective: Objective,
    samples: Samples,
    folds: Sequence[Fold],
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    threads: int = 1,
) -> Array:
    """(n, K) scores by the dual solver, all folds in one walk; L2 penalty."""
    found = np.full((n_rows(samples.rows), n_columns(samples)), np.nan)

    def keep(held: Held) -> Array:
        for f, fold in enumerate(folds):
            found[fold.held] = held.decisions(f)
        return np.zeros(len(folds))

    effort = Effort(max(tol, LOOSEST), None, max_epochs)
    C = np.array([objective.C])
    tune(objective, samples, folds, C, keep, rng=rng, effort=effort, threads=threads)
    return found


def fitted_cross_scores(
    samples: Samples, folds: Sequence[Fold], fit: Callable[[Samples], Weights], threads: int = 1
) -> Array:
    """(n, K) scores by any solver, a fit for each fold on samples whose held-out rows weigh 0."""
    found = np.full((n_rows(samples.rows), n_columns(samples)), np.nan)
    for fold in folds:
        W, b = fit(samples._replace(weight=masked(samples.weight, fold.train)))
        found[fold.held] = scores(samples.rows, W, b, threads)[fold.held]
    return found


def sigmoids_of(samples: Samples, found: Array) -> tuple[Sigmoid, ...]:
    """A sigmoid for each column, fitted with the samples' own weights."""
    return fit_sigmoids(found, samples.codes, samples.weight)
