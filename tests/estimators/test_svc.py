"""SVC: scikit-learn's contract, LIBSVM's solutions, our certificate."""

import inspect
import pickle

import numpy as np
import pytest
import sklearn.svm
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import widemargin as wm
from widemargin.estimators.svc import SVC

HOW = dict(gamma=0.1, coef0=0.5, degree=3, tol=1e-8)
KERNELS = ["linear", "poly", "rbf", "sigmoid"]


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(160, 7, flip_y=0.1, random_state=0)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = 0.0
    return X, y


def kernel_matrix(X, kernel):
    return pairwise_kernels(X, metric=kernel, filter_params=True, gamma=0.1, coef0=0.5, degree=3)


def full(matrix):
    return matrix.toarray() if issparse(matrix) else matrix


def objectives(clf, K, y, c):
    """(½‖w‖² + Σ cᵢ max(0, 1 − yᵢ fᵢ), Σ αᵢ − ½‖w‖²) from the fitted attributes of any SVC."""
    coef = full(clf.dual_coef_)[0]
    F = K[:, clf.support_] @ coef
    losses = np.maximum(0.0, 1.0 - (2 * y - 1) * (F + clf.intercept_[0]))
    half = 0.5 * coef @ F[clf.support_]
    return half + c @ losses, np.abs(coef).sum() - half


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("how", [dict(kernel="linear"), dict(gamma=0.1)])
def test_scikit_learns_checks_all_pass(how):
    results = check_estimator(SVC(**how), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] in ("failed", "xfail")] == []
    assert sum(r["status"] == "passed" for r in results) > 40


@pytest.mark.filterwarnings("default")
def test_by_default_only_the_checks_that_gamma_scale_cannot_pass_fail():
    """Repeating a sample changes the variance of X, and so gamma; weighting it does not."""
    failed = {r["check_name"] for r in check_estimator(SVC(), on_fail=None) if r["exception"]}
    names = ("on_dense_data", "on_sparse_data")
    expected = {f"check_sample_weight_equivalence_{name}" for name in names}
    assert failed & expected == expected
    theirs = check_estimator(sklearn.svm.SVC(), on_fail=None)
    assert failed <= expected | {r["check_name"] for r in theirs if r["exception"]}


def test_parameters_are_scikit_learns_and_n_jobs():
    ours, theirs = inspect.signature(SVC).parameters, inspect.signature(sklearn.svm.SVC).parameters
    assert list(ours) == [*theirs, "n_jobs"]
    different = [name for name in theirs if ours[name].default != theirs[name].default]
    assert different in ([], ["probability"])  # scikit-learn 1.9 has 'deprecated' in its place


@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_solution_is_libsvms(data, form, kernel, C, weighted):
    X, y = data
    if kernel == "sigmoid":
        X = 0.3 * X  # near the origin tanh is near a straight line, and its problem near convex
    weight = np.random.default_rng(1).random(len(y)) * 2.0 if weighted else None
    ours = SVC(kernel=kernel, C=C, **HOW).fit(form(X), y, weight)
    theirs = sklearn.svm.SVC(kernel=kernel, C=C, **HOW).fit(form(X), y, weight)
    K, c = kernel_matrix(X, kernel), C * (np.ones(len(y)) if weight is None else weight)
    primal, dual = objectives(ours, K, y, c)
    above, best = objectives(theirs, K, y, c)  # its kernel rows are float32: a gap of 1e-5 stays
    assert dual == pytest.approx(best, rel=1e-6)
    assert primal <= above * (1.0 + 1e-6)
    assert ours.certificate_.primal == pytest.approx(primal, rel=1e-9)
    assert ours.certificate_.dual == pytest.approx(dual, rel=1e-9)
    assert ours.certificate_.relative_gap <= 1e-8
    coef = np.zeros((2, len(y)))
    coef[0, ours.support_], coef[1, theirs.support_] = (
        full(ours.dual_coef_),
        full(theirs.dual_coef_),
    )
    tied = np.abs(coef).max(axis=0) < 1e-6 * c
    np.testing.assert_array_equal((coef[0] != 0)[~tied], (coef[1] != 0)[~tied])
    np.testing.assert_array_equal(ours.predict(form(X)), theirs.predict(form(X)))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_three_classes_in_libsvms_order(kernel, form):
    X, y = load_iris(return_X_y=True)
    names = np.array(["b", "a", "c"])[y]
    ours = SVC(kernel=kernel, tol=1e-9).fit(form(X), names)
    theirs = sklearn.svm.SVC(kernel=kernel, tol=1e-9).fit(form(X), names)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_array_equal(ours.n_support_, theirs.n_support_)
    np.testing.assert_allclose(full(ours.dual_coef_), full(theirs.dual_coef_), atol=1e-3)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-3)
    for shape in ("ovr", "ovo"):
        ours.decision_function_shape = theirs.decision_function_shape = shape
        np.testing.assert_allclose(
            ours.decision_function(form(X)), theirs.decision_function(form(X)), atol=1e-3
        )
    np.testing.assert_array_equal(ours.predict(form(X)), theirs.predict(form(X)))
    assert ours.margin_.shape == ours.intercept_.shape == (3,)
    if kernel == "linear":
        coef = full(ours.coef_)
        np.testing.assert_allclose(coef, full(theirs.coef_), atol=1e-3)
        np.testing.assert_allclose(ours.margin_, 1.0 / np.linalg.norm(coef, axis=1), rtol=1e-9)


def test_ties_between_votes_go_to_the_first_class_or_to_the_clearest_win():
    from widemargin.kernel_scores import votes

    cycle = np.array([[1.0, -3.0, 2.0]])  # 0 beats 1, 2 beats 0, 1 beats 2: a vote each
    found = votes(cycle, 3)
    assert np.rint(found).tolist() == [[1.0, 1.0, 1.0]]
    assert found.argmax() == 1  # sums: 0: 1 − 3, 1: −1 + 2, 2: 3 − 2; equal for 1 and 2
    X, y = load_iris(return_X_y=True)
    clf = SVC(break_ties=True).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), clf.decision_function(X).argmax(axis=1))
    with pytest.raises(ValueError, match="break_ties must be False"):
        clf.set_params(decision_function_shape="ovo").predict(X)


def test_class_weights_and_weights_of_nothing(data):
    X, y = data
    how = dict(C=0.5, class_weight={0: 0.3, 1: 4.0}, **HOW)
    ours, theirs = SVC(**how).fit(X, y), sklearn.svm.SVC(**how).fit(X, y)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-5)
    weight = np.where(np.arange(len(y)) < 100, 1.0, np.where(np.arange(len(y)) % 2, 0.0, -1.0))
    some = SVC(**how).fit(X, y, weight)
    less = SVC(**how).fit(X[:100], y[:100])
    np.testing.assert_allclose(some.decision_function(X), less.decision_function(X), atol=1e-6)
    assert some.support_.max() < 100


def test_a_given_matrix_and_a_callable_are_the_same_machine(data):
    X, y = data
    K = X @ X.T
    one = SVC(kernel="linear", tol=1e-9).fit(X, y)
    two = SVC(kernel="precomputed", tol=1e-9).fit(K, y)
    three = SVC(kernel=lambda A, B: A @ B.T, tol=1e-9).fit(X, y)
    for other, Z in ((two, K), (three, X)):
        np.testing.assert_array_equal(other.support_, one.support_)
        np.testing.assert_allclose(other.decision_function(Z), one.decision_function(X), atol=1e-6)
    assert cross_val_score(SVC(kernel="precomputed"), K, y, cv=3).mean() == pytest.approx(
        cross_val_score(SVC(kernel="linear"), X, y, cv=3).mean()
    )
    with pytest.raises(ValueError, match="must be a square matrix"):
        SVC(kernel="precomputed").fit(K[:, :5], y)


def test_threads_change_nothing():
    X, y = make_classification(4200, 8, n_classes=3, n_informative=6, random_state=2)
    X[:, 3:] += 1.0
    fits = [SVC(n_jobs=n, cache_size=20).fit(X[y != 2], y[y != 2]) for n in (1, 2)]
    np.testing.assert_array_equal(fits[0].dual_coef_, fits[1].dual_coef_)
    np.testing.assert_array_equal(*(clf.decision_function(X) for clf in fits))
    fits = [SVC(n_jobs=n).fit(X[:600], y[:600]) for n in (None, 2, -1)]
    np.testing.assert_array_equal(fits[0].dual_coef_, fits[1].dual_coef_)
    np.testing.assert_array_equal(fits[0].dual_coef_, fits[2].dual_coef_)
    with pytest.raises(ValueError, match="n_jobs=0 is no number of threads"):
        SVC(n_jobs=0).fit(X[:600], y[:600])


def test_certificate_and_history(data):
    X, y = data
    clf = SVC(tol=1e-5).fit(X, y)
    assert clf.history_[-1]["objective"] == clf.certificate_.primal
    assert clf.history_[-1]["gap"] == clf.certificate_.relative_gap <= 1e-5
    assert clf.history_[-1]["violation"] <= 1e-5
    assert clf.history_[-1]["steps"] == clf.n_iter_[0]
    assert clf.fit_status_ == 0 and clf.shape_fit_ == X.shape
    with pytest.warns(ConvergenceWarning, match=r"max_iter=3\)\.  Consider.*gap is .*tol=0.001"):
        short = SVC(max_iter=3).fit(X, y)
    assert short.fit_status_ == 1 and short.n_iter_.tolist() == [3]


def test_data_far_from_the_origin_or_of_any_size_keep_their_digits(data):
    X, y = data
    ours = SVC(kernel="rbf", cache_size=0.1, tol=1e-6, gamma=0.1).fit(X, y)
    far = SVC(kernel="rbf", cache_size=0.1, tol=1e-6, gamma=0.1).fit(X + 1e4, y)
    assert far.certificate_.primal == pytest.approx(ours.certificate_.primal, rel=1e-6)
    small = SVC(kernel="linear", cache_size=0.1, tol=1e-6, C=1.0).fit(X, y)
    large = SVC(kernel="linear", cache_size=0.1, tol=1e-6, C=1e-40).fit(1e20 * X, y)
    assert large.certificate_.primal == pytest.approx(1e-40 * small.certificate_.primal, rel=1e-5)
    with pytest.raises(ValueError, match="not finite.*Scale the features"):
        SVC().fit(1e300 * X, y)


@pytest.mark.parametrize(
    "how, message",
    [
        (dict(kernel="cosine"), "cosine"),
        (dict(C=-1.0), "C"),
        (dict(tol=0.0), "tol"),
        (dict(decision_function_shape="ova"), "ova"),
    ],
)
def test_refusals_name_the_value(data, how, message):
    with pytest.raises(ValueError, match=message):
        SVC(**how).fit(*data)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_of_scores_that_were_held_out(n_classes):
    X, y = make_classification(
        300, 6, n_informative=5, n_redundant=0, n_classes=n_classes, flip_y=0.3, random_state=1
    )
    y = np.random.default_rng(0).permutation(y)  # nothing to learn
    clf = SVC(C=100.0, gamma=1.0, probability=True, random_state=0).fit(X, y)
    P = clf.predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), P, rtol=1e-9)
    assert clf.score(X, y) > 0.99  # it knows its own samples by heart, and is not sure all the same
    assert P.max(axis=1).mean() < 1.0 / n_classes + 0.15
    K = np.exp(-((X[:, None] - X[None]) ** 2).sum(-1))
    given = SVC(C=100.0, kernel="precomputed", probability=True, random_state=0).fit(K, y)
    np.testing.assert_allclose(given.predict_proba(K), P, atol=1e-2)
    plain = SVC().fit(X, y)
    assert not hasattr(plain, "predict_proba")
    with pytest.raises(ValueError, match="fitted with probability=False"):
        plain.set_params(probability=True).predict_proba(X)


def test_life_with_scikit_learn(data):
    X, y = data
    clf = SVC(kernel="linear").fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.decision_function(X), clf.decision_function(X))
    assert again.certificate_ == clf.certificate_
    assert clone(clf).get_params() == clf.get_params()
    assert wm.SVC is SVC
    with pytest.raises(AttributeError, match="linear kernel"):
        SVC().fit(X, y).coef_  # noqa: B018
