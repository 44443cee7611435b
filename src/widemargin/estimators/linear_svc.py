"""LinearSVC: scikit-learn's contract over the certified solvers."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from widemargin.data.rows import n_features
from widemargin.data.samples import Samples, joint_samples, make_samples
from widemargin.estimators._common import (
    checked_rows,
    generator,
    keep_fit,
    samples_of,
    scores_of,
)
from widemargin.estimators._proba import (
    cloned_sigmoids,
    dual_sigmoids,
    has_sigmoids,
    log_proba_of,
    proba_of,
)
from widemargin.estimators.svc_engine import refuse_with_engine, solve_on_engine
from widemargin.losses import Hinge, Loss, SquaredHinge
from widemargin.objective import Objective
from widemargin.penalties import L1, L2, Penalty
from widemargin.run.fit import Fitted, fit_dual, fit_newton, fit_primal_cd
from widemargin.run.joint import JOINT, fit_joint
from widemargin.run.tuning import FEW_FEATURES
from widemargin.solvers.newton import FiniteNewton
from widemargin.solvers.prox_newton import ProximalNewton
from widemargin.threads import threads_of

LOSSES: dict[str, Loss] = {"hinge": Hinge(), "squared_hinge": SquaredHinge()}
PENALTIES: dict[str, Penalty] = {"l1": L1(), "l2": L2()}


class LinearSVC(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """Linear support vector classification, to a proved distance from the optimum.

        min_w,b  r(w) + C Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ),     r = ½‖w‖² or ‖w‖₁, b not penalised

    Parameters, in scikit-learn's order and with its defaults
    ---------------------------------------------------------
    penalty : {'l1', 'l2'}, default='l2'
        With 'l1' and more than 256 features, sparse data are also held by columns: a copy.
    loss : {'hinge', 'squared_hinge'}, default='squared_hinge'
    dual : bool or 'auto', default='auto'
        Accepted for compatibility: it decides which combinations are refused, as in
        scikit-learn, not which algorithm runs.
    tol : float, default=1e-4
        The relative duality gap to reach, (f − D) / f, on every column.
    C : float, default=1.0
    multi_class : {'ovr', 'crammer_singer'}, default='ovr'
        One against all, all classes in one pass over the data; or one problem for all classes,
        ½ Σₘ ‖wₘ‖² + C Σᵢ sᵢ maxₘ {[m ≠ yᵢ] + (wₘ − wᵧ)ᵀxᵢ + bₘ − bᵧ}, y = yᵢ, of which loss,
        penalty and dual are no part: they are ignored, as in scikit-learn.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        Accepted and without effect: the intercept is not penalised, so there is nothing to scale.
    class_weight : dict, 'balanced' or None, default=None
    verbose : int, default=0
        Above 0, a line per certificate.
    random_state : int, RandomState or None, default=None
    max_iter : int, default=1000
        Epochs, or Newton steps.
    n_jobs : int or None, default=None
        Threads of the dual solver, and of scores; None is 1, -1 all cores. Large data alone are
        worth several. The result is the same for the same number of threads, and within `tol`
        for any.
    probability : bool, default=False
        Ours: after the fit also fit Platt's sigmoid, or one per class, to scores cross-validated
        on 5 folds, and so offer `predict_proba` and `predict_log_proba`.
    engine : None or a `widemargin.cluster.Cluster`, default=None
        Ours: where the steps are taken; None, this process. An engine's workers climb the dual on
        blocks of rows and its servers add what they move, after CoCoA+; this process certifies the
        whole at the end of each epoch. Needs penalty 'l2' and multi_class 'ovr'.

    Attributes
    ----------
    coef_ : (1, d) or (K, d) float64
    intercept_ : (1,) or (K,) float64
    classes_ : (K,)
    certificate_ : Certificate(primal, dual, gap, relative_gap), summed over the columns
    history_ : list of dict(epoch, seconds, objective, gap, dual), NaN where not measured
    n_iter_ : int
    sigmoids_ : tuple of Sigmoid(A, B, D), one per column; with probability=True

    Raises
    ------
    ValueError
        For unknown options, combinations that do not exist, data that are not finite, column
        indices outside the matrix, or fewer than two classes.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from widemargin import LinearSVC
    >>> X, y = make_classification(random_state=0)
    >>> clf = LinearSVC(C=0.1, loss="hinge", tol=1e-6, random_state=0).fit(X, y)
    >>> clf.certificate_.relative_gap <= 1e-6
    True

    References
    ----------
    Hsieh et al., 2008 (dual coordinate descent); Mangasarian, 2002 (finite Newton); Yuan et al.,
    2010 and 2012 (L1); Crammer & Singer, 2001, and Keerthi et al., 2008 (the joint problem). See
    the modules in `widemargin.solvers`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "penalty": [StrOptions({"l1", "l2"})],
        "loss": [StrOptions({"hinge", "squared_hinge"})],
        "dual": ["boolean", StrOptions({"auto"})],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "C": [Interval(Real, 0.0, None, closed="neither")],
        "multi_class": [StrOptions({"ovr", JOINT})],
        "fit_intercept": ["boolean"],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "probability": ["boolean"],
        "engine": [HasMethods(["start"]), None],
    }

    def __init__(
        self,
        penalty: str = "l2",
        loss: str = "squared_hinge",
        *,
        dual: bool | str = "auto",
        tol: float = 1e-4,
        C: float = 1.0,
        multi_class: str = "ovr",
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        probability: bool = False,
        engine: Any = None,
    ) -> None:
        self.dual = dual
        self.tol = tol
        self.C = C
        self.multi_class = multi_class
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.verbose = verbose
        self.random_state = random_state
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.penalty = penalty
        self.loss = loss
        self.probability = probability
        self.engine = engine

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearSVC:
        """Fit to X (n, d), CSR or array, and labels y (n,); sample_weight (n,) ≥ 0 or None."""
        joint = self.multi_class == JOINT
        if not joint:
            self._refuse_combinations()
        if self.engine is not None:
            refuse_with_engine(self)
        rows, X, y = checked_rows(self, X, y, reset=True)
        make = joint_samples if joint else make_samples
        samples, self.classes_ = samples_of(rows, y, sample_weight, X, self.class_weight, make)
        fitted = self._solve(samples)
        keep_fit(self, fitted, samples)
        if not fitted.solved:
            warnings.warn(
                f"LinearSVC stopped at max_iter={self.max_iter} with a relative duality gap of "
                f"{fitted.certificate.relative_gap:.2g}, tol={self.tol:g}. Raise max_iter or tol, "
                "scale the features, or lower C.",
                ConvergenceWarning,
                stacklevel=2,
            )
        if self.probability:
            alike = self.penalty == "l2" and self.multi_class != JOINT  # the dual solver's problem
            self.sigmoids_ = (
                dual_sigmoids(self, self._objective(), samples)
                if alike
                else cloned_sigmoids(self, X, y, sample_weight)
            )
        return self

    @available_if(has_sigmoids)
    def predict_proba(self, X: Any) -> Any:
        """P(class | x), shape (n, n_classes): sigmoids of the scores, divided by their sum."""
        return proba_of(self, X)

    @available_if(has_sigmoids)
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`, finite however sure."""
        return log_proba_of(self, X)

    def _objective(self) -> Objective:
        penalty = PENALTIES[self.penalty]
        return Objective(LOSSES[self.loss], float(self.C), penalty, bool(self.fit_intercept))

    def _solve(self, samples: Samples) -> Fitted:
        objective = self._objective()
        epochs, progress = max(int(self.max_iter), 1), self._report if self.verbose else None
        tol, rng, threads = float(self.tol), generator(self.random_state), threads_of(self.n_jobs)
        if self.engine is not None:
            return solve_on_engine(self, objective, samples, rng, progress)
        if self.multi_class == JOINT:
            return fit_joint(
                objective, samples, tol=tol, max_epochs=epochs, rng=rng, progress=progress
            )
        if n_features(samples.rows) <= FEW_FEATURES and self.penalty == "l1":
            return fit_newton(
                ProximalNewton(), objective, samples, tol=tol, max_epochs=epochs, progress=progress
            )
        if n_features(samples.rows) <= FEW_FEATURES and self.loss == "squared_hinge":
            return fit_newton(
                FiniteNewton(),
                objective,
                samples,
                tol=tol,
                max_epochs=epochs,
                to_the_end=True,
                progress=progress,
            )
        how: dict[str, Any] = {"tol": tol, "max_epochs": epochs, "rng": rng, "progress": progress}
        if self.penalty == "l1":
            return fit_primal_cd(objective, samples, **how)
        return fit_dual(objective, samples, threads=threads, **how)

    def decision_function(self, X: Any) -> Any:
        """wᵀx + b of each row, (n,) or (n, K), on `n_jobs` threads."""
        threads = threads_of(self.n_jobs)
        return super().decision_function(X) if threads == 1 else scores_of(self, X, threads)

    def _refuse_combinations(self) -> None:
        penalty, loss, dual = self.penalty, self.loss, self.dual
        if (
            (penalty, loss) == ("l1", "hinge")
            or (loss == "hinge" and dual is False)
            or (penalty == "l1" and dual is True)
        ):
            raise ValueError(
                f"Unsupported set of arguments: penalty={penalty!r}, loss={loss!r}, dual={dual!r}. "
                "penalty='l1' needs loss='squared_hinge' and dual=False; loss='hinge' needs "
                "penalty='l2' and dual=True. dual='auto' picks what fits."
            )

    @staticmethod
    def _report(row: dict[str, float]) -> None:
        if row["gap"] == row["gap"]:
            print(
                f"[LinearSVC] epoch {row['epoch']:>4.0f}  {row['seconds']:8.3f} s  "
                f"objective {row['objective']:.6g}  relative gap {row['gap']:.2g}"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
