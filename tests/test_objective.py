"""The certificate bounds the distance from the optimum, and its parts are what they say."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from reference import columns_of, objective_value, optimum, penalty_of
from widemargin import objective as module
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import LOSSES, Hinge, Logistic, SquaredHinge, slope, value
from widemargin.objective import (
    Objective,
    balance,
    best_on_segment,
    certificate_of,
    certify,
    column,
    combine,
    conjugate_sums,
    dual,
    lam_of,
    loss_sums,
    primal,
    slope_duals,
    zero_weights,
)
from widemargin.penalties import L1, L2, ElasticNet, NoPenalty

KERNELS = [
    "score_rows",
    "add_losses",
    "propose",
    "combine",
    "side_sums",
    "scale_sides",
    "conjugate_sums",
]
PENALTIES = [L2(), L1(), ElasticNet(0.3), NoPenalty()]


@pytest.fixture
def plain_kernels(monkeypatch):
    """The kernels as the Python they are written in: every loss, without compiling each."""
    for name in KERNELS:
        monkeypatch.setattr(module, name, getattr(module, name).py_func)


def random_samples(rng, n_classes, sparse, n=14, d=3):
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    codes = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    weight = rng.integers(0, 4, n) * rng.choice([1.0, rng.uniform(0.1, 2.0)])
    factor = rng.uniform(0.2, 3.0, n_classes) if rng.random() < 0.5 else None
    rows = as_rows(csr_matrix(X) if sparse else X)
    return make_samples(rows, codes, n_classes, weight, factor)


def random_weights(rng, samples, best):
    """Zero, random of any size, the optimum, or near it."""
    W, b = zero_weights(samples)
    kind = rng.integers(4)
    for k, (_, w, bias) in enumerate(best):
        near = 10.0 ** rng.uniform(-6, 0) * rng.normal(size=w.size + 1)
        far = 10.0 ** rng.uniform(-2, 2) * rng.normal(size=w.size + 1)
        at = [np.zeros(w.size + 1), far, np.append(w, bias), np.append(w, bias) + near][kind]
        column(W, k)[:], b[k] = at[:-1], at[-1]
    return W, b


def check_bound(rng, loss, penalty, n_classes, sparse):
    C, fit_intercept = 10.0 ** rng.uniform(-2, 1.5), bool(rng.integers(2))
    samples = random_samples(rng, n_classes, sparse)
    problems = columns_of(samples, C)
    best = [optimum(loss, penalty, problem, fit_intercept) for problem in problems]
    W, b = random_weights(rng, samples, best)
    if not fit_intercept:
        b[:] = 0.0
    proof = certify(Objective(loss, C, penalty, fit_intercept), samples, W, b)
    least = sum(f for f, _, _ in best)
    here = sum(
        objective_value(loss, penalty, problem, column(W, k), b[k])
        for k, problem in enumerate(problems)
    )
    assert proof.primal == pytest.approx(here, rel=1e-12)
    assert proof.dual <= least + 1e-9 * (1.0 + abs(least))
    assert proof.gap >= here - least - 1e-9 * (1.0 + abs(here))
    return proof, here - least


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_bound_for_every_loss_and_penalty(plain_kernels, name, n_classes):
    for seed in range(12):
        rng = np.random.default_rng([seed, n_classes])
        check_bound(rng, LOSSES[name](), PENALTIES[seed % 4], n_classes, sparse=seed % 3 == 0)


@pytest.mark.parametrize(
    "loss, penalty, n_classes, sparse",
    [
        (Hinge(), L2(), 2, True),
        (SquaredHinge(), L1(), 2, False),
        (Logistic(), ElasticNet(0.5), 3, True),
    ],
)
def test_bound_of_compiled_kernels(loss, penalty, n_classes, sparse):
    for seed in range(25):
        check_bound(np.random.default_rng([7, seed]), loss, penalty, n_classes, sparse)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", [L2(), L1(), ElasticNet(0.4)])
@pytest.mark.parametrize("loss", [SquaredHinge(), Logistic()])
def test_bound_is_tight_at_the_optimum_of_smooth_losses(
    plain_kernels, loss, penalty, fit_intercept
):
    rng = np.random.default_rng(12)
    samples = make_samples(as_rows(rng.normal(size=(30, 3))), rng.integers(0, 2, 30), 2)
    (problem,) = columns_of(samples, 0.7)
    _, w, b = optimum(loss, penalty, problem, fit_intercept)
    objective = Objective(loss, 0.7, penalty, fit_intercept)
    assert certify(objective, samples, w, np.array([b])).relative_gap < 1e-5


# -- kernels against NumPy ---------------------------------------------------------------------


@pytest.fixture(params=[(2, True), (2, False), (3, True), (3, False)], ids=str)
def samples(request):
    return random_samples(np.random.default_rng(13), *request.param, n=40, d=7)


def random_point(samples):
    rng = np.random.default_rng(14)
    W, b = zero_weights(samples)
    W[:], b[:] = rng.normal(size=W.shape), rng.normal(size=b.shape)
    return W, b


def test_loss_sums_and_slope_duals(samples):
    W, b = random_point(samples)
    C, loss = 0.3, Hinge()
    alpha = slope_duals(loss, C, samples, W, b)
    sums = loss_sums(loss, samples, W, b)
    for k, (X, y, c) in enumerate(columns_of(samples, C)):
        p = X @ column(W, k) + b[k]
        losses = [value(loss, s, z) for s, z in zip(p, y, strict=True)]
        slopes = np.array([slope(loss, s, z) for s, z in zip(p, y, strict=True)])
        assert C * sums[k] == pytest.approx(c @ losses, rel=1e-12)
        np.testing.assert_allclose(alpha[:, k], -c * y * slopes, rtol=1e-12, atol=1e-300)


def test_combine_and_primal_and_dual(samples):
    W, b = random_point(samples)
    V, alpha = np.full_like(W, np.nan), np.abs(random_duals(samples, b.size))
    combine(samples, alpha, V)
    for k, (X, y, _) in enumerate(columns_of(samples, 1.0)):
        np.testing.assert_allclose(column(V, k), X.T @ (alpha[:, k] * y), rtol=1e-12, atol=1e-12)


def random_duals(samples, K):
    return np.random.default_rng(15).normal(size=(len(samples.codes), K))


def test_primal_adds_the_penalty(samples):
    W, b = random_point(samples)
    found = primal(Objective(Hinge(), 0.3, ElasticNet(0.2)), samples, W, b)
    for k, problem in enumerate(columns_of(samples, 0.3)):
        expected = objective_value(Hinge(), ElasticNet(0.2), problem, column(W, k), b[k])
        assert found[k] == pytest.approx(expected, rel=1e-12)


def test_conjugate_sums_leave_out_samples_of_no_weight(samples):
    K = samples.factor.shape[1]
    problems = columns_of(samples, 0.3)
    share = np.random.default_rng(16).random((len(samples.codes), K))
    alpha = np.column_stack([share[:, k] * problems[k].c for k in range(K)])
    t = np.linspace(0.2, 1.0, K)
    found = conjugate_sums(Hinge(), 0.3, samples, alpha, t)
    np.testing.assert_allclose(found, -t * alpha.sum(axis=0), rtol=1e-12)
    assert (samples.weight == 0.0).any()


def test_dual_balances_and_finds_the_best_scale(samples):
    """D(t α) of a balanced α, maximised over t by a fine search."""
    objective = Objective(Hinge(), 0.3)
    K = samples.factor.shape[1]
    problems = columns_of(samples, 0.3)
    alpha = np.column_stack([(1 - 1e-15) * problem.c for problem in problems])
    found = dual(objective, samples, alpha)
    for k, (X, y, _) in enumerate(problems):
        a = alpha[:, k]
        assert abs(a @ y) <= 1e-12 * a.sum()
        v, ts = X.T @ (a * y), np.linspace(0.0, 1.0, 2001)
        best = max(t * a.sum() - 0.5 * t * t * (v @ v) for t in ts)
        assert found[k] == pytest.approx(best, rel=1e-6) and found[k] >= best * (1 - 1e-12)
    assert found.shape == (K,)


def test_balance_scales_the_heavier_side_only(samples):
    alpha = np.abs(random_duals(samples, samples.factor.shape[1]))
    before = alpha.copy()
    balance(samples, alpha)
    for k, (_, y, _) in enumerate(columns_of(samples, 1.0)):
        assert alpha[:, k] @ y == pytest.approx(0.0, abs=1e-12)
        ratio = alpha[:, k] / before[:, k]
        assert np.ptp(ratio[y > 0]) < 1e-12 and np.ptp(ratio[y < 0]) < 1e-12
        assert ratio.max() == 1.0


def test_sides_of_opposite_sign_become_zero():
    samples = make_samples(as_rows(np.eye(2)), np.array([0, 1]), 2)
    alpha = np.array([[-1.0], [2.0]])
    balance(samples, alpha)
    np.testing.assert_array_equal(alpha, 0.0)


def test_best_on_segment_of_parabolas():
    def at(t):
        return np.array([3 * t[0] - t[0] ** 2, 2 * t[1], -t[2], 0 * t[3]])

    found = best_on_segment(at, np.array([4.0, 2.0, 1.0, 1.0]))
    np.testing.assert_allclose(found, [2.25, 4.0, 0.0, 0.0], rtol=1e-14)


def test_a_dual_that_is_infinite_at_the_top_leaves_the_other_points():
    def at(t):
        return np.where(t < 1.0, t, -np.inf)

    np.testing.assert_array_equal(best_on_segment(at, np.ones(2)), 0.5)


def test_what_is_no_number_is_no_proof():
    for one, two in [(math.nan, 1.0), (1.0, math.nan), (math.inf, math.inf), (math.inf, 0.0)]:
        proof = certificate_of(one, two)
        assert not proof.relative_gap <= 1e300 or one == two


def test_certificate_arithmetic():
    assert certificate_of(2.0, 1.5) == (2.0, 1.5, 0.5, 0.25)
    assert certificate_of(1.0, 1.0 + 1e-16).gap == 0.0
    assert certificate_of(0.0, 0.0).relative_gap == 0.0
    assert certificate_of(2.0, -math.inf).relative_gap == math.inf


def test_the_objective_per_sample():
    """f / (C n) = (1/n) Σ s ℓ + λ r."""
    objective, n = Objective(Hinge(), 0.25), 40
    samples = random_samples(np.random.default_rng(17), 2, False, n=n)
    W, b = random_point(samples)
    f = primal(objective, samples, W, b)[0]
    per_sample = loss_sums(Hinge(), samples, W, b)[0] / n + lam_of(objective, n) * penalty_of(
        L2(), W
    )
    assert f / (0.25 * n) == pytest.approx(per_sample, rel=1e-13)
