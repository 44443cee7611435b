"""LinearSVCCV: C chosen by cross-validation, folds and values of C in common walks."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.metrics import get_scorer_names as scorer_names
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from widemargin.data.samples import Samples
from widemargin.estimators._common import checked_rows, keep_fit, samples_of
from widemargin.estimators._curve import curve, folds_of
from widemargin.estimators._proba import dual_sigmoids, has_sigmoids, log_proba_of, proba_of
from widemargin.estimators.linear_svc import LOSSES, LinearSVC
from widemargin.estimators.path import checked_Cs
from widemargin.run.tuning import (
    Point,
    best_index,
    standard_error,
)

RULES = ("best", "one_standard_error")


def _refitted(est: Any) -> bool:
    if not est.refit:
        raise AttributeError(
            "LinearSVCCV(refit=False) chooses C and fits no classifier. "
            "Use refit=True, or LinearSVC(C=est.C_)."
        )
    return True


class LinearSVCCV(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """Linear support vector classification with C chosen by cross-validation.

    All folds are walked together, row by row, and each C starts from the solution of the one
    before. Then `LinearSVC(C=C_)` is fitted to all of the data.

    Parameters
    ----------
    Cs : int or list of floats, default=13
        Values of C; a number stands for as many between 1e-3 and 1e3, evenly spaced in their
        logarithm.
    cv : int, splitter or iterable, default=None
        None: 5 folds, stratified, as in scikit-learn.
    scoring : str, callable or None, default=None
        None: accuracy, weighted by sample_weight.
    rule : {'best', 'one_standard_error'}, default='best'
        The C of the best mean score; or the smallest whose mean is within one standard error of
        it, the simplest model that is not clearly worse.
    loss, tol, fit_intercept, class_weight, random_state, max_iter, verbose : as for LinearSVC
        `tol` is that of the refit. Class weights come from all of y.
    cv_tol : float, default=1e-2
        The relative duality gap of the fits to the folds.
    cv_epochs : int or None, default=6
        Epochs for each C at the far end of the curve, once scores are two standard errors below
        the best: these fits may stay unfinished (`gaps_`). None: all are brought to cv_tol. With
        256 features or fewer all are, at any rate.
    n_jobs : int or None, default=None
        Threads, over groups of eight columns (class × fold); the result does not depend on it.
    refit : bool, default=True
    probability : bool, default=False
        As for LinearSVC: `predict_proba` at the C chosen.

    Attributes
    ----------
    C_ : float, and best_index_, its place in Cs_
    Cs_ : (m,), rising
    scores_ : (m, F), the score of every C and fold
    mean_scores_, standard_errors_ : (m,)
    gaps_ : (m, F), the relative duality gap of each fit
    coef_, intercept_, classes_, certificate_, history_, n_iter_ : of the refit, as for LinearSVC

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from widemargin import LinearSVCCV
    >>> X, y = make_classification(random_state=0)
    >>> clf = LinearSVCCV(Cs=[0.01, 0.1, 1.0], random_state=0).fit(X, y)
    >>> clf.C_ in clf.Cs_, clf.scores_.shape
    (True, (3, 5))
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "Cs": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(scorer_names())), callable, None],
        "rule": [StrOptions(set(RULES))],
        "loss": [StrOptions(set(LOSSES))],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "cv_tol": [Interval(Real, 0.0, None, closed="neither")],
        "cv_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "random_state": ["random_state"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "refit": ["boolean"],
        "probability": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        Cs: Any = 13,
        *,
        cv: Any = None,
        scoring: Any = None,
        rule: str = "best",
        loss: str = "squared_hinge",
        tol: float = 1e-4,
        cv_tol: float = 1e-2,
        cv_epochs: int | None = 6,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        refit: bool = True,
        probability: bool = False,
        verbose: int = 0,
    ) -> None:
        self.Cs = Cs
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.loss = loss
        self.tol = tol
        self.cv_tol = cv_tol
        self.cv_epochs = cv_epochs
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.refit = refit
        self.probability = probability
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> LinearSVCCV:
        """Choose C on X (n, d) and y (n,), then fit; `groups` is for splitters that need them."""
        self.Cs_ = checked_Cs(self.Cs)
        rows, X, y = checked_rows(self, X, y, reset=True)
        samples, self.classes_ = samples_of(rows, y, sample_weight, X, self.class_weight)
        folds = folds_of(self.cv, X, y, groups, samples)
        points = curve(self, X, y, samples, folds)
        keep_curve(self, points)
        if self.refit:
            refit(self, samples)
        return self

    @available_if(_refitted)
    def decision_function(self, X: Any) -> Any:
        """Scores Xw + b of the refit: (n,) for two classes, (n, K) for more."""
        return super().decision_function(X)

    @available_if(_refitted)
    def predict(self, X: Any) -> Any:
        """(n,) the label of each row."""
        return super().predict(X)

    @available_if(_refitted)
    @available_if(has_sigmoids)
    def predict_proba(self, X: Any) -> Any:
        """P(class | x), shape (n, n_classes): sigmoids of the scores, divided by their sum."""
        return proba_of(self, X)

    @available_if(_refitted)
    @available_if(has_sigmoids)
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`, finite however sure."""
        return log_proba_of(self, X)

    @staticmethod
    def _report(point: Point) -> None:
        print(
            f"[LinearSVCCV] C {point.C:<10.4g} score {point.scores.mean():.5f} "
            f"± {standard_error(point.scores):.5f}  relative gap {point.gaps.max():.1e}  "
            f"epochs {point.epochs}"
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def keep_curve(est: Any, points: list[Point]) -> None:
    """Set scores_ and what follows from them."""
    est.scores_ = np.stack([point.scores for point in points])
    est.mean_scores_ = est.scores_.mean(axis=1)
    est.standard_errors_ = np.array([standard_error(point.scores) for point in points])
    est.gaps_ = np.stack([point.gaps for point in points])
    est.best_index_ = best_index(points, est.rule)
    est.C_ = float(est.Cs_[est.best_index_])
    worst = float(est.gaps_[est.best_index_].max())
    if worst > est.cv_tol:
        warnings.warn(
            f"The folds of LinearSVCCV with C={est.C_:g} stopped at max_iter={est.max_iter} with "
            f"a relative duality gap of {worst:.2g}, cv_tol={est.cv_tol:g}. Raise one of them, "
            "scale the features, or leave out large C.",
            ConvergenceWarning,
            stacklevel=3,
        )


def refit(est: Any, samples: Samples) -> None:
    """What LinearSVC(C=C_) gives on all of the data."""
    names = ("loss", "tol", "fit_intercept", "random_state", "max_iter")
    svc = LinearSVC(C=est.C_, **{name: getattr(est, name) for name in names})
    fitted = svc._solve(samples)
    keep_fit(est, fitted, samples)
    if est.probability:
        est.sigmoids_ = dual_sigmoids(est, svc._objective(), samples)
    if not fitted.solved:
        warnings.warn(
            f"The refit of LinearSVCCV with C={est.C_:g} stopped at max_iter={est.max_iter} with "
            f"a relative duality gap of {fitted.certificate.relative_gap:.2g}, tol={est.tol:g}. "
            "Raise max_iter or tol, or scale the features.",
            ConvergenceWarning,
            stacklevel=3,
        )
