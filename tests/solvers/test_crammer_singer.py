"""The joint multiclass SVM: step and epoch against their twins, the optimum against SciPy and
LIBLINEAR."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits, load_iris
from sklearn.svm import LinearSVC as Liblinear

from widemargin import LinearSVC
from widemargin.data.rows import as_rows
from widemargin.data.samples import joint_samples
from widemargin.losses import Hinge
from widemargin.objective import Objective
from widemargin.run.joint import fit_joint, walks
from widemargin.solvers.crammer_singer import CrammerSinger, room
from widemargin.solvers.crammer_singer_face import joint_climb
from widemargin.solvers.crammer_singer_kernels import joint_epoch, joint_rebalance, project

C = 0.7


def clouds(n=60, d=5, K=4, seed=0, noise=1.5):
    """Classes that overlap, sparse rows, one empty."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, K, n)
    X = (rng.normal(size=(K, d))[codes] + noise * rng.normal(size=(n, d))) * (
        rng.random((n, d)) < 0.7
    )
    X[3] = 0.0
    return X, codes


def some_samples(sparse=True, K=4, weights=True, **how):
    X, codes = clouds(K=K, **how)
    rng = np.random.default_rng(1)
    rows = as_rows(csr_matrix(X) if sparse else X)
    weight = rng.integers(0, 3, len(X)) * 0.6 if weights else None
    factor = rng.uniform(0.5, 2.0, K) if weights else None
    samples = joint_samples(rows, codes, K, weight, factor)
    return samples, X, codes, C * samples.weight * samples.factor[1, codes]


def weights(state):
    """(d, K), without the zeros that fill the last line."""
    assert not state.W[:, state.b.size :].any()
    return state.W[:, : state.b.size]


def slopes_of(X, W, b, codes):
    """G: scores plus 1 for the wrong classes."""
    G = X @ W + b + 1.0
    G[np.arange(len(X)), codes] -= 1.0
    return G


def value(X, codes, c, W, b):
    G = slopes_of(X, W, b, codes)
    return 0.5 * (W**2).sum() + c @ (G.max(axis=1) - G[np.arange(len(X)), codes])


def solve(samples, tol=1e-8, fit_intercept=True, seed=0):
    objective, rng = Objective(Hinge(), C, fit_intercept=fit_intercept), np.random.default_rng(seed)
    return fit_joint(objective, samples, tol=tol, max_epochs=5000, rng=rng)


# -- the step and the epoch ------------------------------------------------------------------------


def twin_project(D, A, c):
    """rₘ = max(0, Dₘ − β) / A with Σ r = c, by sorting all of D."""
    order = np.sort(D)[::-1]
    betas = (np.cumsum(order) - A * c) / np.arange(1, len(D) + 1)
    beta = betas[np.flatnonzero(order > betas)[-1]]
    return np.maximum(0.0, D - beta) / A


@pytest.mark.parametrize("seed", range(20))
def test_the_projection_is_its_twin(seed):
    rng = np.random.default_rng(seed)
    K, A, c = rng.integers(2, 15), rng.uniform(0.01, 5.0), rng.uniform(0.01, 3.0)
    D = rng.normal(size=K) * rng.choice([0.01, 1.0, 100.0])
    D[rng.integers(K)] = D[rng.integers(K)]  # sometimes a tie
    r = np.full(K, np.nan)
    project(D, A, c, np.empty(K, np.int64), r)
    np.testing.assert_allclose(r, twin_project(D, A, c), rtol=1e-11, atol=1e-12 * c)
    assert r.min() >= 0.0 and r.sum() == pytest.approx(c, rel=1e-14)


def test_a_row_of_zeros_puts_its_mass_on_the_best_class():
    r = np.empty(3)
    project(np.array([0.2, 1.0, 0.9]), 0.0, 2.0, np.empty(3, np.int64), r)
    assert r.tolist() == [0.0, 2.0, 0.0]


def twin_epoch(X, codes, c, order, rho, state):
    """Exact steps along `order`, from the docstring, in plain NumPy."""
    W, b, masses, delta, gain = (*state, 0.0)
    for i in order:
        G = X[i] @ W + b + (np.arange(len(b)) != codes[i])
        if masses[i, np.argmax(G)] == c[i]:
            continue
        A = X[i] @ X[i] + rho
        move = twin_project(G + A * masses[i], A, c[i]) - masses[i]
        gain += G @ move - 0.5 * A * move @ move
        masses[i] += move
        W, b, delta = W - np.outer(X[i], move), b - rho * move, delta - move
    return W, b, masses, delta, gain


@pytest.mark.parametrize("sparse, K", [(True, 4), (False, 11)])
def test_the_epoch_is_its_twin(sparse, K):
    samples, X, codes, c = some_samples(sparse, K)
    order = np.tile(np.random.default_rng(2).permutation(len(X)), 3)
    state = CrammerSinger().init(Objective(Hinge(), C), samples)
    state = state._replace(rho=0.3)
    start = np.zeros_like(weights(state)), np.zeros(K), state.masses.copy(), np.zeros(K)
    W, b, masses, delta, gain = twin_epoch(X, codes, c, order, 0.3, start)
    found, *_ = joint_epoch(C, samples, order.astype(np.uint32), state, room(K))
    assert found == pytest.approx(gain, rel=1e-10)
    for ours, twin in (
        (weights(state), W),
        (state.masses, masses),
        (state.delta, delta),
        (state.b, b),
    ):
        np.testing.assert_allclose(ours, twin, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(state.masses.sum(axis=1), c, rtol=1e-13)


def after(epochs, samples, objective=None):
    solver, objective = CrammerSinger(), objective or Objective(Hinge(), C)
    state, rng = solver.init(objective, samples), np.random.default_rng(0)
    for _ in range(epochs):
        order = rng.permutation(len(samples.codes)).astype(np.uint32)
        state = solver.epoch(objective, samples, order, state)
    return state


def dual_of(state, codes, c):
    return (
        float((c - state.masses[np.arange(len(codes)), codes]).sum())
        - 0.5 * (weights(state) ** 2).sum()
    )


def test_balance_is_exact_and_cheap():
    samples, X, codes, c = some_samples()
    state = after(4, samples)
    W, before = weights(state).copy(), dual_of(state, codes, c)
    assert np.abs(state.delta).max() > 1e-3
    joint_rebalance(C, samples, state)
    alpha = c[:, None] * np.eye(4)[codes] - state.masses
    np.testing.assert_allclose(alpha.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(state.masses.sum(axis=1), c, atol=1e-13)
    np.testing.assert_allclose(weights(state), X.T @ alpha, atol=1e-12)
    assert state.masses.min() >= 0.0 and not np.array_equal(W, weights(state))
    assert dual_of(state, codes, c) > before - 0.1 * abs(before)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_climbing_raises_the_dual_and_stays_feasible(fit_intercept):
    samples, X, codes, c = some_samples(weights=False)
    objective = Objective(Hinge(), C, fit_intercept=fit_intercept)
    state = after(3, samples, objective)
    if fit_intercept:
        joint_rebalance(C, samples, state)
    before = dual_of(state, codes, c)
    assert joint_climb(samples, state, 4000, fit_intercept)
    assert dual_of(state, codes, c) > before
    np.testing.assert_allclose(state.masses.sum(axis=1), c, atol=1e-13)
    alpha = c[:, None] * np.eye(4)[codes] - state.masses
    np.testing.assert_allclose(weights(state), X.T @ alpha, atol=1e-11)
    if fit_intercept:
        np.testing.assert_allclose(alpha.sum(axis=0), 0.0, atol=1e-12)


# -- the optimum ----------------------------------------------------------------------------------


def by_quadratic_programming(X, codes, c, K, fit_intercept):
    """min ½‖W‖² + cᵀξ, ξᵢ ≥ Gᵢₘ − Gᵢᵧ for every m, by SLSQP; the value that it attains."""
    n, d = X.shape

    def parts(t):
        return t[: d * K].reshape(d, K), t[d * K : d * K + K] * fit_intercept, t[d * K + K :]

    def slack(t):
        W, b, xi = parts(t)
        G = slopes_of(X, W, b, codes)
        return (xi[:, None] + G[np.arange(n), codes][:, None] - G).ravel()

    def cost(t):
        W, _, xi = parts(t)
        return 0.5 * (W**2).sum() + c @ xi, np.concatenate([W.ravel(), np.zeros(K), c])

    jacobian = np.array([slack(e) - slack(np.zeros(d * K + K + n))
                         for e in np.eye(d * K + K + n)]).T  # fmt: skip
    start = np.concatenate([np.zeros(d * K + K), np.ones(n)])
    rule = {"type": "ineq", "fun": slack, "jac": lambda t: jacobian}
    found = minimize(cost, start, jac=True, method="SLSQP", constraints=rule,
                     options={"maxiter": 300, "ftol": 1e-13})  # fmt: skip
    W, b, _ = parts(found.x)
    return value(X, codes, c, W, b)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_optimum_is_that_of_quadratic_programming(fit_intercept):
    samples, X, codes, c = some_samples(K=3, n=24, d=3)
    fitted = solve(samples, fit_intercept=fit_intercept)
    assert fitted.solved
    attained = value(X, codes, c, fitted.W, fitted.b)
    assert attained == pytest.approx(fitted.certificate.primal, rel=1e-10)
    best = by_quadratic_programming(X, codes, c, 3, fit_intercept)
    assert attained <= best * (1.0 + 2e-8)
    assert fitted.certificate.dual <= best * (1.0 + 1e-12)


def liblinear(X, y, C):
    """Its objective on X with a constant feature, whose weights are penalised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Liblinear(multi_class="crammer_singer", C=C, tol=1e-7, max_iter=200_000)
        model.fit(X, y)
    W = np.column_stack([model.coef_, model.intercept_]).T
    return value(np.column_stack([X, np.ones(len(X))]), y, np.full(len(X), C), W, 0.0)


@pytest.mark.parametrize("load, C", [(load_iris, 0.5), (load_digits, 1e-3)])
def test_liblinear_reaches_no_less(load, C):
    X, y = load(return_X_y=True)
    X, y = X[:: len(X) // 150] / X.max(), y[:: len(X) // 150]
    ones = np.column_stack([X, np.ones(len(X))])
    ours = LinearSVC(multi_class="crammer_singer", C=C, tol=1e-8, fit_intercept=False).fit(ones, y)
    assert ours.certificate_.primal == pytest.approx(liblinear(X, y, C), rel=1e-6)


def last_state(samples, tol, **how):
    objective, rng = Objective(Hinge(), C), np.random.default_rng(0)
    *_, last = walks(objective, samples, tol, 5000, rng, **how)
    assert last.solved
    return last.state, last.certificate


def test_free_classes_are_level_at_the_optimum():
    samples, X, codes, c = some_samples(K=4)
    state, _ = last_state(samples, 1e-10)
    G = slopes_of(X, weights(state), state.b, codes)
    lowest = np.where(state.masses > 1e-6, G, np.inf).min(axis=1)
    assert (G.max(axis=1) - lowest)[c > 0.0].max() < 1e-3


def test_leaving_samples_and_classes_out_changes_nothing():
    """Classes far apart and many of them, so that samples and classes are out of reach."""
    samples, *_ = some_samples(K=20, n=300, d=8, weights=False, noise=0.3)
    state = after(40, samples)
    assert (state.listed > 0).any() and not state.keep.all()
    (_, some), (_, whole) = (last_state(samples, 1e-5, shrink=shrink) for shrink in (True, False))
    assert some.primal == pytest.approx(whole.primal, rel=2e-5)


def test_a_weight_is_a_repetition():
    X, codes = clouds()
    times = np.random.default_rng(4).integers(0, 3, len(X))
    one = solve(joint_samples(as_rows(X), codes, 4, times.astype(float)))
    many = solve(joint_samples(as_rows(np.repeat(X, times, axis=0)), np.repeat(codes, times), 4))
    np.testing.assert_allclose(one.W, many.W, atol=1e-3)
    assert one.certificate.primal == pytest.approx(many.certificate.primal, rel=2e-8)


def test_two_classes_are_the_hinge_at_twice_the_weight():
    X, codes = clouds(K=2)
    ours = LinearSVC(multi_class="crammer_singer", C=0.3, tol=1e-9).fit(X, codes)
    hinge = LinearSVC(loss="hinge", C=0.6, tol=1e-9).fit(X, codes)
    assert ours.coef_.shape == (1, 5) and ours.intercept_.shape == (1,)
    np.testing.assert_allclose(ours.coef_, hinge.coef_, atol=1e-4)
    assert 2.0 * ours.certificate_.primal == pytest.approx(hinge.certificate_.primal, rel=1e-8)


def test_options_that_are_no_part_of_it_are_ignored():
    X, codes = clouds()
    how = dict(multi_class="crammer_singer", random_state=0)
    plain = LinearSVC(**how).fit(X, codes)
    odd = LinearSVC(penalty="l1", loss="hinge", dual=True, **how).fit(X, codes)
    np.testing.assert_array_equal(plain.coef_, odd.coef_)


def test_class_weights_are_sample_weights():
    X, codes = clouds()
    weight = {0: 2.0, 1: 0.5, 2: 1.0, 3: 1.5}
    how = dict(multi_class="crammer_singer", random_state=0, tol=1e-7)
    one = LinearSVC(class_weight=weight, **how).fit(X, codes)
    two = LinearSVC(**how).fit(X, codes, sample_weight=[weight[k] for k in codes])
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-12)
