"""Perceptron: Rosenblatt's rule, with scikit-learn's parameters."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from widemargin.data.samples import Samples
from widemargin.estimators._proba import cloned_sigmoids, has_sigmoids, log_proba_of, proba_of
from widemargin.estimators.online import (
    Plan,
    fit_online,
    make_objective,
    make_penalty,
    partial_fit_online,
)
from widemargin.estimators.sgd import PENALTIES, check_partial
from widemargin.losses import PerceptronLoss
from widemargin.penalties import L2, NoPenalty
from widemargin.schedules import Constant
from widemargin.solvers.perceptron import Perceptron as Rosenblatt
from widemargin.solvers.perceptron import perceptron_state
from widemargin.solvers.sgd import Sgd
from widemargin.solvers.steps import State, intercept_decay
from widemargin.solvers.truncated import Truncated, truncated_state


class Perceptron(SparseCoefMixin, LinearClassifierMixin, BaseEstimator):
    """w ← w + η yᵢ xᵢ for every sample on the wrong side, η = eta0, from w = 0.

    Without a penalty the loop ends at the first epoch without a mistake, when nothing would
    change any more. With one, the step is that of `SGDClassifier(loss="perceptron",
    learning_rate="constant")`. The rest, `certificate_`, `history_` and `probability` too, as
    there.

    >>> import numpy as np
    >>> X = np.array([[-1.0, -1.0], [-2.0, -1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> clf = Perceptron().fit(X, [0, 0, 1, 1])
    >>> clf.predict([[-0.8, -1.0]]).tolist()
    [0]
    """

    _parameter_constraints: dict[str, Any] = {
        "penalty": [StrOptions(PENALTIES), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "probability": ["boolean"],
    }

    def __init__(  # the parameters, their order and defaults are scikit-learn's
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: Any = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        probability: bool = False,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.probability = probability

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        coef_init: Any = None,
        intercept_init: Any = None,
        sample_weight: Any = None,
    ) -> Perceptron:
        """Learn from X (n, d) and y (n,); coef_init (K, d) and intercept_init (K,) warm-start."""
        fit_online(self, plan_of, X, y, coef_init, intercept_init, sample_weight)
        if self.probability:
            self.sigmoids_ = cloned_sigmoids(self, X, y, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Perceptron:
        """One epoch over X and y, from where the last call ended; the first names all `classes`.

        No certificate: it costs passes over data that one call does not have.
        """
        check_partial(self)
        partial_fit_online(self, plan_of, X, y, classes, sample_weight)
        return self

    @available_if(has_sigmoids)
    def predict_proba(self, X: Any) -> Any:
        """P(class | x), shape (n, n_classes): sigmoids of the scores, divided by their sum."""
        return proba_of(self, X)

    @available_if(has_sigmoids)
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`, finite however sure."""
        return log_proba_of(self, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def plan_of(est: Perceptron, samples: Samples, n: int, start: State, rng: Any) -> Plan:
    """Rosenblatt's rule without a penalty, else steps on the perceptron loss of the same rate."""
    penalty = make_penalty(est.penalty, est.alpha, est.l1_ratio)
    objective = make_objective(PerceptronLoss(), penalty, est.alpha, n, est.fit_intercept)
    eta0, decay = float(est.eta0), intercept_decay(samples.rows)
    if isinstance(penalty, NoPenalty):
        return Plan(objective, Rosenblatt(eta0, decay), perceptron_state(start))
    common: dict[str, Any] = {"clip": True, "lam": float(est.alpha)}
    if isinstance(penalty, L2):
        return Plan(objective, Sgd(Constant(eta0), decay, **common), start)
    solver = Truncated(Constant(eta0), decay, **common)
    return Plan(objective, solver, truncated_state(start))
