"""What a course on margins states, held true by the library."""

import numpy as np
import pytest
from sklearn.datasets import make_classification

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.estimators.svc import SVC
from widemargin.losses import PerceptronLoss
from widemargin.objective import Objective
from widemargin.penalties import NoPenalty
from widemargin.run.serial import serial
from widemargin.solvers.perceptron import Perceptron, separated

KERNELS = ["linear", "rbf", "poly"]


def separable(seed, d=4, gap=0.5):
    rng = np.random.default_rng(seed)
    X, w = rng.normal(size=(120, d)), rng.normal(size=d)
    w /= np.linalg.norm(w)
    p = X @ w - 0.3
    y = np.where(p > 0.0, 1, -1)
    return X + np.outer(0.5 * gap * y, w), y


@pytest.mark.parametrize("kernel", KERNELS)
def test_as_C_goes_to_nothing_so_does_w(kernel):
    X, y = make_classification(100, 5, random_state=0)
    sizes = [
        1.0 / SVC(C=C, kernel=kernel, tol=1e-9).fit(X, y).margin_ for C in np.logspace(-8, -2, 4)
    ]
    assert all(a < b for a, b in zip(sizes, sizes[1:], strict=False))
    assert sizes[0] < 1e-4
    if kernel == "linear":
        for C in (1e-6, 1e-4):  # ‖w‖ ≤ C Σ ‖xᵢ‖
            w = SVC(C=C, kernel=kernel).fit(X, y).coef_
            assert np.linalg.norm(w) <= C * np.linalg.norm(X, axis=1).sum()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("C", [1.0, np.inf])
def test_support_vectors_alone_reproduce_the_decision(kernel, C):
    X, y = separable(1)
    clf = SVC(C=C, kernel=kernel, gamma=0.5, tol=1e-10).fit(X, y)
    some = clf.support_
    assert 0 < len(some) < 0.8 * len(y)
    alone = SVC(C=C, kernel=kernel, gamma=0.5, tol=1e-10).fit(X[some], y[some])
    np.testing.assert_allclose(alone.decision_function(X), clf.decision_function(X), atol=1e-4)
    assert alone.certificate_.primal == pytest.approx(clf.certificate_.primal, rel=1e-6)
    V, a, b = clf.support_vectors_, clf.dual_coef_[0], clf.intercept_[0]
    K = {
        "linear": X @ V.T,
        "rbf": np.exp(-0.5 * ((X[:, None] - V[None]) ** 2).sum(-1)),
        "poly": (0.5 * X @ V.T) ** 3,
    }[kernel]
    np.testing.assert_allclose(clf.decision_function(X), K @ a + b, atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_infinite_C_is_large_C_where_the_classes_are_separable(kernel):
    X, y = separable(2)
    hard = SVC(C=np.inf, kernel=kernel, gamma=0.5, tol=1e-9).fit(X, y)
    soft = SVC(C=1e5, kernel=kernel, gamma=0.5, tol=1e-6).fit(X, y)
    assert soft.certificate_.primal == pytest.approx(hard.certificate_.primal, rel=1e-5)
    assert soft.margin_ == pytest.approx(hard.margin_, rel=1e-5)
    np.testing.assert_allclose(soft.decision_function(X), hard.decision_function(X), atol=1e-3)
    assert (y * hard.decision_function(X)).min() == pytest.approx(1.0, abs=1e-6)


def mistakes(X, y, epochs, seed=0):
    """(mistakes of each epoch, whether the last made none) of Rosenblatt's rule, w₀ = 0, η = 1."""
    samples = make_samples(as_rows(X), (y > 0).astype(np.int32), 2)
    objective, counts = Objective(PerceptronLoss(), 1.0, NoPenalty()), []
    for state in serial(Perceptron(), objective, samples, np.random.default_rng(seed)):
        counts.append(int(state.mistakes.sum()))
        if separated(state) or len(counts) == epochs:
            return counts, separated(state)
    return counts, False


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gap", [0.1, 1.0])
def test_the_perceptron_ends_within_its_mistake_bound(seed, gap):
    """(R/γ)² of the samples (x, 1), γ that of the widest hyperplane: a bound, if not the least."""
    X, y = separable(seed, gap=gap)
    counts, done = mistakes(X, y, 10_000, seed)
    widest = SVC(C=np.inf, kernel="linear", tol=1e-6).fit(X, y)
    w = np.append(widest.coef_[0], widest.intercept_[0])
    bound = ((X**2).sum(1).max() + 1.0) * (w @ w)
    assert done and 0 < sum(counts) <= bound


def test_the_perceptron_never_ends_on_other_data():
    X, y = separable(0)
    X[7], y[7] = X[3], -y[3]  # no hyperplane has one point on both sides
    counts, done = mistakes(X, y, 300)
    assert not done and min(counts) > 0
    with pytest.raises(ValueError, match="samples 3 and 7 are equal"):
        SVC(C=np.inf, kernel="linear").fit(X, y)
