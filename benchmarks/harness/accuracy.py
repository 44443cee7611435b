"""How good weights are: the objective after the intercept was solved for again.

Rivals penalise the intercept, or stop before it has settled. Only their w is held against them:
f(w) = min_b f(w, b), by the code that all solvers share.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.datasets import Problem, objective_of, samples_of
from widemargin.objective import primal
from widemargin.scores import scores
from widemargin.solvers.intercept import best_intercept

CLOSE = 1e-9  # of f: how exactly b is solved for


def objective_at(problem: Problem, W: Any) -> float:
    """min_b f(W, b), summed over the columns of W, shape (d, K)."""
    objective, samples = objective_of(problem), samples_of(problem)
    K = W.shape[1]
    W = np.ascontiguousarray(W if K > 1 else W[:, 0], np.float64)
    b = np.zeros(K)
    p = scores(samples.rows, W, b, 1).reshape(-1, K)
    eps = CLOSE * primal(objective, samples, W, b)
    b = best_intercept(objective, samples, p, b, eps)
    return float(primal(objective, samples, W, b).sum())
