"""Independent solvers and plain NumPy twins that tests hold the library against."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog, minimize
from sklearn.svm import SVC

from widemargin.data.rows import Dense, as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import EpsilonInsensitive, Hinge, PerceptronLoss, slope, value
from widemargin.penalties import L1, L2, ElasticNet, NoPenalty


class Column(NamedTuple):
    """One binary problem, dense: what the independent solvers see."""

    X: np.ndarray
    y: np.ndarray  # ±1
    c: np.ndarray  # C times the weights


def binary_samples(X, y, sample_weight=None, class_weight=None):
    """Samples of labels ±1 (or 0/1), rows as the library sees them."""
    return make_samples(as_rows(X), (y > 0).astype(np.int32), 2, sample_weight, class_weight)


def columns_of(samples, C):
    """The binary problems of Samples, from the definition."""
    X = samples.rows.X if isinstance(samples.rows, Dense) else full(samples.rows)
    found = []
    for k in range(samples.factor.shape[1]):
        positive = samples.codes == k + samples.first
        c = C * samples.weight * np.where(positive, samples.factor[1, k], samples.factor[0, k])
        found.append(Column(X.astype(float), np.where(positive, 1.0, -1.0), c))
    return found


def full(rows):
    """Sparse rows as a dense array."""
    X = np.zeros((len(rows.indptr) - 1, rows.n_features))
    for i, (a, e) in enumerate(zip(rows.indptr, rows.indptr[1:], strict=False)):
        X[i, rows.indices[a:e]] = rows.values[a:e]
    return X


def objective_value(loss, penalty, column, w, b):
    """r(w) + Σ cᵢ ℓ(wᵀxᵢ + b; yᵢ)."""
    p = column.X @ w + b
    losses = [value(loss, s, y) for s, y in zip(p, column.y, strict=True)]
    return penalty_of(penalty, w) + float(column.c @ losses)


def penalty_of(penalty, w):
    squares, sizes = 0.5 * float(w @ w), float(np.abs(w).sum())
    match penalty:
        case L2():
            return squares
        case L1():
            return sizes
        case ElasticNet(rho):
            return (1 - rho) * squares + rho * sizes
    return 0.0


def optimum(loss, penalty, column, fit_intercept):
    """(f, w, b) by the solver that suits; f is attained, so no less than the least value."""
    if isinstance(loss, PerceptronLoss):
        w, b = np.zeros(column.X.shape[1]), 0.0
    elif isinstance(loss, Hinge | EpsilonInsensitive):
        w, b = by_pieces(loss, penalty, column, fit_intercept)
    else:
        w, b = by_slopes(loss, penalty, column, fit_intercept)
    return objective_value(loss, penalty, column, w, b), w, b


def by_slopes(loss, penalty, column, fit_intercept):
    """Smooth losses: w = u − v with u, v ≥ 0, so that |w| = u + v is smooth too; L-BFGS-B."""
    X, y, c = column
    d = X.shape[1]
    ratio, square = shares_of(penalty)

    def cost(t):
        u, v, b = t[:d], t[d:-1], t[-1]
        w, p = u - v, X @ (u - v) + b
        f = 0.5 * square * (w @ w) + ratio * (u + v).sum()
        f += c @ [value(loss, s, z) for s, z in zip(p, y, strict=True)]
        g = c * [slope(loss, s, z) for s, z in zip(p, y, strict=True)]
        down = X.T @ g + square * w
        return f, np.concatenate([down + ratio, ratio - down, [g.sum()]])

    free = (None, None) if fit_intercept else (0.0, 0.0)
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 50}
    found = minimize(
        cost, np.zeros(2 * d + 1), jac=True, bounds=[(0, None)] * (2 * d) + [free], options=options
    )
    return found.x[:d] - found.x[d:-1], found.x[-1]


def shares_of(penalty):
    """(share of ‖w‖₁, share of ½‖w‖²)"""
    match penalty:
        case L2():
            return 0.0, 1.0
        case L1():
            return 1.0, 0.0
        case ElasticNet(rho):
            return rho, 1.0 - rho
        case NoPenalty():
            return 0.0, 0.0


def by_pieces(loss, penalty, column, fit_intercept):
    """Losses made of straight pieces: one slack a sample; HiGHS without squares, SLSQP with."""
    X, y, c = column
    n, d = X.shape
    Z, eye = np.column_stack([X, -X, np.full(n, float(fit_intercept))]), np.eye(n)
    if isinstance(loss, Hinge):  # ξ + y (z·t) ≥ 1
        A, least = np.column_stack([y[:, None] * Z, eye]), np.ones(n)
    else:  # ξ ≥ ±(z·t − y) − ε
        A = np.vstack([np.column_stack([Z, eye]), np.column_stack([-Z, eye])])
        least = np.concatenate([y, -y]) - loss.epsilon
    ratio, square = shares_of(penalty)
    price = np.concatenate([np.full(2 * d, ratio), [0.0], c])
    bounds = [(0, None)] * (2 * d) + [(None, None)] + [(0, None)] * n
    if square == 0.0:
        t = linprog(price, A_ub=-A, b_ub=-least, bounds=bounds).x
        return t[:d] - t[d : 2 * d], t[2 * d]

    def cost(t):
        w = t[:d] - t[d : 2 * d]
        down = np.zeros(t.size)
        down[:d], down[d : 2 * d] = square * w, -square * w
        return 0.5 * square * (w @ w) + price @ t, down + price

    start = np.concatenate([np.zeros(2 * d + 1), np.full(n, 1.0 + abs(y).max())])
    inside = {"type": "ineq", "fun": lambda t: A @ t - least, "jac": lambda t: A}
    options = {"maxiter": 500, "ftol": 1e-14}
    t = minimize(
        cost, start, jac=True, method="SLSQP", bounds=bounds, constraints=inside, options=options
    ).x
    return t[:d] - t[d : 2 * d], t[2 * d]


def libsvm(X, y, C=1.0, tol=1e-9, sample_weight=None, class_weight=None):
    """(f, w, b) of the unpenalised-intercept hinge problem, the value taken in float64."""
    svc = SVC(kernel="linear", C=C, tol=tol, class_weight=class_weight, cache_size=1000)
    svc.fit(X, y, sample_weight=sample_weight)
    w = svc.coef_.toarray().ravel() if hasattr(svc.coef_, "toarray") else svc.coef_.ravel()
    b = float(svc.intercept_[0])
    sides = np.where(y == svc.classes_[1], 1.0, -1.0)
    c = C * svc.class_weight_[(sides > 0).astype(int)]
    if sample_weight is not None:
        c = c * sample_weight
    losses = np.maximum(0.0, 1.0 - sides * (X @ w + b))
    return 0.5 * float(w @ w) + float(c @ losses), w, b
