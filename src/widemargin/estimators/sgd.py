"""SGDClassifier: linear classifiers by stochastic gradient descent."""

# long: scikit-learn wants every parameter listed, documented and assigned in one class

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from widemargin.data.samples import Samples
from widemargin.estimators._common import scores_of
from widemargin.estimators._proba import cloned_sigmoids, log_proba_of, proba_of
from widemargin.estimators.online import (
    Plan,
    fit_online,
    make_loss,
    make_objective,
    make_penalty,
    partial_fit_online,
)
from widemargin.losses import LOSSES
from widemargin.penalties import L2, NoPenalty
from widemargin.schedules import PA1, PA2, Constant, InvScaling, Optimal, Schedule
from widemargin.solvers.asgd import Asgd, averaged_state
from widemargin.solvers.eta0 import trial_eta0
from widemargin.solvers.minibatch import Minibatch
from widemargin.solvers.sgd import Sgd
from widemargin.solvers.steps import State, intercept_decay
from widemargin.solvers.truncated import NEVER, Truncated, truncated_state
from widemargin.threads import threads_of

PENALTIES = {"l2", "l1", "elasticnet"}
RATES = {"constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"}
SCHEMES = {"hogwild", "locked", "round_robin"}
PROBABILISTIC = ("log_loss", "modified_huber")


def _has_probabilities(est: Any) -> bool:
    if est.loss not in PROBABILISTIC and not est.probability:
        raise AttributeError(
            f"probability estimates are not available for loss={est.loss!r}. "
            "Use SGDClassifier(probability=True), loss='log_loss' or loss='modified_huber'."
        )
    return True


class SGDClassifier(SparseCoefMixin, LinearClassifierMixin, BaseEstimator):
    """Linear classifiers by stochastic gradient descent, with scikit-learn's parameters.

        min_{w, b}  C Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ) + r(w),     C = 1 / (alpha n)

    that is alpha n C = 1 times scikit-learn's (1/n) Σ sᵢ ℓ + alpha r(w). Without a penalty
    C = 1 / n. More than two classes are told one against all, all of them in one pass over the
    data. `n_jobs` threads take the scores and the certificate; the steps too, with a `scheme`.

    Differences from scikit-learn: with `learning_rate="optimal"` the rate is
    η₀ / (1 + alpha η₀ t) with η₀ found by trial on a subsample (`eta0_`), not by a rule of
    thumb; all classes stop together, when each has stalled; weights are float64 while they
    are learned; negative sample weights are refused.

    Parameters that are ours: `batch_size`, samples a step (penalty 'l2' or None, no average);
    `scheme`, how `n_jobs` threads share the weights (the same, and batch_size=1): 'hogwild',
    without a lock; 'locked'; 'round_robin', which gives the same result in every run; None, one
    thread takes the steps.
    `engine`, where `fit` takes its steps: None, this process; a `widemargin.cluster.Cluster`, its
    workers and servers. Then a step is of a block of `batch_size` rows (1: as many as suit the
    data), w is held in the precision of the data, `max_iter` epochs are run, at most 20 unless
    tol=None, `average` is a decayed average over about the last tenth of the steps, and the
    objective of all epochs but the last is NaN in `history_`.
    `probability`, whether `fit` also fits Platt's sigmoids (`sigmoids_`) to scores that it
    cross-validates on 5 folds, which gives `predict_proba` for every loss.

    Attributes beside scikit-learn's: `eta0_`; after `fit`, `certificate_` (primal, dual, gap,
    relative_gap of the objective above) and `history_`, a list with one dict per epoch: epoch,
    seconds, objective (losses as the epoch met them; exact in the last), gap (relative) and dual
    (both NaN but in the last). `partial_fit` leaves neither: a certificate costs passes over
    data it does not have.

    >>> import numpy as np
    >>> X = np.array([[-1.0, -1.0], [-2.0, -1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> clf = SGDClassifier(alpha=0.1, random_state=0).fit(X, ["no", "no", "yes", "yes"])
    >>> clf.predict([[-0.8, -1.0]]).tolist()
    ['no']
    """

    loss_functions = LOSSES
    _parameter_constraints: dict[str, Any] = {
        "loss": [StrOptions(set(LOSSES))],
        "penalty": [StrOptions(PENALTIES), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "learning_rate": [StrOptions(RATES)],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, None, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "average": [Interval(Integral, 0, None, closed="neither"), "boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "scheme": [StrOptions(SCHEMES), None],
        "probability": ["boolean"],
        "engine": [HasMethods(["start"]), None],
    }

    def __init__(  # the parameters, their order and defaults are scikit-learn's
        self,
        loss: str = "hinge",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: Any = None,
        learning_rate: str = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool | int = False,
        batch_size: int = 1,
        scheme: str | None = None,
        probability: bool = False,
        engine: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.batch_size = batch_size
        self.scheme = scheme
        self.probability = probability
        self.engine = engine

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        coef_init: Any = None,
        intercept_init: Any = None,
        sample_weight: Any = None,
    ) -> SGDClassifier:
        """Learn from X (n, d) and y (n,); coef_init (K, d) and intercept_init (K,) warm-start.

        Ends when no class's objective fell by `tol` for `n_iter_no_change` epochs, or warns at
        `max_iter`, with the relative duality gap in the message.
        """
        check_parameters(self, coef_init, intercept_init)
        self.__dict__.pop("eta0_", None)
        if self.engine is not None:
            from widemargin.estimators.sgd_engine import fit_on_engine

            return fit_on_engine(self, schedule_of, X, y, sample_weight)  # type: ignore[no-any-return]
        fit_online(self, plan_of, X, y, coef_init, intercept_init, sample_weight)
        if self.power_t < 0:
            told = "Negative values for `power_t` are deprecated, as in scikit-learn. Use >= 0."
            warnings.warn(told, FutureWarning, stacklevel=2)
        if self.probability:
            self.sigmoids_ = cloned_sigmoids(self, X, y, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> SGDClassifier:
        """One epoch over X and y, from where the last call ended; the first names all `classes`.

        η₀ of the 'optimal' rate comes from the data of the first call. No certificate.
        """
        check_parameters(self)
        check_partial(self)
        if not hasattr(self, "classes_"):
            self.__dict__.pop("eta0_", None)
        partial_fit_online(self, plan_of, X, y, classes, sample_weight)
        return self

    def decision_function(self, X: Any) -> Any:
        """wᵀx + b of each row, (n,) or (n, K), on `n_jobs` threads."""
        threads = threads_of(self.n_jobs)
        return super().decision_function(X) if threads == 1 else scores_of(self, X, threads)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """P(class | x) of shape (n, n_classes).

        With probability=True by the sigmoids of `fit`. Else for the log loss and modified Huber:
        log loss: 1 / (1 + exp(−p)); modified Huber: (clip(p, −1, 1) + 1) / 2, a quadratic loss's
        minimiser; one against all, divided by their sum (Zadrozny & Elkan, 2002), or uniform
        where all are zero.
        """
        if self.probability:
            return proba_of(self, X)
        check_is_fitted(self)
        if self.loss == "log_loss":
            return self._predict_proba_lr(X)
        scores = self.decision_function(X)
        P = (np.clip(scores, -1.0, 1.0) + 1.0) / 2.0
        if P.ndim == 1:
            return np.column_stack([1.0 - P, P])
        P[P.sum(axis=1) == 0.0] = 1.0
        return P / P.sum(axis=1, keepdims=True)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`; −∞ where modified Huber is certain."""
        return log_proba_of(self, X) if self.probability else np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def check_parameters(est: SGDClassifier, coef_init: Any = None, intercept_init: Any = None) -> None:
    """Refuse what does not go together, before any work."""
    if est.engine is not None:
        from widemargin.estimators.sgd_engine import refuse_with_engine

        refuse_with_engine(est, coef_init, intercept_init)
    if est.learning_rate == "optimal" and est.alpha == 0:
        raise ValueError(
            "alpha must be > 0 since learning_rate is 'optimal', whose rate is computed from it. "
            "Raise alpha, or choose another learning_rate."
        )
    if est.learning_rate in ("pa1", "pa2") and est.loss != "hinge":
        raise ValueError(
            f"Learning rate '{est.learning_rate}' only works with loss 'hinge', got "
            f"{est.loss!r}. Change one of them."
        )
    if est.penalty == "elasticnet" and est.l1_ratio is None:
        raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")
    averages = est.average and est.engine is None
    if est.batch_size > 1 and (averages or est.penalty in ("l1", "elasticnet")):
        raise ValueError(
            f"batch_size={est.batch_size} goes with penalty 'l2' or None and without averaging, "
            f"got penalty={est.penalty!r}, average={est.average!r}. Use batch_size=1 for those."
        )
    plain = est.penalty in ("l2", None) and not est.average and est.batch_size == 1
    if est.scheme is not None and not plain:
        raise ValueError(
            f"scheme={est.scheme!r} goes with penalty 'l2' or None, without averaging and with "
            f"batch_size=1, got penalty={est.penalty!r}, average={est.average!r}, "
            f"batch_size={est.batch_size}. Use scheme=None for those."
        )


def check_partial(est: Any) -> None:
    if getattr(est, "engine", None) is not None:
        raise ValueError(
            f"partial_fit does not go with engine={est.engine!r}: a run passes over all samples, "
            "from zero. Use fit, or leave engine=None."
        )
    if est.early_stopping:
        raise ValueError(
            "early_stopping should be False with partial_fit, which is a single epoch."
        )
    if est.class_weight == "balanced" and not hasattr(est, "classes_"):
        raise ValueError(
            "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' "
            "weights, use compute_class_weight('balanced', classes=classes, y=y). In place of y "
            "you can use a large enough sample of the full training set target to properly "
            "estimate the class frequency distributions. Pass the resulting weights as the "
            "class_weight parameter."
        )


def plan_of(est: SGDClassifier, samples: Samples, n: int, start: State, rng: Any) -> Plan:
    """Objective, solver and first state; sets eta0_."""
    penalty = make_penalty(est.penalty, est.alpha, est.l1_ratio)
    loss = make_loss(est.loss, est.epsilon)
    objective = make_objective(loss, penalty, est.alpha, n, est.fit_intercept)
    known = getattr(est, "eta0_", None) if est.learning_rate == "optimal" else est.eta0
    solver = make_solver(est, samples, penalty, schedule_of(est, 1.0 if known is None else known))
    if known is None:
        trial = make_solver(est, samples, penalty, solver.schedule, plain=True)
        known = trial_eta0(trial, objective, samples, rng)
        solver = make_solver(est, samples, penalty, schedule_of(est, known))
    est.eta0_ = float(known)
    first, adaptive = state_for(est, solver, start), est.learning_rate == "adaptive"
    return Plan(objective, solver, first, adaptive, threads_of(est.n_jobs), est.scheme)


def schedule_of(est: SGDClassifier, eta0: float) -> Schedule:
    match est.learning_rate:
        case "optimal":
            return Optimal(float(eta0), float(est.alpha))
        case "invscaling":
            return InvScaling(float(eta0), float(est.power_t))
        case "pa1":
            return PA1(float(eta0))
        case "pa2":
            return PA2(float(eta0))
    return Constant(float(eta0))


def make_solver(
    est: SGDClassifier, samples: Samples, penalty: Any, schedule: Schedule, *, plain: bool = False
) -> Any:
    """The solver that takes this penalty and kind of step; `plain`: the one behind an average."""
    common: dict[str, Any] = {
        "schedule": schedule,
        "intercept_decay": intercept_decay(samples.rows),
        "clip": True,
        "lam": float(est.alpha),
    }
    if est.batch_size > 1:
        return Minibatch(batch_size=int(est.batch_size), **common)
    averages = bool(est.average) and not plain
    if not isinstance(penalty, (L2, NoPenalty)):
        return Truncated(average_from=int(est.average) if averages else NEVER, **common)
    return Asgd(average_from=int(est.average), **common) if averages else Sgd(**common)


def state_for(est: SGDClassifier, solver: Any, start: State) -> Any:
    """The solver's state at the weights of `start`, or at the walk behind the last average."""
    if not isinstance(solver, (Asgd, Truncated)):
        return start
    state = averaged_state(start) if isinstance(solver, Asgd) else truncated_state(start)
    if start.t and est.average and hasattr(est, "_walk"):
        return state._replace(walk=est._walk.walk, walk_b=est._walk.walk_b)
    return state
