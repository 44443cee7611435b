"""`--proba`: the sigmoids of a model, from scores cross-validated by the solver of its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from widemargin.calibration import Sigmoid
from widemargin.data.rows import Array
from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.cross_scores import (
    deal_folds,
    dual_cross_scores,
    fitted_cross_scores,
    sigmoids_of,
)
from widemargin.run.fit import Fitted
from widemargin.run.solve import SOLVERS, Plan, fit

Fit: TypeAlias = Callable[..., Fitted]


def sigmoids(
    solver: str, go: Fit, objective: Objective, samples: Samples, plan: Plan, seed: int
) -> tuple[Sigmoid, ...]:
    """One for each column of the model; `go` fits its weights."""
    rng = np.random.default_rng(seed)
    folds, kind = deal_folds(samples.codes, rng), SOLVERS[solver]
    if solver == "dual" and go is fit:  # the folds share their walks over the data
        found = dual_cross_scores(
            objective,
            samples,
            folds,
            tol=plan.tol or kind.tol or 0.0,
            max_epochs=plan.epochs or kind.epochs,
            rng=rng,
            threads=plan.threads,
        )
    else:

        def weights(part: Samples) -> tuple[Array, Array]:
            fitted = go(solver, objective, part, rng=rng, plan=plan)
            return fitted.W, fitted.b

        found = fitted_cross_scores(samples, folds, weights, plan.threads)
    return sigmoids_of(samples, found)
