"""OneVsRestClassifier: many labels over the same samples, trained together, on threads."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from widemargin.data.rows import Array, Rows, Sparse, n_features, n_rows
from widemargin.data.samples import one_label
from widemargin.estimators._common import (
    checked_sparse,
    generator,
    refuse_broken_columns,
    scores_of,
)
from widemargin.estimators.linear_svc import LOSSES, LinearSVC
from widemargin.objective import Certificate, Objective
from widemargin.run.columns import column_groups, each_group, together
from widemargin.run.fit import Fitted, history_row
from widemargin.run.many_labels import fit_labels
from widemargin.run.tuning import FEW_FEATURES
from widemargin.threads import threads_of


class Labelled(NamedTuple):
    """Rows and the labels that have to be told from their absence."""

    rows: Rows
    having: list[Array]  # per label, the rows that have it
    weight: Array  # (n,)
    factor: Array  # (2, K) weights of the rows without and with each label


class OneVsRestClassifier(MultiOutputMixin, ClassifierMixin, BaseEstimator):
    """One linear SVM per label against all samples without it; samples may have many labels.

        min_wₖ,bₖ  ½‖wₖ‖² + C Σᵢ sᵢ ℓ(wₖᵀxᵢ + bₖ; yᵢₖ)      for every label k

    scikit-learn's class of this name for any `LinearSVC` of ours, but the labels share their
    passes over the data, eight at a time, and threads share the eights. The result does not
    depend on the number of threads.

    Parameters
    ----------
    estimator : LinearSVC or None, default=None
        Its options hold for every label; None is `LinearSVC()`. `class_weight` weighs 0, a
        label's absence, and 1, its presence.
    n_jobs : int or None, default=None
        Threads; None is 1, −1 all cores. Memory grows by 128 bytes a sample for each.
    verbose : int, default=0
        Accepted for compatibility.

    Attributes
    ----------
    coef_ : (K, d) float64
    intercept_ : (K,) float64
    classes_ : (K,), or (2,) where there are two classes and one column
    multilabel_ : bool
    certificates_ : list of Certificate, one per column
    certificate_ : Certificate(primal, dual, gap, relative_gap), summed over the columns
    history_ : list of dict(epoch, seconds, objective, gap), seconds as of one thread
    n_iter_ : int, of the slowest column

    A label that all samples have, or none, has no weights and is predicted as seen.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from widemargin import LinearSVC, OneVsRestClassifier
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> clf = OneVsRestClassifier(LinearSVC(loss="hinge", random_state=0)).fit(X, Y)
    >>> clf.predict(X).shape, max(c.relative_gap for c in clf.certificates_) <= 1e-4
    ((100, 3), True)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [LinearSVC, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self, estimator: Any = None, *, n_jobs: int | None = None, verbose: int = 0
    ) -> None:
        self.estimator = estimator
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OneVsRestClassifier:
        """Fit to X (n, d) and labels: (n,) classes, or an (n, K) indicator matrix, dense or
        sparse; sample_weight (n,) ≥ 0 or None."""
        model = LinearSVC() if self.estimator is None else self.estimator
        if model.multi_class != "ovr":
            raise ValueError(
                f"multi_class={model.multi_class!r} of the estimator is a problem of all classes; "
                "one against all needs 'ovr'. Fit that LinearSVC itself."
            )
        model._validate_params()
        model._refuse_combinations()
        data = self._checked(X, y, sample_weight, model.class_weight)
        fits, seed = [constant(column, data) for column in data.having], generator
        open_ = [k for k, fit in enumerate(fits) if fit is None]
        self._warn_of_constant([k for k, fit in enumerate(fits) if fit is not None], fits)
        found = solve(model, data, open_, seed(model.random_state), threads_of(self.n_jobs))
        for k, fit in zip(open_, found, strict=True):
            fits[k] = fit
        self._keep([fit for fit in fits if fit is not None])
        return self

    def _checked(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> Labelled:
        refuse_broken_columns(X)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(y)
        check_consistent_length(X, y)
        self.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(y)
        Y = csc_array(self.label_binarizer_.transform(y))
        self.classes_ = self.label_binarizer_.classes_
        self.multilabel_ = self.label_binarizer_.y_type_.startswith("multilabel")
        self.n_classes_ = len(self.classes_)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not self.multilabel_:
            refuse_one_class(self.classes_, np.asarray(y)[weight > 0.0])
        Y.eliminate_zeros()
        having = np.split(Y.indices, Y.indptr[1:-1])
        return Labelled(checked_sparse(X), having, weight, sides(class_weight, having, len(weight)))

    def _warn_of_constant(self, columns: list[int], fits: list[Fitted | None]) -> None:
        for k in columns:
            fit = fits[k]
            said = "" if fit is not None and fit.b[0] > 0.0 else "not "
            warnings.warn(
                f"Label {said}{self.classes_[k]} is present in all training examples.",
                stacklevel=4,
            )

    def _keep(self, fits: list[Fitted]) -> None:
        whole = together(fits)
        self.coef_ = np.ascontiguousarray(whole.W.reshape(-1, len(fits)).T)
        self.intercept_ = whole.b.copy()
        self.certificates_ = [fit.certificate for fit in fits]
        self.certificate_, self.history_ = whole.certificate, whole.history
        self.n_iter_ = whole.epochs
        worst = max(fits, key=lambda fit: fit.certificate.relative_gap)
        if not whole.solved:
            warnings.warn(
                f"{sum(not fit.solved for fit in fits)} of {len(fits)} labels stopped at max_iter "
                f"with relative duality gaps of up to {worst.certificate.relative_gap:.2g}. Raise "
                "max_iter or tol of the estimator, scale the features, or lower C.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def decision_function(self, X: Any) -> Any:
        """wₖᵀx + bₖ, (n, K); (n,) where there are two classes and one column."""
        return scores_of(self, X, threads_of(self.n_jobs))

    def predict(self, X: Any) -> Any:
        """(n,) classes, or the (n, K) indicator matrix, sparse where that of `fit` was."""
        scores = self.decision_function(X)
        if self.multilabel_:
            present = csr_array((scores > 0.0).reshape(len(scores), -1).astype(np.int64))
            return self.label_binarizer_.inverse_transform(present)
        codes = (scores > 0.0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[codes]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


def refuse_one_class(classes: Array, weighty: Array) -> None:
    """A single class leaves nothing to tell apart."""
    seen = np.unique(weighty).tolist()
    if len(seen) < 2:
        raise ValueError(
            "The data must hold samples of at least two classes (with weight > 0), "
            f"got {len(seen)} class: {', '.join(map(repr, seen)) or 'none'}. Add samples of "
            "another class."
        )


def sides(class_weight: Any, having: list[Array], n: int) -> Array:
    """(2, K) what samples without and with each label weigh."""
    factor = np.ones((2, len(having)))
    if class_weight == "balanced":
        counts = np.array([len(samples) for samples in having])
        both = np.stack([n - counts, counts])
        return np.divide(n, 2.0 * both, out=factor, where=both > 0)
    for side, weight in (class_weight or {}).items():
        if side not in (0, 1):
            raise ValueError(
                f"class_weight has the key {side!r}. The sides of a label are 0, absent, and 1, "
                "present; weigh these."
            )
        factor[int(side)] = weight
    return factor


def constant(column: Array, data: Labelled) -> Fitted | None:
    """What a label that all samples of weight have, or none, comes to; else None."""
    present = float(data.weight[column].sum())
    total = float(data.weight.sum())
    if 0.0 < present < total:
        return None
    b = np.array([1.0 if present > 0.0 else 0.0])
    nothing = Certificate(0.0, 0.0, 0.0, 0.0)
    history = [history_row(1, 0.0, nothing)]
    return Fitted(np.zeros(n_features(data.rows)), b, nothing, history, 1, True)


def solve(
    model: LinearSVC, data: Labelled, open_: list[int], rng: np.random.Generator, threads: int
) -> list[Fitted]:
    """A fit of each column that is open."""
    having, factor = [data.having[k] for k in open_], data.factor[:, open_]
    wide = isinstance(data.rows, Sparse) and n_features(data.rows) > FEW_FEATURES
    if wide and model.penalty == "l2":
        objective = Objective(
            LOSSES[model.loss], float(model.C), fit_intercept=bool(model.fit_intercept)
        )
        epochs = max(int(model.max_iter), 1)
        return fit_labels(
            objective,
            data.rows,
            having,
            data.weight,
            tol=float(model.tol),
            max_epochs=epochs,
            rng=rng,
            factor=factor,
            threads=threads,
        )

    def fit(start: int, stop: int, own: np.random.Generator) -> Fitted:
        codes = np.zeros(n_rows(data.rows), np.int32)
        codes[having[start]] = 1
        single = clone(model).set_params(random_state=int(own.integers(2**31 - 1)), n_jobs=None)
        found: Fitted = single._solve(one_label(data.rows, codes, data.weight, factor[:, start]))
        return found

    return each_group(fit, column_groups(len(open_), 1), rng, threads=threads)
