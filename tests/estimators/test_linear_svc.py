"""LinearSVC: scikit-learn's contract, our certificate, nothing copied, nothing changed."""

import inspect
import pickle
import tracemalloc

import numpy as np
import pytest
import sklearn.svm
from scipy.sparse import csr_matrix, random_array
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from widemargin import LinearSVC

KINDS = [dict(loss="hinge"), dict(loss="squared_hinge"), dict(penalty="l1", dual=False)]


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(120, 8, flip_y=0.2, random_state=0)
    return csr_matrix(X), y


@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks_all_pass():
    results = check_estimator(LinearSVC(), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] in ("failed", "xfail")] == []
    assert sum(r["status"] == "passed" for r in results) > 40


def test_parameters_are_scikit_learns():
    ours, theirs = inspect.signature(LinearSVC), inspect.signature(sklearn.svm.LinearSVC)
    ours, theirs = list(ours.parameters.values()), list(theirs.parameters.values())
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [
        (p.name, p.default, p.kind) for p in theirs
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])


def test_threads_give_the_same_scores(data):
    X, y = data
    for labels in (y, np.arange(len(y)) % 3):
        clf = LinearSVC(loss="hinge", random_state=0).fit(X, labels)
        for many in (clf, clone(clf).set_params(n_jobs=2).fit(X, labels)):
            np.testing.assert_allclose(many.coef_, clf.coef_)
            for rows in (X, X.toarray(), X.tocsc()):
                many.set_params(n_jobs=1)
                one, classes = many.decision_function(rows), many.predict(rows)
                many.set_params(n_jobs=2)
                np.testing.assert_allclose(many.decision_function(rows), one, rtol=1e-12)
                np.testing.assert_array_equal(many.predict(rows), classes)
    sparse = clone(clf).set_params(n_jobs=-1).fit(X, y).sparsify()
    assert sparse.decision_function(X).shape == (len(y),)
    with pytest.raises(ValueError, match="n_jobs=0 has no meaning"):
        LinearSVC(loss="hinge", n_jobs=0).fit(X, y)
    with pytest.raises(ValueError, match="8 features"):
        sparse.decision_function(X[:, :5])


@pytest.mark.parametrize("how", KINDS)
def test_certificate_and_history(data, how):
    X, y = data
    clf = LinearSVC(C=0.5, tol=1e-5, random_state=0, **how).fit(X, y)
    proof, w = clf.certificate_, clf.coef_.ravel()
    assert proof.relative_gap <= 1e-5 and proof.dual <= proof.primal * (1.0 + 1e-14)  # rounding
    z = np.maximum(0.0, 1.0 - (2 * y - 1) * clf.decision_function(X))
    losses = z.sum() if how.get("loss") == "hinge" else (z * z).sum()
    size = np.abs(w).sum() if "penalty" in how else 0.5 * w @ w
    assert proof.primal == pytest.approx(size + 0.5 * losses, rel=1e-9)
    assert [row["epoch"] for row in clf.history_] == list(range(1, clf.n_iter_ + 1))
    assert clf.history_[-1]["gap"] == proof.relative_gap
    assert clf.history_[-1]["objective"] == proof.primal


def test_the_warning_names_the_gap(data):
    clf = LinearSVC(loss="hinge", tol=1e-12, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        clf.fit(*data)
    text = str(caught[0].message)
    assert "max_iter=2" in text and f"{clf.certificate_.relative_gap:.2g}" in text
    assert "tol=1e-12" in text and "Raise max_iter" in text


def test_one_against_all_is_a_fit_per_class():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    clf = LinearSVC(tol=1e-9).fit(X, names)
    assert clf.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    for k in range(3):
        alone = LinearSVC(tol=1e-9).fit(X, y == k)
        np.testing.assert_allclose(clf.coef_[k], alone.coef_[0], atol=1e-8)
        assert clf.intercept_[k] == pytest.approx(alone.intercept_[0], abs=1e-8)
    assert set(clf.predict(X)) == set(names)


def test_balanced_is_its_weights(data):
    X, y = data
    y = np.where(np.arange(len(y)) % 5 == 0, y, 0)
    one = LinearSVC(class_weight="balanced").fit(X, y)
    weight = {k: len(y) / (2 * (y == k).sum()) for k in (0, 1)}
    two = LinearSVC(class_weight=weight).fit(X, y)
    three = LinearSVC().fit(X, y, sample_weight=[weight[k] for k in y])
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_allclose(one.coef_, three.coef_, atol=1e-10)


def broken(X, **parts):
    X = X.copy()
    for name, change in parts.items():
        setattr(X, name, change(getattr(X, name)))
    return X


def with_first(value):
    def change(array):
        array = array.copy()
        array[0] = value
        return array

    return change


@pytest.mark.parametrize(
    "parts, message",
    [
        (dict(indices=with_first(8)), "outside its 8 columns"),
        (dict(indices=with_first(-1)), "outside its 8 columns"),
        (dict(indptr=with_first(3)), "X.indptr"),
        (dict(indptr=lambda p: np.delete(p, 5)), "120 entries for 120 rows"),
        (dict(data=lambda v: v[:-1]), "959 for 960"),
    ],
)
def test_broken_csr_is_refused(data, parts, message):
    X, y = data
    with pytest.raises(ValueError, match=message):
        LinearSVC().fit(broken(X, **parts), y)


def test_entries_named_twice_are_summed(data):
    X, y = data
    half = X.copy()
    half.data = np.repeat(X.data / 2, 2)
    half.indices, half.indptr = np.repeat(X.indices, 2), X.indptr * 2
    before = half.data.copy()
    np.testing.assert_allclose(LinearSVC().fit(half, y).coef_, LinearSVC().fit(X, y).coef_)
    np.testing.assert_array_equal(half.data, before)


@pytest.mark.parametrize(
    "how", [dict(penalty="l1", loss="hinge"), dict(loss="hinge", dual=False), dict(C=-1.0)]
)
def test_refusals_name_the_value(data, how):
    with pytest.raises(ValueError) as caught:
        LinearSVC(**how).fit(*data)
    assert all(name in str(caught.value) for name in how)
    assert all(repr(value) in str(caught.value) for value in how.values())


def test_one_class_is_named(data):
    X, y = data
    with pytest.raises(ValueError, match="1 class: 7"):
        LinearSVC().fit(X, np.full(len(y), 7))
    with pytest.raises(ValueError, match="1 class: 0"):
        LinearSVC().fit(X, y, sample_weight=(y == 0).astype(float))


def test_the_matrix_is_not_copied():
    X = random_array((6000, 300), density=0.25, rng=np.random.default_rng(0), format="csr")
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    y = np.arange(6000) % 2
    LinearSVC(loss="hinge", C=1e-3, tol=1e-2).fit(X[:200], y[:200])  # compiles
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    tracemalloc.start()
    LinearSVC(loss="hinge", C=1e-3, tol=1e-2).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nnz + 200 * (6000 + 300)
    for array, kept in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_the_seed_decides(data):
    fits = [LinearSVC(loss="hinge", tol=1e-2, random_state=s).fit(*data) for s in (1, 1, 2)]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert not np.array_equal(fits[0].coef_, fits[2].coef_)


def test_life_with_scikit_learn(data):
    X, y = data
    clf = LinearSVC(C=0.1, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.decision_function(X), clf.decision_function(X))
    assert again.certificate_ == clf.certificate_
    assert clone(clf).get_params() == clf.get_params()
    np.testing.assert_allclose(clf.sparsify().decision_function(X), again.decision_function(X))
    search = GridSearchCV(LinearSVC(), {"C": [0.01, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_["C"] in (0.01, 1.0)
    assert make_pipeline(StandardScaler(), LinearSVC()).fit(X.toarray(), y).score(X.toarray(), y)
