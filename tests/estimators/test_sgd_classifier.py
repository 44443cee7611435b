"""SGDClassifier and Perceptron: scikit-learn's contract, and what is ours beside it."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from sklearn.utils.estimator_checks import check_estimator

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.estimators.perceptron import Perceptron
from widemargin.estimators.sgd import SGDClassifier
from widemargin.losses import Hinge
from widemargin.objective import Objective, primal

DECLARED = {  # by scikit-learn for its own two classes
    "check_sample_weight_equivalence_on_dense_data": "the order of samples matters",
    "check_sample_weight_equivalence_on_sparse_data": "the order of samples matters",
}


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), np.array(["bad", "good"])[y]


@pytest.mark.parametrize("estimator", [SGDClassifier(), Perceptron()], ids=["sgd", "perceptron"])
def test_scikit_learns_checks_pass(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            estimator, expected_failed_checks=DECLARED, on_skip=None, on_fail=None
        )
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed
    assert len(results) > 50


@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron"])
def test_parameters_are_scikit_learns_in_order_and_default(name):
    ours, theirs = (
        list(inspect.signature(module[name]).parameters.values())
        for module in (globals(), vars(linear_model))
    )
    told = [(p.name, p.kind, p.default) for p in ours]
    assert told[: len(theirs)] == [(p.name, p.kind, p.default) for p in theirs]
    added = {"batch_size", "scheme", "probability", "engine"}
    assert {p.name for p in ours[len(theirs) :]} <= added


def test_the_certificate_is_of_the_stated_objective(cancer):
    X, y = cancer
    clf = SGDClassifier(alpha=0.01, random_state=0).fit(X, y)
    n = len(y)
    margin = np.where(y == "good", 1, -1) * clf.decision_function(X)
    f = 0.5 * clf.coef_[0] @ clf.coef_[0] + np.maximum(0, 1 - margin).sum() / (0.01 * n)
    assert clf.certificate_.primal == pytest.approx(f, rel=1e-12)
    samples = make_samples(as_rows(X), (y == "good").astype(int), 2)
    found = primal(Objective(Hinge(), 1 / (0.01 * n)), samples, clf.coef_[0], clf.intercept_)
    assert clf.certificate_.primal == pytest.approx(found[0], rel=1e-12)
    assert clf.certificate_.gap >= f - clf.certificate_.dual - 1e-9


def test_the_default_ends_no_higher_than_scikit_learns(cancer):
    X, y = cancer
    ours = SGDClassifier(random_state=0).fit(X, y)
    theirs = linear_model.SGDClassifier(random_state=0).fit(X, y)
    samples = make_samples(as_rows(X), (y == "good").astype(int), 2)
    f = Objective(Hinge(), 1 / (1e-4 * len(y)))
    assert ours.certificate_.primal <= primal(f, samples, theirs.coef_[0], theirs.intercept_)[0]


def test_history_has_a_row_an_epoch_and_ends_in_the_certificate(cancer):
    clf = SGDClassifier(alpha=0.01, random_state=0).fit(*cancer)
    assert [row["epoch"] for row in clf.history_] == list(range(1, clf.n_iter_ + 1))
    assert all(
        list(row) == ["epoch", "seconds", "objective", "gap", "dual"] for row in clf.history_
    )
    assert np.isnan([row["gap"] for row in clf.history_[:-1]]).all()
    assert clf.history_[-1]["gap"] == clf.certificate_.relative_gap
    assert clf.history_[-1]["objective"] == clf.certificate_.primal


def test_partial_fit_leaves_no_certificate(cancer):
    X, y = cancer
    clf = SGDClassifier(random_state=0).partial_fit(X, y, classes=["bad", "good"])
    rate = clf.eta0_
    clf.partial_fit(X[:50], y[:50])
    assert not hasattr(clf, "certificate_") and clf.eta0_ == rate
    assert clf.t_ == 1 + len(y) + 50
    clf.fit(X, y).partial_fit(X, y)
    assert not hasattr(clf, "certificate_") and not hasattr(clf, "history_")


def test_learning_goes_on_from_sparse_coefficients(cancer):
    X, y = cancer
    dense, sparse = (SGDClassifier(random_state=0).fit(X, y) for _ in range(2))
    sparse.sparsify()
    assert np.array_equal(dense.partial_fit(X, y).coef_, sparse.partial_fit(X, y).coef_)


def test_one_seed_repeats_and_two_differ(cancer):
    a, b, c = (SGDClassifier(random_state=s, max_iter=20, tol=None).fit(*cancer) for s in (1, 1, 2))
    assert np.array_equal(a.coef_, b.coef_)
    assert not np.array_equal(a.coef_, c.coef_)


def test_max_iter_warns_with_the_gap(cancer):
    with pytest.warns(ConvergenceWarning, match=r"increasing max_iter.*relative duality gap is \d"):
        SGDClassifier(max_iter=2).fit(*cancer)


@pytest.mark.parametrize("broken", [-1, 5, 2**30])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_index_outside_the_matrix_is_refused(broken, dtype):
    X = sp.csr_array(np.eye(5))
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    X.indices[2] = broken
    y = [0, 1, 0, 1, 1]
    with pytest.raises(ValueError, match=rf"column index {broken}, outside its 5 columns"):
        SGDClassifier().fit(X, y)
    with pytest.raises(ValueError, match=rf"column index {broken}, outside its 5 columns"):
        Perceptron().partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("indptr", [[1, 1, 2, 3, 4, 5], [0, 3, 1, 3, 4, 5], [0, 1, 2, 3, 4, 9]])
def test_row_pointers_that_do_not_rise_inside_the_data_are_refused(indptr):
    X = sp.csr_array(np.eye(5))
    X.indptr[:] = indptr
    with pytest.raises(ValueError, match=r"X\.indptr must rise from 0 to 5"):
        SGDClassifier().fit(X, [0, 1, 0, 1, 1])


def test_every_form_of_the_data_gives_the_same_model(cancer, tmp_path):
    X, y = cancer
    np.save(tmp_path / "X.npy", X)
    kept = {"random_state": 0, "max_iter": 3, "tol": None}
    forms = [X, np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r")]
    first, *others = (SGDClassifier(**kept).fit(form, y) for form in forms)
    for other in others:
        np.testing.assert_allclose(other.coef_, first.coef_, rtol=1e-10, atol=1e-12)
    wide = sp.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    narrow, wide = (SGDClassifier(**kept).fit(form, y) for form in (sp.csr_array(X), wide))
    np.testing.assert_allclose(narrow.coef_, wide.coef_, rtol=1e-10, atol=1e-12)


def test_a_sparse_matrix_is_not_copied(cancer):
    X = sp.csr_array(cancer[0])
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    seen = {}

    class Spy(SGDClassifier):
        pass

    from widemargin.estimators import online_data

    real = online_data.make_samples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            online_data,
            "make_samples",
            lambda rows, *rest: seen.update(rows=rows) or real(rows, *rest),
        )
        Spy(random_state=0).fit(X, cancer[1])
    assert np.shares_memory(seen["rows"].values, X.data)
    assert np.shares_memory(seen["rows"].indices, X.indices)


def test_negative_weights_and_strange_labels_are_refused(cancer):
    X, y = cancer
    with pytest.raises(ValueError, match=r"negative value -1\.0: weights must be >= 0"):
        SGDClassifier().fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match=r"the label .*'good'.* not among .*'ugly'"):
        SGDClassifier().partial_fit(X, y, classes=["bad", "ugly"])


def test_batches_refuse_what_has_no_rule(cancer):
    for other in ({"average": True}, {"penalty": "l1"}):
        with pytest.raises(ValueError, match=r"batch_size=8 goes with penalty 'l2' or None"):
            SGDClassifier(batch_size=8, **other).fit(*cancer)


def test_batches_learn(cancer):
    X, y = cancer
    clf = SGDClassifier(batch_size=16, alpha=0.01, random_state=0).fit(X, y)
    alone = SGDClassifier(alpha=0.01, random_state=0).fit(X, y)
    assert clf.certificate_.primal < 1.1 * alone.certificate_.primal
    assert clf.t_ == 1 + clf.n_iter_ * -(-len(y) // 16)


def test_early_stopping_certifies_what_was_learned_from(cancer):
    X, y = cancer
    clf = SGDClassifier(alpha=0.01, early_stopping=True, random_state=0).fit(X, y)
    assert clf.t_ == 1 + clf.n_iter_ * (len(y) - int(np.ceil(0.1 * len(y))))
    margin = np.where(y == "good", 1, -1) * clf.decision_function(X)
    everything = 0.5 * clf.coef_[0] @ clf.coef_[0] + np.maximum(0, 1 - margin).mean() / 0.01
    assert clf.certificate_.primal != pytest.approx(everything, rel=1e-9)


def test_the_perceptron_stops_when_nothing_is_wrong():
    X, y = load_iris(return_X_y=True)
    clf = Perceptron(tol=None).fit(X, y == 0)
    assert clf.n_iter_ < 1000 and clf.score(X, y == 0) == 1.0
    assert clf.certificate_.primal == 0.0 == clf.certificate_.gap


def test_averaging_over_calls_is_averaging_over_one(cancer):
    X, y = cancer
    kept = {"learning_rate": "constant", "eta0": 0.01, "average": 10, "shuffle": False}
    whole = SGDClassifier(max_iter=1, tol=None, **kept).fit(X, y)
    parts = SGDClassifier(**kept)
    for half in (slice(0, 200), slice(200, None)):
        parts.partial_fit(X[half], y[half], classes=["bad", "good"])
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    np.testing.assert_allclose(parts.intercept_, whole.intercept_, rtol=1e-10)


@pytest.mark.parametrize("scheme", ["hogwild", "locked", "round_robin"])
def test_threads_by_a_scheme_find_what_one_finds(cancer, scheme):
    X, y = sp.csr_matrix(cancer[0]), cancer[1]
    how = dict(alpha=0.05, max_iter=60, tol=None, random_state=0)
    serial = SGDClassifier(**how).fit(X, y)
    clf = SGDClassifier(n_jobs=2, scheme=scheme, **how).fit(X, y)
    assert clf.certificate_.primal <= 1.01 * serial.certificate_.primal
    assert clf.certificate_.dual <= serial.certificate_.primal
    assert clf.n_iter_ == len(clf.history_) == 60 and clf.t_ == 1 + 60 * len(y)
    alone = np.asarray(X @ clf.coef_.ravel() + clf.intercept_)
    np.testing.assert_allclose(clf.decision_function(X), alone, rtol=1e-9, atol=1e-12)
    clf.partial_fit(X, y)
    assert clf.t_ == 1 + 61 * len(y)


def test_round_robin_is_the_same_in_every_run(cancer):
    X, y = sp.csr_matrix(cancer[0]), cancer[1]
    how = dict(n_jobs=3, scheme="round_robin", alpha=0.05, random_state=0)
    one, two = (SGDClassifier(**how).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert one.certificate_ == two.certificate_


@pytest.mark.parametrize("other", [{"penalty": "l1"}, {"average": True}, {"batch_size": 4}])
def test_what_a_scheme_does_not_go_with_is_refused(cancer, other):
    with pytest.raises(ValueError, match=r"scheme='hogwild' goes with penalty 'l2' or None"):
        SGDClassifier(scheme="hogwild", **other).fit(*cancer)
