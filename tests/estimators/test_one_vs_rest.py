"""OneVsRestClassifier: scikit-learn's contract, on one data set for all labels."""

import inspect
import pickle

import numpy as np
import pytest
import sklearn.multiclass
from scipy.sparse import csr_matrix, issparse
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

from shared import shared_path
from widemargin import LinearSVC, OneVsRestClassifier, save

TIGHT = dict(tol=1e-9, random_state=0)


@pytest.fixture(scope="module")
def wide():
    """More features than Newton takes, three labels."""
    rng = np.random.default_rng(0)
    X = rng.random((400, 300)) * (rng.random((400, 300)) < 0.1)
    Y = (X @ rng.normal(size=(300, 3)) + 0.3 * rng.normal(size=(400, 3)) > 0.4).astype(int)
    return csr_matrix(X), Y


@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks_all_pass():
    results = check_estimator(OneVsRestClassifier(), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] in ("failed", "xfail")] == []
    assert sum(r["status"] == "passed" for r in results) > 50


def test_parameters_are_scikit_learns():
    theirs = inspect.signature(sklearn.multiclass.OneVsRestClassifier).parameters
    ours = inspect.signature(OneVsRestClassifier).parameters
    assert list(ours) == list(theirs)
    assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]


@pytest.mark.filterwarnings("ignore:Label")
@pytest.mark.parametrize("sparse", [False, True])
def test_many_labels_are_scikit_learns(sparse):
    X, Y = make_multilabel_classification(n_classes=5, random_state=0)
    Y[:, 1], Y[:, 3] = 0, 1
    Y = csr_matrix(Y) if sparse else Y
    ours = OneVsRestClassifier(LinearSVC(**TIGHT)).fit(X, Y)
    theirs = sklearn.multiclass.OneVsRestClassifier(LinearSVC(**TIGHT)).fit(X, Y)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-9)
    mine, other = ours.predict(X), theirs.predict(X)
    assert issparse(mine) == issparse(other) == sparse
    assert (mine != other).sum() == 0
    assert ours.multilabel_ and ours.classes_.tolist() == [0, 1, 2, 3, 4]


def test_a_label_of_all_or_none_is_told():
    X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    Y[:, 0], Y[:, 2] = 0, 1
    with pytest.warns(UserWarning) as caught:
        clf = OneVsRestClassifier().fit(X, Y)
    told = sorted(str(w.message) for w in caught)
    assert told == [
        "Label 2 is present in all training examples.",
        "Label not 0 is present in all training examples.",
    ]
    assert clf.predict(X)[:, [0, 2]].tolist() == [[0, 1]] * len(X)
    assert clf.certificates_[0].primal == 0.0


@pytest.mark.parametrize("names", [None, list("xyz")])
def test_classes_are_told_apart(names):
    X, y = load_iris(return_X_y=True)
    y = y if names is None else np.array(names)[y]
    ours = OneVsRestClassifier(LinearSVC(**TIGHT)).fit(X, y)
    plain = LinearSVC(**TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, plain.coef_, atol=1e-8)
    assert (ours.predict(X) == plain.predict(X)).all()
    two = OneVsRestClassifier(LinearSVC(**TIGHT)).fit(X, y == y[0])
    assert two.decision_function(X).shape == (150,) and set(two.predict(X)) == {True, False}


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_wide_rows_take_labels_together(wide, loss):
    X, Y = wide
    model = LinearSVC(loss=loss, tol=1e-6, random_state=0)
    ours = OneVsRestClassifier(model, n_jobs=2).fit(X, Y)
    for k in range(3):
        one = LinearSVC(loss=loss, tol=1e-6).fit(X, Y[:, k])
        assert ours.certificates_[k].primal == pytest.approx(one.certificate_.primal, rel=2e-6)
    sums = [sum(c[part] for c in ours.certificates_) for part in range(2)]
    assert [ours.certificate_.primal, ours.certificate_.dual] == pytest.approx(sums)
    assert len(ours.history_) == ours.n_iter_ and ours.history_[-1]["gap"] >= 0.0
    again = OneVsRestClassifier(model).fit(X.toarray().astype(X.dtype), Y)
    assert again.certificate_.primal == pytest.approx(ours.certificate_.primal, rel=2e-6)


def test_weights_are_repetitions(wide):
    X, Y = wide
    times = np.random.default_rng(1).integers(0, 3, len(Y))
    rows = np.repeat(np.arange(len(Y)), times)
    one = OneVsRestClassifier(LinearSVC(tol=1e-7)).fit(X, Y, sample_weight=times)
    many = OneVsRestClassifier(LinearSVC(tol=1e-7)).fit(X[rows], Y[rows])
    np.testing.assert_allclose(one.coef_, many.coef_, atol=2e-3)


def test_sides_of_a_label_weigh(wide):
    X, Y = wide
    balanced = OneVsRestClassifier(LinearSVC(class_weight="balanced", tol=1e-7)).fit(X, Y)
    for k in range(3):
        counts = np.bincount(Y[:, k])
        weight = {side: len(Y) / (2.0 * counts[side]) for side in (0, 1)}
        one = OneVsRestClassifier(LinearSVC(class_weight=weight, tol=1e-7)).fit(X, Y[:, [k, k]])
        np.testing.assert_allclose(balanced.coef_[k], one.coef_[0], atol=2e-3)


def test_penalty_l1_goes_label_by_label(wide):
    X, Y = wide
    model = LinearSVC(penalty="l1", dual=False, C=3.0, tol=1e-2, random_state=0)
    ours = OneVsRestClassifier(model).fit(X, Y)
    one = model.fit(X, Y[:, 1])
    assert ours.certificates_[1].primal == pytest.approx(one.certificate_.primal, rel=2e-2)
    assert (ours.coef_ == 0.0).any()


@pytest.mark.parametrize(
    "estimator, message",
    [
        (LinearSVC(multi_class="crammer_singer"), "needs 'ovr'"),
        (LinearSVC(class_weight={2: 1.0}), "has the key 2"),
        (LinearSVC(C=-1.0), "'C' parameter"),
        (LinearSVC(penalty="l1", loss="hinge"), "Unsupported set"),
        (sklearn.multiclass.OneVsRestClassifier(LinearSVC()), "'estimator' parameter"),
    ],
)
def test_refusals_say_what_to_do(wide, estimator, message):
    with pytest.raises(ValueError, match=message):
        OneVsRestClassifier(estimator).fit(*wide)


def test_one_class_is_refused_and_a_short_fit_is_told(wide):
    X, Y = wide
    with pytest.raises(ValueError, match="1 class: 5"):
        OneVsRestClassifier().fit(X, np.full(len(Y), 5))
    short = OneVsRestClassifier(LinearSVC(tol=1e-12, max_iter=2))
    with pytest.warns(ConvergenceWarning, match="3 of 3 labels"):
        short.fit(X, Y)


def test_it_lives_on_but_not_in_a_model_file(wide, tmp_path):
    X, Y = wide
    clf = OneVsRestClassifier(LinearSVC(random_state=0)).fit(X, Y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))
    with pytest.raises(ValueError, match="OneVsRestClassifier"):
        save(clf, tmp_path / "m.safetensors")


def test_topics_are_certified():
    from scipy.sparse import load_npz

    X = load_npz(shared_path("rcv1_topics/X.npz")).tocsr()[:6000]
    Y = load_npz(shared_path("rcv1_topics/Y103.npz")).tocsr()[:6000]
    common = np.flatnonzero(np.asarray(Y.sum(axis=0)).ravel() > 0)[:24]
    model = LinearSVC(loss="hinge", tol=1e-3, random_state=0)
    clf = OneVsRestClassifier(model, n_jobs=2).fit(X, Y[:, common])
    assert max(proof.relative_gap for proof in clf.certificates_) <= 1e-3
    assert (clf.predict(X) != Y[:, common]).nnz < 0.01 * 6000 * 24
