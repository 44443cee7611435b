"""Many labels over the same rows: what they share changes nothing of what each is."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from reference import binary_samples, columns_of, objective_value
from widemargin.data.many_labels import label_samples
from widemargin.data.rows import as_rows
from widemargin.data.samples import share, sign
from widemargin.losses import Hinge, SquaredHinge
from widemargin.objective import Objective
from widemargin.penalties import L2
from widemargin.run.fit import fit_dual
from widemargin.run.many_labels import by_epoch, fit_labels
from widemargin.solvers import label_dual

N, D = 1500, 60


@pytest.fixture(scope="module")
def labelled():
    """Rare labels and frequent ones, weights, some of them 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.2)
    W = rng.normal(size=(D, 11))
    scores = X @ W + rng.normal(size=(N, 11)) - np.linspace(0.0, 5.0, 11)
    having = [np.flatnonzero(column > 0.0) for column in scores.T]
    return X, having, rng.integers(0, 3, N) * 0.7, rng.uniform(0.5, 2.0, (2, 11))


def fitted(labelled, loss, tol=1e-6, threads=1, C=0.3, fit_intercept=True):
    X, having, weight, factor = labelled
    objective = Objective(loss, C, fit_intercept=fit_intercept)
    return objective, fit_labels(
        objective, as_rows(csr_matrix(X)), having, weight, tol=tol, max_epochs=2000,
        rng=np.random.default_rng(1), factor=factor, threads=threads,
    )  # fmt: skip


def alone(labelled, k):
    """The samples of label k by itself."""
    X, having, weight, factor = labelled
    y = np.zeros(N)
    y[having[k]] = 1
    return binary_samples(csr_matrix(X), y, weight, factor[:, k])


def test_bits_are_signs(labelled):
    X, having, weight, factor = labelled
    lanes = label_samples(as_rows(csr_matrix(X)), having[:3], weight, factor)
    for k in range(3):
        one = alone(labelled, k)
        for i in range(0, N, 7):
            assert sign(lanes, i, k) == sign(one, i, 0)
            assert share(lanes, i, k) == share(one, i, 0)
    assert all(share(lanes, i, 5) == 0.0 for i in range(N))


@pytest.mark.parametrize("loss, fit_intercept", [(Hinge(), True), (SquaredHinge(), False)])
def test_each_label_is_a_fit_of_its_own(labelled, loss, fit_intercept):
    objective, fits = fitted(labelled, loss, fit_intercept=fit_intercept)
    for k, fit in enumerate(fits):
        samples = alone(labelled, k)
        (column,) = columns_of(samples, objective.C)
        attained = objective_value(loss, L2(), column, fit.W, fit.b[0])
        assert fit.solved and fit.certificate.relative_gap <= 1e-6
        assert attained == pytest.approx(fit.certificate.primal, rel=1e-10)
        one = fit_dual(objective, samples, tol=1e-7, max_epochs=5000, rng=np.random.default_rng(0))
        assert fit.certificate.primal == pytest.approx(one.certificate.primal, rel=2e-6)
        assert fit.certificate.dual <= one.certificate.primal * (1.0 + 1e-12)
        assert fit_intercept or fit.b[0] == 0.0
        assert [row["epoch"] for row in fit.history] == list(range(1, fit.epochs + 1))


def test_threads_change_no_bit(labelled):
    _, one = fitted(labelled, Hinge(), 1e-3)
    _, two = fitted(labelled, Hinge(), 1e-3, threads=2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.W, b.W)
        np.testing.assert_array_equal(a.b, b.b)
        assert a.certificate == b.certificate


def test_a_far_intercept_asks_all_rows(labelled, monkeypatch):
    """The intercept found from the rows near the margin is that of all rows."""
    objective, samples = Objective(Hinge(), 0.3), alone(labelled, 2)
    scores = np.random.default_rng(2).normal(size=(N, 1))
    eps = 1e-6
    near = label_dual.settled_b(objective, samples, scores, 4.0, eps)
    whole = label_dual.settled_b(objective, samples, scores, near[0], eps)
    assert abs(near[0] - 4.0) > label_dual.MARGIN
    assert near[1] == pytest.approx(whole[1], abs=2 * eps / 0.3)


def test_epochs_between_two_looks_have_no_figures():
    look = {"seconds": 1.0, "objective": 2.0, "gap": 0.1}
    rows = by_epoch([{"epoch": 3, **look}, {"epoch": 4, **look}], 4)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert np.isnan([row["gap"] for row in rows]).tolist() == [True, True, False, False]
