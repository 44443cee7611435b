"""probability=True: sigmoids on scores of samples that were held out, kept in the model file."""

from dataclasses import replace

import numpy as np
import pytest
import sklearn.svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_classification
from sklearn.utils.estimator_checks import check_estimator

import widemargin as wm
from shared import shared_path
from widemargin import LinearSVC, Perceptron, SGDClassifier
from widemargin.calibration import Sigmoid, probabilities

ALL = [
    LinearSVC(probability=True, random_state=0),
    LinearSVC(penalty="l1", dual=False, probability=True, random_state=0),
    SGDClassifier(probability=True, random_state=0),
    Perceptron(probability=True),
]


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(300, 8, n_informative=5, flip_y=0.2, random_state=0)
    return X, np.array(["ham", "spam"])[y]


def brier(P, y):
    return float(np.mean((P[:, 1] - y) ** 2))


@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks_all_pass():
    odd = {
        "check_classifiers_train": "P = 1/2 is not where the score is 0, as in SVC.",
        "check_sample_weight_equivalence_on_dense_data": "A row twice may lie in two folds.",
        "check_sample_weight_equivalence_on_sparse_data": "A row twice may lie in two folds.",
    }
    results = check_estimator(LinearSVC(probability=True), on_fail=None, expected_failed_checks=odd)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("est", ALL, ids=lambda est: type(est).__name__)
def test_probabilities_follow_the_scores(data, est):
    X, y = data
    est.fit(X, y)
    P, f = est.predict_proba(X), est.decision_function(X)
    assert P.shape == (300, 2)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.exp(est.predict_log_proba(X)), P, rtol=1e-12)
    np.testing.assert_array_equal(P, probabilities(f, est.sigmoids_))
    assert (np.diff(P[np.argsort(f), 1]) >= 0.0).all()
    assert brier(P, y == "spam") < 0.2


def test_the_scores_behind_are_held_out():
    """With more features than samples the data separate; chance labels stay a chance."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 300)), rng.integers(0, 2, 120)
    clf = LinearSVC(C=1.0, loss="hinge", probability=True, random_state=0).fit(X, y)
    assert clf.score(X, y) == 1.0
    assert np.abs(clf.predict_proba(X)[:, 1] - 0.5).max() < 0.35


def test_three_classes_and_weights():
    X, y = load_iris(return_X_y=True)
    clf = LinearSVC(probability=True, random_state=0).fit(X, y, np.arange(150) % 3 + 0.5)
    P = clf.predict_proba(X)
    assert P.shape == (150, 3) and len(clf.sigmoids_) == 3
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    assert np.mean(P.argmax(axis=1) == y) > 0.85


def test_a_model_file_keeps_them(data, tmp_path):
    X, y = data
    clf = LinearSVC(probability=True, random_state=0).fit(X, y)
    wm.save(clf, tmp_path / "m")
    model = wm.load(tmp_path / "m")
    assert model.sigmoids == clf.sigmoids_
    np.testing.assert_array_equal(model.predict_proba(X), clf.predict_proba(X))
    tailed = replace(model, sigmoids=(Sigmoid(-1.0, 0.5, -2.0),))
    for kept, version in ((model, b'"version": 2'), (tailed, b'"version": 3')):
        wm.save(kept, tmp_path / "v")
        assert version in (tmp_path / "v").read_bytes().replace(b"\\", b"")
        assert wm.load(tmp_path / "v").sigmoids == kept.sigmoids
    wm.save(LinearSVC().fit(X, y), tmp_path / "n")
    with pytest.raises(ValueError, match="--proba"):
        wm.load(tmp_path / "n").predict_proba(X)
    with pytest.raises(ValueError, match="sigmoids"):
        wm.save(model.__class__(**{**vars(model), "sigmoids": ((1.0, np.inf),)}), tmp_path / "o")


def test_only_where_asked_for(data):
    for est in (LinearSVC(), Perceptron(), SGDClassifier()):
        assert not hasattr(est, "predict_proba")
        with pytest.raises(AttributeError) as caught:
            est.predict_proba(data[0])
        assert "probability=True" in str(caught.value.__cause__)
    plain = SGDClassifier(loss="log_loss", random_state=0).fit(*data)
    f = plain.decision_function(data[0])
    np.testing.assert_allclose(plain.predict_proba(data[0])[:, 1], 1 / (1 + np.exp(-f)))


def test_another_epoch_drops_them(data):
    clf = SGDClassifier(probability=True, random_state=0).fit(*data)
    clf.partial_fit(*data)
    assert not hasattr(clf, "sigmoids_")


def test_a_class_of_one_is_refused(data):
    X, y = data
    with pytest.raises(ValueError, match="two samples of every class at least, got 1"):
        LinearSVC(probability=True).fit(X[:21], ["a"] * 20 + ["b"])


def test_as_good_as_scikit_learns_on_adult(shared_data):
    """And better, with one classifier, than the average of scikit-learn's five."""
    train, test = wm.open(shared_data("a9a/a9a")), wm.open(shared_path("a9a/a9a.t"), n_features=123)
    X, y, Xt, yt = train.X, train.y, test.X, test.y == 1
    ours = LinearSVC(probability=True, random_state=0).fit(X, y)
    assert ours.sigmoids_[0].D < 0.0
    theirs = CalibratedClassifierCV(sklearn.svm.LinearSVC(random_state=0)).fit(X, y)
    assert brier(ours.predict_proba(Xt), yt) < brier(theirs.predict_proba(Xt), yt) - 5e-5
