"""Dual coordinate descent: the kernel against its twin, the optimum against libsvm and SciPy."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array
from sklearn.datasets import load_svmlight_file

from reference import (
    binary_samples,
    columns_of,
    libsvm,
    objective_value,
    optimum,
)
from shared import shared_path
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.duals import ascend, dual_slope, largest
from widemargin.losses import Hinge, Logistic, SquaredHinge
from widemargin.objective import Objective, column
from widemargin.penalties import L2
from widemargin.run.certified import certified
from widemargin.solvers import dual as module
from widemargin.solvers.dual import DualCoordinateDescent, dual_epoch, rebalance
from widemargin.threads import ALONE

TIGHT = 1e-8


def solve(samples, loss, C, *, tol=TIGHT, fit_intercept=True, seed=0, max_epochs=5000, **how):
    """The last step of a certified run: state, certificate, whether it is solved."""
    objective = Objective(loss, C, L2(), fit_intercept)
    solver, rng = DualCoordinateDescent(**how), np.random.default_rng(seed)
    *_, last = certified(solver, objective, samples, rng, tol=tol, max_epochs=max_epochs)
    return last


def noisy(n=150, d=6, seed=0, flip=0.15):
    """Labels ±1 that no hyperplane separates, and sparse rows, some empty, some twice there."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.6)
    X[5], X[7] = 0.0, X[6]
    y = np.where(X @ rng.normal(size=d) + 0.4 + flip * 5 * rng.normal(size=n) > 0, 1, -1)
    return X, y


# -- the kernel and its twin -------------------------------------------------------------------


def twin_walk(loss, scale, rho, problem, order, state):
    """Exact steps along `order` for one column, from the docstring of the module."""
    X, y, c = problem
    w, b, alpha, delta, gain = *state, 0.0
    for i in order:
        if c[i] == 0.0:
            continue
        m, q = y[i] * (scale * (X[i] @ w) + b), scale * (X[i] @ X[i] + rho)
        s, top = dual_slope(loss, alpha[i], m, c[i]), largest(loss, c[i])
        if (alpha[i] == 0.0 and s >= 0.0) or (alpha[i] == top and s <= 0.0):
            continue
        z = ascend(loss, alpha[i], m, q, c[i])
        move = z - alpha[i]
        alpha[i] = z
        w, b, delta = w + move * y[i] * X[i], b + scale * rho * move * y[i], delta + move * y[i]
        gain += abs(s * move) - 0.5 * q * move**2
    return (w, b, alpha, delta), gain


def one_walk(loss, samples, C, order, scale, rho):
    """A fresh state after `dual_epoch` along `order`, and the twin's of each column."""
    objective = Objective(loss, C)
    state = DualCoordinateDescent().init(objective, samples)
    state = state._replace(scale=scale, rho=rho)
    p, g = np.empty_like(state.b), np.empty_like(state.b)
    gain, _ = dual_epoch(objective, samples, order, state, p, g)
    twins, gains = [], 0.0
    for problem in columns_of(samples, C):
        start = np.zeros(problem.X.shape[1]), 0.0, np.zeros(len(problem.y)), 0.0
        twin, rise = twin_walk(loss, scale, rho, problem, order, start)
        twins.append(twin)
        gains += rise
    return state, gain, twins, gains


def some_samples(n_classes, sparse=True, n=80):
    X, _ = noisy(n)
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 3, n) * 0.7
    codes, factor = rng.integers(0, n_classes, n), rng.uniform(0.5, 2.0, n_classes)
    return make_samples(as_rows(csr_matrix(X) if sparse else X), codes, n_classes, weight, factor)


@pytest.mark.parametrize(
    "loss, n_classes, sparse",
    [(Hinge(), 2, True), (Hinge(), 3, False), (SquaredHinge(), 2, True), (Logistic(), 2, False)],
)
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_the_kernel_is_its_twin(loss, n_classes, sparse, scale):
    samples = some_samples(n_classes, sparse)
    order = np.tile(np.random.default_rng(2).permutation(80), 3)
    state, gain, twins, gains = one_walk(loss, samples, 0.8, order, scale, rho=0.2)
    assert gain == pytest.approx(gains, rel=1e-10)
    for k, (w, b, alpha, delta) in enumerate(twins):
        np.testing.assert_allclose(column(state.W, k), w, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(state.alpha[:, k], alpha, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose([state.b[k], state.delta[k]], [b, delta], atol=1e-11)


def test_the_first_epoch_is_its_twin():
    """Three walks over the first chunk, then chunks of growing size, each with its own scale."""
    n = module.FEW_ROWS
    X, y = noisy(n, d=3, seed=3)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 0.5)
    solver, order = DualCoordinateDescent(), np.random.default_rng(4).permutation(n)
    state = solver.epoch(objective, samples, order, solver.init(objective, samples))
    (problem,) = columns_of(samples, 0.5)
    rho = module.RHO * np.mean((X[:1000] ** 2).sum(axis=1))
    edges = np.geomspace(module.FIRST_CHUNK * n, n, module.CHUNKS).astype(int)
    chunks = [(order[: edges[0]], n / edges[0])] * module.FIRST_WALKS
    for a, e in zip(edges, edges[1:], strict=False):
        chunks.append((order[a:e], n / (0.5 * (a + e))))
    twin = np.zeros(3), 0.0, np.zeros(n), 0.0
    for chunk, scale in chunks:
        (w, b, alpha, delta), _ = twin_walk(Hinge(), scale, rho, problem, chunk, twin)
        twin = w, b + np.clip(scale * rho * delta, -1, 1), alpha, delta
    np.testing.assert_allclose(state.W, twin[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.alpha[:, 0], twin[2], rtol=1e-10, atol=1e-12)
    assert state.b[0] == pytest.approx(twin[1], abs=1e-10)
    assert state.scale == 1.0


def test_an_epoch_raises_the_dual_by_its_gain():
    """Without an intercept D(α) = Σ α − ½‖w‖²; the gain of an epoch is its rise."""
    samples, objective = some_samples(2), Objective(Hinge(), 0.8, L2(), False)
    solver = DualCoordinateDescent()
    state, before = solver.init(objective, samples), 0.0
    for seed in range(4):
        state = solver.epoch(objective, samples, np.random.default_rng(seed).permutation(80), state)
        now = state.alpha.sum() - 0.5 * state.W @ state.W
        assert now - before == pytest.approx(state.gain, rel=1e-8, abs=1e-12)
        before = now


def test_rows_outside_the_margin_are_left_out_and_taken_back():
    X, y = noisy(400, seed=5, flip=0.02)
    samples = binary_samples(csr_matrix(X), y)
    last = solve(samples, Hinge(), 1.0, tol=1e-3)
    with_all = solve(samples, Hinge(), 1.0, shrink=False)
    shrunk = solve(samples, Hinge(), 1.0)
    assert last.state.keep.sum() < 0.8 * 400
    for one, two in ((shrunk, with_all), (with_all, shrunk)):
        assert one.certificate.dual <= two.certificate.primal * (1 + 1e-12)
    assert shrunk.certificate.primal == pytest.approx(with_all.certificate.primal, rel=1e-6)


# -- the optimum -------------------------------------------------------------------------------


def check_state(samples, problem, C, last, fit_intercept=True):
    """0 ≤ α ≤ c, Σ α y = 0, w = Σ α y x, and the certificate's primal is f(w, b)."""
    state, proof = last.state, last.certificate
    alpha, c = state.alpha[:, 0], problem.c
    assert (alpha >= 0.0).all() and (alpha <= c).all()
    if fit_intercept:
        assert abs(alpha @ problem.y) <= 1e-12 * alpha.sum()
    w = problem.X.T @ (alpha * problem.y)
    np.testing.assert_allclose(state.W, w, atol=1e-9 * (1.0 + np.abs(w).max()))
    here = objective_value(Hinge(), L2(), problem, state.W, state.b[0])
    assert proof.primal == pytest.approx(here, rel=1e-10)
    assert proof.dual == pytest.approx(alpha.sum() - 0.5 * w @ w, rel=1e-9)


def agrees_with_libsvm(X, y, C, **weights):
    samples = binary_samples(X, y, **weights)
    last = solve(samples, Hinge(), C, tol=1e-7)
    assert last.solved and last.certificate.relative_gap <= 1e-7
    (problem,) = columns_of(samples, C)
    check_state(samples, problem, C, last)
    named = {}
    if "sample_weight" in weights:
        named["sample_weight"] = weights["sample_weight"]
    if "class_weight" in weights:
        named["class_weight"] = dict(zip((-1, 1), weights["class_weight"], strict=True))
    f, _, _ = libsvm(X, y, C, **named)
    assert last.certificate.primal <= f * (1 + 1e-6)  # libsvm itself may end a little above
    assert last.certificate.primal == pytest.approx(f, rel=1e-5)
    assert last.certificate.dual <= f * (1 + 1e-12)


def of_file(name, n, seed=0):
    """n rows of a shared file, labels ±1, int32 indices."""
    X, y = load_svmlight_file(str(shared_path(name)))
    chosen = np.random.default_rng(seed).permutation(len(y))[:n]
    X, y = X[chosen], np.where(y[chosen] == y.max(), 1, -1)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, y


@pytest.fixture(scope="module")
def topics():
    return of_file("rcv1_topics/binary.svm.gz", 1200)


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_libsvm_on_topics(topics, C):
    agrees_with_libsvm(*topics, C)


@pytest.mark.parametrize("C", [0.01, 0.1])
def test_libsvm_on_a9a(C):
    agrees_with_libsvm(*of_file("a9a/a9a", 2500), C)


def test_libsvm_on_mushrooms():
    agrees_with_libsvm(*of_file("mushrooms/mushrooms", 4000), 0.1)


@pytest.mark.parametrize("n, d, C", [(60, 2, 10.0), (300, 20, 0.1), (40, 100, 1.0), (30, 1, 2.0)])
def test_libsvm_on_dense_rows(n, d, C):
    rng = np.random.default_rng([n, d])
    X = rng.normal(size=(n, d)) + 0.3
    agrees_with_libsvm(X, np.where(X[:, 0] + rng.normal(size=n) > 0.5, 1, -1), C)


def test_libsvm_with_weights():
    X, y = noisy(200, seed=6)
    weight = np.random.default_rng(7).choice([0.0, 0.3, 1.0, 4.0], 200)
    factor = np.array([2.5, 0.4])
    agrees_with_libsvm(csr_matrix(X), y, 0.6, sample_weight=weight, class_weight=factor)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss, sparse", [(SquaredHinge(), True), (Logistic(), False)])
def test_smooth_losses_against_scipy(loss, sparse, fit_intercept):
    X, y = noisy(120, seed=8)
    samples = binary_samples(csr_matrix(X) if sparse else X, y)
    (problem,) = columns_of(samples, 0.9)
    f, w, b = optimum(loss, L2(), problem, fit_intercept)
    last = solve(samples, loss, 0.9, tol=1e-9, fit_intercept=fit_intercept)
    assert last.solved
    assert last.certificate.primal == pytest.approx(f, rel=1e-6)
    assert last.certificate.dual <= f * (1 + 1e-12)
    np.testing.assert_allclose(last.state.W, w, atol=2e-4)
    assert last.state.b[0] == pytest.approx(b, abs=2e-4)


def test_without_an_intercept():
    X, y = noisy(60, d=3, seed=9)
    samples = binary_samples(csr_matrix(X), y)
    (problem,) = columns_of(samples, 0.7)
    f, w, _ = optimum(Hinge(), L2(), problem, False)
    last = solve(samples, Hinge(), 0.7, fit_intercept=False)
    assert last.state.b[0] == 0.0
    assert last.certificate.primal == pytest.approx(f, rel=1e-6)
    np.testing.assert_allclose(last.state.W, w, atol=1e-4)
    check_state(samples, problem, 0.7, last, fit_intercept=False)


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()])
def test_a_weight_is_a_repetition(loss):
    X, y = noisy(90, seed=10)
    times = np.random.default_rng(11).integers(0, 4, 90)
    weighted = solve(binary_samples(csr_matrix(X), y, times.astype(float)), loss, 0.5)
    again = np.repeat(np.arange(90), times)
    repeated = solve(binary_samples(csr_matrix(X[again]), y[again]), loss, 0.5)
    assert weighted.certificate.primal == pytest.approx(repeated.certificate.primal, rel=2e-8)
    np.testing.assert_allclose(weighted.state.W, repeated.state.W, atol=2e-4)


def test_columns_together_are_columns_alone():
    samples = some_samples(4, sparse=False)
    together = solve(samples, Hinge(), 0.8)
    total = 0.0
    for k, problem in enumerate(columns_of(samples, 0.8)):
        alone = solve(binary_samples(problem.X, problem.y, problem.c), Hinge(), 1.0)
        np.testing.assert_allclose(together.state.W[:, k], alone.state.W, atol=5e-4)
        total += alone.certificate.primal
    assert together.certificate.primal == pytest.approx(total, rel=2e-8)


# -- awkward data ------------------------------------------------------------------------------


def imbalanced(n=1000):
    X, _ = noisy(n, seed=12)
    return X, np.where(np.arange(n) == n // 2, 1, -1)


def sorted_by_class():
    X, y = noisy(1500, seed=13)
    return X[np.argsort(y)], np.sort(y)


def all_zero():
    return np.zeros((50, 3)), np.where(np.arange(50) < 30, 1, -1)


def all_the_same():
    return np.ones((40, 2)), np.where(np.arange(40) < 25, 1, -1)


def far_from_the_origin():
    X, y = noisy(200, seed=14)
    return X + 100.0, y


SLOW_FAR = pytest.param(
    far_from_the_origin,
    marks=pytest.mark.xfail(strict=True, reason="w and b are one direction: gap 0.8 for long"),
)


@pytest.mark.parametrize("make", [imbalanced, sorted_by_class, all_zero, all_the_same, SLOW_FAR])
def test_awkward_data(make):
    X, y = make()
    last = solve(binary_samples(csr_matrix(X), y), Hinge(), 0.3, tol=1e-6)
    f, _, _ = libsvm(X, y, 0.3)
    assert last.solved
    assert last.certificate.primal == pytest.approx(f, rel=2e-6)
    assert last.certificate.dual <= f * (1 + 1e-9)


@pytest.mark.parametrize("C", [1e-6, 1e6])
@pytest.mark.parametrize("flip", [0.0, 0.15])
def test_extreme_C_ends_with_an_honest_gap(C, flip):
    X, y = noisy(200, seed=15, flip=flip)
    samples = binary_samples(csr_matrix(X), y)
    last = solve(samples, Hinge(), C, tol=1e-4, max_epochs=500)
    (problem,) = columns_of(samples, C)
    f = objective_value(Hinge(), L2(), problem, last.state.W, last.state.b[0])
    assert last.certificate.primal == pytest.approx(f, rel=1e-10)
    assert last.solved == (last.certificate.relative_gap <= 1e-4)
    other = solve(samples, Hinge(), C, tol=1e-4, max_epochs=500, seed=1)
    for one, two in ((last, other), (other, last)):
        assert one.certificate.dual <= two.certificate.primal * (1 + 1e-12)
    if C < 1.0:
        assert last.solved


def test_a_column_whose_positive_side_has_no_weight():
    """f* = 0: any intercept below −1 is right for every sample."""
    X, _ = noisy(60, seed=16)
    weight = np.where(np.arange(60) % 3 == 2, 0.0, 1.0)
    samples = make_samples(as_rows(X), np.arange(60) % 3, 3, weight)
    last = solve(samples, Hinge(), 1.0, tol=1e-4, max_epochs=300)
    assert last.certificate.relative_gap <= 1e-4  # of the sum: the empty column adds nothing


def test_rebalance_meets_the_constraint_from_any_duals():
    """Free duals give way first; those at their largest only where the free do not suffice."""
    X, y = noisy(60, seed=17)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 1.0)
    (problem,) = columns_of(samples, 1.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        state = DualCoordinateDescent().init(objective, samples)
        state.alpha[:, 0] = np.clip(rng.normal(0.3, 0.8, 60), 0.0, 1.0)
        state.W[:], state.delta[0] = X.T @ (state.alpha[:, 0] * y), state.alpha[:, 0] @ y
        before = state.alpha.copy()
        rebalance(ALONE, objective, samples, state)
        assert abs(state.alpha[:, 0] @ y) <= 1e-13 * before.sum()
        assert (state.alpha >= 0.0).all() and (state.alpha <= before).all()
        np.testing.assert_allclose(state.W, X.T @ (state.alpha[:, 0] * y), atol=1e-12)
        heavy = y == np.sign(before[:, 0] @ y)
        np.testing.assert_array_equal(state.alpha[~heavy], before[~heavy])
        free = heavy & (before[:, 0] < 1.0)
        if before[free].sum() > abs(before[:, 0] @ y):
            full_ones = heavy & (before[:, 0] == 1.0)
            np.testing.assert_array_equal(state.alpha[full_ones], 1.0)


# -- how the rows are held ---------------------------------------------------------------------


def test_the_same_optimum_however_the_rows_are_held(tmp_path):
    """float32 values that float64 holds too, so that all see the same numbers."""
    X, y = noisy(150, seed=18)
    X = csr_matrix(X.astype(np.float32))
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    np.save(tmp_path / "values.npy", X.data.astype(np.float64))
    mapped = X.astype(np.float64)
    mapped.data = np.load(tmp_path / "values.npy", mmap_mode="r")
    found = [
        solve(binary_samples(Z, y), Hinge(), 0.5) for Z in (mapped, wide, X.toarray().astype(float))
    ]
    for other in found[1:]:
        assert other.certificate.primal == pytest.approx(found[0].certificate.primal, rel=2e-8)
        np.testing.assert_allclose(other.state.W, found[0].state.W, atol=2e-4)


def test_the_seed_decides_everything():
    samples = some_samples(2)
    one, two, other = (solve(samples, Hinge(), 0.8, tol=1e-3, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.state.W, two.state.W)
    np.testing.assert_array_equal(one.state.alpha, two.state.alpha)
    assert one.certificate == two.certificate
    assert not np.array_equal(one.state.W, other.state.W)


def test_a_second_call_compiles_nothing():
    kernels = [f for f in vars(module).values() if hasattr(f, "signatures")]
    solve(some_samples(2), Hinge(), 0.8)
    before = {f: len(f.signatures) for f in kernels}
    solve(some_samples(2, n=50), Hinge(), 0.1, seed=5)
    assert {f: len(f.signatures) for f in kernels} == before
    assert before[dual_epoch] > 0


def test_random_sparse_rows_of_every_shape():
    """Wide, tall, nearly empty; the dual bound holds and the run ends."""
    for n, d, density in [(20, 500, 0.02), (500, 20, 0.3), (200, 200, 0.005), (3, 4, 0.9)]:
        X = random_array((n, d), density=density, rng=np.random.default_rng(n), format="csr")
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
        y = np.where(np.arange(n) % 3 == 0, 1, -1)
        last = solve(binary_samples(X, y), Hinge(), 1.0, tol=1e-6)
        f, _, _ = libsvm(X, y, 1.0)
        assert last.solved and last.certificate.primal == pytest.approx(f, rel=2e-6)
