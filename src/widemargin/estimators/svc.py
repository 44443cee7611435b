"""SVC: scikit-learn's contract over sequential minimal optimisation with a certificate."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from widemargin.calibration import log_probabilities, probabilities
from widemargin.data.rows import Array
from widemargin.estimators._proba import has_sigmoids
from widemargin.estimators.svc_data import (
    check_pairwise,
    checked_targets,
    checked_training,
    gamma_of,
    kernel_of,
    linear_weights,
    refuse_overflow,
    reporter,
    rows_of,
    threads_of,
    upper_bounds,
    validated,
    warn_of_early_end,
)
from widemargin.estimators.svc_proba import fitted_sigmoids, svc_sigmoids, votes_or_scores
from widemargin.kernel_scores import matrix_scores, row_scores, votes
from widemargin.kernels import Kernel
from widemargin.run.kernel_fit import Machines, Settings, fit_machines
from widemargin.solvers.smo import Plan

MEGABYTE = 2.0**20


class SVC(ClassifierMixin, BaseEstimator):
    """Support vector classification with kernels, to a proved distance from the optimum.

        min_w,b  ½‖w‖² + Σᵢ C sᵢ max(0, 1 − yᵢ(wᵀφ(xᵢ) + b)),     K(x, z) = φ(x)ᵀφ(z)
        max_α    Σ αᵢ − ½ ΣΣ αᵢαⱼ yᵢyⱼ K(xᵢ, xⱼ),     0 ≤ αᵢ ≤ C sᵢ,  Σ αᵢyᵢ = 0

    More than two classes are told apart one against one, K (K − 1)/2 machines.

    Parameters, in scikit-learn's order and with its defaults
    ---------------------------------------------------------
    C : float, default=1.0
        `inf` is the hard margin: the widest margin among hyperplanes that separate the classes.
        Classes that none separates are refused with a ValueError.
    kernel : {'linear', 'poly', 'rbf', 'sigmoid', 'precomputed'} or callable, default='rbf'
        A callable takes two sets of samples and gives the matrix of their kernel values.
    degree, gamma, coef0 : int, {'scale', 'auto'} or float, float; default 3, 'scale', 0.0
    shrinking : bool, default=True
    probability : bool, default=False
        Whether to fit Platt's sigmoids (`sigmoids_`) on scores that are cross-validated on 5
        folds, and so offer `predict_proba` and `predict_log_proba`.
    tol : float, default=1e-3
        Of every machine both the relative duality gap, (f − D)/f, and the largest violation of
        the optimality conditions, which is what LIBSVM's tolerance bounds, end within it.
    cache_size : float, default=200
        Megabytes of rows of the kernel matrix that are kept. Where the whole matrix fits in
        float64 it is kept so; else its rows are float32, and tolerances below 1e-5 are certified
        and reached in float64 all the same.
    class_weight : dict, 'balanced' or None, default=None
    verbose : bool or int, default=False
    max_iter : int, default=-1
        Steps of a machine, each of which moves two α; −1: as many as it takes.
    decision_function_shape : {'ovr', 'ovo'}, default='ovr'
    break_ties : bool, default=False
    random_state : int, RandomState or None, default=None
        Deals the folds behind probabilities; nothing else here is random.
    n_jobs : int or None, default=None
        Threads; None is 1, −1 all cores. The result does not depend on it.

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, intercept_, classes_, class_weight_,
    shape_fit_, fit_status_, n_iter_, coef_ (linear kernel) : as in scikit-learn
    sigmoids_ : tuple of Sigmoid(A, B, D), one per class, or one for two; None without probability
    margin_ : float, or (K (K − 1)/2,) for more than two classes
        γ = 1/‖w‖, the distance from the hyperplane to its margins, in the kernel's feature space.
    certificate_ : Certificate(primal, dual, gap, relative_gap), summed over the machines
    history_ : list of dict(epoch, seconds, objective, gap, steps, violation), and the two
        classes of the machine as `pair` where there are more than two

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from widemargin import SVC
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> clf = SVC(C=10.0, tol=1e-6).fit(X, y)
    >>> clf.certificate_.relative_gap <= 1e-6
    True
    >>> float(clf.score(X, y))
    0.995

    Cortes & Vapnik, Support-vector networks, 1995; Chang & Lin, LIBSVM, 2011. See
    `widemargin.solvers.smo`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "C": [Interval(Real, 0.0, None, closed="right")],
        "kernel": [StrOptions({"linear", "poly", "rbf", "sigmoid", "precomputed"}), callable],
        "degree": [Interval(Integral, 0, None, closed="left")],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0.0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "shrinking": ["boolean"],
        "probability": ["boolean"],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "cache_size": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "verbose": ["verbose"],
        "max_iter": [Interval(Integral, -1, None, closed="left")],
        "decision_function_shape": [StrOptions({"ovr", "ovo"})],
        "break_ties": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: float | str = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        probability: bool = False,
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        verbose: bool | int = False,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.probability = probability
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.verbose = verbose
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SVC:
        """Fit to X (n, d), CSR or array, or a kernel matrix (n, n) where that is the kernel, and
        labels y (n,); sample_weight (n,) multiplies C, and samples of weight ≤ 0 take no part."""
        X, y = checked_training(self, X, y)
        self.classes_, codes, self.class_weight_ = checked_targets(y, self.class_weight)
        upper = upper_bounds(self.C, sample_weight, self.class_weight_, codes)
        self._gamma = gamma_of(self.gamma, X) if self._on_features else 0.0
        self._given = None if not callable(self.kernel) else X
        data = self._training_data(X)
        found = fit_machines(
            data, codes, len(self.classes_), upper, self._settings(), reporter(self.verbose)
        )
        self._keep(found, X)
        self.sigmoids_ = svc_sigmoids(self, X, codes, sample_weight) if self.probability else None
        return self

    @property
    def fitted_kernel_(self) -> Kernel | None:
        """The kernel with its numbers, None where kernel values are given; after `fit`."""
        check_is_fitted(self)
        return kernel_of(self)

    @property
    def _on_features(self) -> bool:
        return isinstance(self.kernel, str) and self.kernel != "precomputed"

    def _training_data(self, X: Any) -> Any:
        """Rows of features, or the kernel matrix."""
        kernel = kernel_of(self)
        if kernel is None:
            return check_pairwise(self._kernel_values(X))
        rows = rows_of(X)
        refuse_overflow(kernel, rows)
        return rows

    def _settings(self) -> Settings:
        plan = Plan(
            tol=float(self.tol),
            max_steps=int(self.max_iter),
            shrinking=bool(self.shrinking),
            cache_bytes=float(self.cache_size) * MEGABYTE,
        )
        return Settings(kernel_of(self), float(self.C), plan, threads_of(self.n_jobs))

    def _kernel_values(self, X: Any) -> Any:
        """The kernel matrix of X against the training samples; X itself where it is given."""
        if not callable(self.kernel):
            return X
        values = self.kernel(X, self._given)
        values = values.toarray() if issparse(values) else values
        return np.ascontiguousarray(values, np.float64)

    def _keep(self, found: Machines, X: Any) -> None:
        """Set the fitted attributes."""
        self._machine = found.machine
        self.support_ = found.support.astype(np.int32)
        self.n_support_ = found.machine.counts.astype(np.int32)
        self.shape_fit_ = X.shape if hasattr(X, "shape") else (len(X),)
        self.support_vectors_ = X[found.support] if self._on_features else np.zeros((0, 0))
        coef = found.machine.coef
        self.dual_coef_ = csr_matrix(coef) if self._on_features and issparse(X) else coef
        self.intercept_ = found.machine.intercept.copy()
        self.certificate_ = found.certificate
        with np.errstate(divide="ignore"):
            margins = 1.0 / np.sqrt([max(pair.squared_norm, 0.0) for pair in found.pairs])
        self.margin_ = float(margins[0]) if len(margins) == 1 else margins
        self.n_iter_ = np.array([pair.steps for pair in found.pairs], np.int32)
        self.history_ = [row for pair in found.pairs for row in pair.history]
        self.fit_status_ = int(not all(pair.solved for pair in found.pairs))
        if self.fit_status_:
            warn_of_early_end(self, max(pair.certificate.relative_gap for pair in found.pairs))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.kernel != "precomputed"
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

    # -- prediction ----------------------------------------------------------------------------

    def decision_function(self, X: Any) -> Array:
        """(n,) scores for two classes, positive for `classes_[1]`; for more (n, K) votes that
        break ties by score ('ovr'), or (n, K (K − 1)/2) scores of the pairs ('ovo')."""
        scores = self._pair_scores(X)
        if len(self.classes_) == 2:
            return scores[:, 0]
        if self.decision_function_shape == "ovr":
            return votes(scores, len(self.classes_))
        return scores

    def predict(self, X: Any) -> Array:
        """(n,) the class of each row: the sign of the score, or most votes."""
        check_is_fitted(self)
        K = len(self.classes_)
        if self.break_ties and self.decision_function_shape == "ovo":
            raise ValueError(
                "break_ties must be False when decision_function_shape is 'ovo'. Use "
                "decision_function_shape='ovr'."
            )
        scores = self._pair_scores(X)
        if K == 2:
            codes = (scores[:, 0] > 0.0).astype(np.intp)
        else:
            won = votes(scores, K)
            codes = (won if self.break_ties else np.rint(won)).argmax(axis=1)
        predicted: Array = self.classes_[codes]
        return predicted

    def _pair_scores(self, X: Any) -> Array:
        X = validated(self, X)
        if not self._on_features:
            return matrix_scores(self._machine, self._kernel_values(X), self.support_)
        kernel = kernel_of(self)
        assert kernel is not None
        support, rows = rows_of(self.support_vectors_), rows_of(X)
        return row_scores(self._machine, kernel, support, rows, threads_of(self.n_jobs))

    @available_if(has_sigmoids)
    def predict_proba(self, X: Any) -> Array:
        """(n, K) P(class | x); of more than two classes from the votes."""
        check_is_fitted(self)
        return probabilities(votes_or_scores(self._pair_scores(X)), fitted_sigmoids(self))

    @available_if(has_sigmoids)
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`, finite however sure."""
        check_is_fitted(self)
        return log_probabilities(votes_or_scores(self._pair_scores(X)), fitted_sigmoids(self))

    @property
    def coef_(self) -> Any:
        """(pairs, d) w of each machine, read-only; linear kernel only."""
        if self.kernel != "linear":
            raise AttributeError("coef_ is only available when using a linear kernel")
        check_is_fitted(self)
        return linear_weights(self._machine, self.support_vectors_)
