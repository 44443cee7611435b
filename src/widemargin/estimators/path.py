"""`widemargin.path`: the classifiers of a list of C, warm-started and certified."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from widemargin.data.rows import Array, n_features
from widemargin.estimators._common import checked_rows, generator, samples_of
from widemargin.estimators.linear_svc import LOSSES, LinearSVC
from widemargin.objective import Certificate, Objective
from widemargin.run.path import dual_path, newton_path
from widemargin.run.tuning import FEW_FEATURES


class Path(NamedTuple):
    """The classifiers of rising C; `predict` at a point is the largest of X coefs[i]ᵀ + b."""

    Cs: Array  # (m,)
    coefs: Array  # (m, 1, d) for two classes, (m, K, d) for more
    intercepts: Array  # (m, 1) or (m, K)
    certificates: list[Certificate]  # of each C
    epochs: list[int]  # that each C took, from the solution before
    classes: Array


def checked_Cs(Cs: Any, lowest: int = 1) -> Array:
    """Distinct values in rising order; a number of them stands for 1e-3 … 1e3."""
    if isinstance(Cs, Integral):
        if int(Cs) < lowest:
            raise ValueError(f"Cs={Cs!r} must be at least {lowest}: so many values of C.")
        return np.geomspace(1e-3, 1e3, int(Cs)) if Cs != 1 else np.ones(1)
    values = np.unique(np.asarray(Cs, np.float64))
    if np.ndim(Cs) != 1 or len(values) < lowest:
        raise ValueError(f"Cs={Cs!r} must be a list of {lowest} or more values of C, or a number.")
    if not (np.isfinite(values).all() and values[0] > 0.0):
        raise ValueError(f"Cs holds {values[0]} … {values[-1]}: all must be positive and finite.")
    return values


@validate_params(
    {
        "loss": [StrOptions(set(LOSSES))],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "fit_intercept": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def path(
    X: Any,
    y: Any,
    Cs: Any = 13,
    *,
    loss: str = "squared_hinge",
    tol: float = 1e-4,
    fit_intercept: bool = True,
    class_weight: Any = None,
    sample_weight: Any = None,
    max_iter: int = 1000,
    random_state: Any = None,
) -> Path:
    """The linear SVMs of every C in `Cs`, each certified to `tol`, each started from the last.

        min_w,b  ½‖w‖² + C Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ),     b not penalised

    Parameters
    ----------
    X : (n, d) array or CSR; y : (n,) labels of two or more classes
    Cs : int or list of floats; they are solved in rising order. A number stands for as many
        between 1e-3 and 1e3, evenly spaced in their logarithm.
    loss, tol, fit_intercept, class_weight, max_iter, random_state : as for `LinearSVC`

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> import widemargin as wm
    >>> X, y = make_classification(random_state=0)
    >>> path = wm.path(X, y, [0.01, 0.1, 1.0], tol=1e-6)
    >>> path.coefs.shape, max(proof.relative_gap for proof in path.certificates) <= 1e-6
    ((3, 1, 20), True)
    """
    values = checked_Cs(Cs)
    checker = LinearSVC(loss=loss)  # what the data are checked against
    rows, X, y = checked_rows(checker, X, y, reset=True)
    samples, classes = samples_of(rows, y, sample_weight, X, class_weight)
    objective = Objective(LOSSES[loss], float(values[0]), fit_intercept=bool(fit_intercept))
    todo = {"tol": float(tol), "max_epochs": int(max_iter)}
    if loss == "squared_hinge" and n_features(rows) <= FEW_FEATURES:
        fits = list(newton_path(objective, samples, values.tolist(), **todo))  # type: ignore[arg-type]
    else:
        rng = generator(random_state)
        fits = list(dual_path(objective, samples, values.tolist(), rng=rng, **todo))  # type: ignore[arg-type]
    d, K = n_features(rows), fits[0].b.size
    return Path(
        values,
        np.stack([fit.W.reshape(d, K).T for fit in fits]),
        np.stack([fit.b for fit in fits]),
        [fit.certificate for fit in fits],
        [fit.epochs for fit in fits],
        classes,
    )
