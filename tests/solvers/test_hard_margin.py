"""C = ∞: the widest margin where there is one, an error that says so where there is none."""

import time

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

import widemargin as wm
from widemargin.data.rows import as_rows
from widemargin.estimators.svc import SVC
from widemargin.solvers.hard_margin import key_of


def widest(X, y, delta=1e-4):
    """(w, b) of the QP min ½‖w‖² under y(wᵀx + b) ≥ 1, by least-distance programming: Lawson &
    Hanson, Solving least squares problems, 1974, chapter 23. A price of ½δ²b² is left."""
    G = np.column_stack([y[:, None] * X, y / delta])
    E, f = np.vstack([G.T, np.ones(len(y))]), np.append(np.zeros(G.shape[1]), 1.0)
    r = E @ nnls(E, f)[0] - f
    return -r[:-2] / r[-1], -r[-2] / r[-1] / delta


def test_mushrooms_as_a_qp_solver_has_it(shared_data):
    data = wm.open(shared_data("mushrooms/mushrooms"))
    X, y = data.X.astype(np.float64), np.asarray(data.y)
    side = np.where(y == np.unique(y)[1], 1.0, -1.0)
    w, b = widest(X.toarray(), side)
    clf = SVC(C=np.inf, kernel="linear", tol=1e-8).fit(X, y)
    assert clf.certificate_.primal == pytest.approx(0.5 * w @ w, rel=1e-6)
    assert clf.margin_ == pytest.approx(1.0 / np.linalg.norm(w), rel=1e-6)
    assert clf.intercept_[0] == pytest.approx(b, abs=1e-3)
    np.testing.assert_allclose(clf.coef_.toarray()[0], w, atol=1e-3)
    assert (side * clf.decision_function(X)).min() >= 1.0 - 1e-12
    assert clf.certificate_.relative_gap <= 1e-8


def test_adult_is_refused_soon(shared_data):
    data = wm.open(shared_data("a9a/a9a"))
    X, y = data.X, np.asarray(data.y)
    began = time.process_time()
    with pytest.raises(ValueError, match=r"samples 87 and 435 are equal.*Give a finite C"):
        SVC(C=np.inf, kernel="linear").fit(X, y)
    assert time.process_time() - began < 10.0
    assert (X[87] != X[435]).nnz == 0 and y[87] != y[435]


def blobs(n=60, d=3, gap=2.0, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)), np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    X[:, 0] = y * (gap / 2.0 + np.abs(X[:, 0]))
    return X, y


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_the_widest_margin(form):
    X, y = blobs()
    w, b = widest(X, y)
    clf = SVC(C=np.inf, kernel="linear", tol=1e-9).fit(form(X), y)
    coef = clf.coef_ if form is np.asarray else clf.coef_.toarray()
    np.testing.assert_allclose(coef[0], w, atol=1e-6)
    assert clf.intercept_[0] == pytest.approx(b, abs=1e-6)
    assert clf.margin_ == pytest.approx(1.0 / np.linalg.norm(w), rel=1e-8)
    nearest = (y * clf.decision_function(form(X))).min()
    assert nearest == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize("kernel", ["linear", "poly"])
def test_inseparable_data_are_refused(d, kernel):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(60 * d, d))
    y = X[:, 0] + 2.0 * rng.normal(size=len(X)) > 0.0
    kernel = {"kernel": kernel, "degree": 1}
    began = time.process_time()
    with pytest.raises(ValueError, match=r"C=inf asks for.*none does by more than.*finite C"):
        SVC(C=np.inf, **kernel).fit(X, y)
    assert time.process_time() - began < 10.0


def test_equal_samples_are_named_whatever_the_kernel_and_however_they_are_held():
    X, y = blobs()
    X[31] = X[4]
    for kernel in ("rbf", "linear", lambda A, B: A @ B.T):
        with pytest.raises(ValueError, match=r"samples 4 and 31 are equal and of different"):
            SVC(C=np.inf, kernel=kernel, gamma=1.0).fit(X, y)


def test_zeros_of_either_sign_and_zeros_that_are_held_are_equal():
    dense = as_rows(np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 2.0]]))
    assert key_of(dense, 0) == key_of(dense, 1) != key_of(dense, 2)
    X = csr_matrix((np.array([1.0, 0.0, 2.0, 2.0, 1.0]), [1, 0, 2, 2, 1], [0, 3, 5]))
    assert key_of(as_rows(X), 0) == key_of(as_rows(X), 1)


def test_distinct_samples_are_always_separable_by_the_rbf_kernel():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(80, 2)), rng.random(80) < 0.5
    clf = SVC(C=np.inf, gamma=5.0).fit(X, y)
    assert clf.score(X, y) == 1.0 and clf.certificate_.relative_gap <= 1e-3


def test_three_classes_name_the_samples_as_the_user_counts_them():
    X, y = blobs(90)
    y = np.where(np.arange(90) % 9 == 0, 2.0, y)
    X[72] = X[17]
    with pytest.raises(ValueError, match="samples 17 and 72"):
        SVC(C=np.inf).fit(X, y)
