"""LinearSVCCV: the scores of a grid search, the refit of LinearSVC, scikit-learn's contract."""

import inspect

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import widemargin as wm
from widemargin import LinearSVC, LinearSVCCV
from widemargin.estimators.path import checked_Cs

CS = [0.003, 0.03, 0.3, 3.0]


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(240, 12, n_informative=6, flip_y=0.15, random_state=3)
    return csr_matrix(X), np.array(["no", "yes"])[y]


@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks_all_pass():
    results = check_estimator(LinearSVCCV(Cs=[0.1, 1.0], cv=3), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) > 40


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_the_scores_are_cross_val_scores(data, loss):
    clf = LinearSVCCV(CS, loss=loss, tol=1e-6, cv_tol=1e-6, cv_epochs=None, max_iter=5000)
    clf.fit(*data)
    assert (clf.gaps_ <= 1e-6).all() and clf.scores_.shape == (4, 5)
    for C, scores in zip(CS, clf.scores_, strict=True):
        single = LinearSVC(C=C, loss=loss, tol=1e-8, max_iter=5000)
        theirs = cross_val_score(single, *data, cv=5)
        assert np.abs(theirs - scores).max() <= 1 / 48 + 1e-12  # a near-tie may fall either way
        assert np.abs(theirs - scores).mean() <= 0.2 / 48
    np.testing.assert_array_equal(clf.mean_scores_, clf.scores_.mean(axis=1))
    np.testing.assert_allclose(clf.standard_errors_, clf.scores_.std(axis=1, ddof=1) / 5**0.5)
    assert clf.best_index_ == np.argmax(clf.mean_scores_) and clf.C_ == CS[clf.best_index_]


def test_by_default_the_scores_are_those_of_tight_fits(data):
    loose = LinearSVCCV(CS, random_state=0).fit(*data)
    tight = LinearSVCCV(CS, cv_tol=1e-6, cv_epochs=None, max_iter=5000).fit(*data)
    assert np.abs(loose.mean_scores_ - tight.mean_scores_).max() <= 0.01
    assert (loose.gaps_[loose.best_index_] <= 1e-2).all()


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_the_refit_is_LinearSVC(data, loss):
    clf = LinearSVCCV(CS, loss=loss, random_state=3).fit(*data)
    single = LinearSVC(C=clf.C_, loss=loss, random_state=3).fit(*data)
    np.testing.assert_array_equal(clf.coef_, single.coef_)
    np.testing.assert_array_equal(clf.intercept_, single.intercept_)
    assert clf.certificate_ == single.certificate_ and clf.n_iter_ == single.n_iter_
    np.testing.assert_array_equal(clf.predict(data[0]), single.predict(data[0]))


def test_any_scorer_judges(data):
    X, y = data

    def scorer(est, X, y):
        return f1_score(y, est.predict(X), pos_label="yes")

    how = dict(cv_tol=1e-6, cv_epochs=None, max_iter=5000)
    clf = LinearSVCCV(CS, scoring=scorer, **how).fit(X, y)
    for C, scores in zip(CS, clf.scores_, strict=True):
        single = LinearSVC(C=C, tol=1e-8, max_iter=5000)
        theirs = cross_val_score(single, X, y, cv=5, scoring=scorer)
        assert np.abs(theirs - scores).mean() < 0.01
    named = LinearSVCCV(CS, scoring="accuracy", **how).fit(X, y)
    plain = LinearSVCCV(CS, **how).fit(X, y)
    np.testing.assert_allclose(named.scores_, plain.scores_, rtol=1e-12)


def test_splitters_masks_and_groups(data):
    X, y = data
    cv = ShuffleSplit(3, test_size=0.25, random_state=0)
    assert LinearSVCCV(CS, cv=cv).fit(X, y).scores_.shape == (4, 3)
    masks = [
        (np.isin(np.arange(240), a), np.isin(np.arange(240), b))
        for a, b in StratifiedKFold(4).split(X, y)
    ]
    one = LinearSVCCV(CS, cv=masks, random_state=0).fit(X, y)
    two = LinearSVCCV(CS, cv=4, random_state=0).fit(X, y)
    np.testing.assert_array_equal(one.scores_, two.scores_)
    grouped = LinearSVCCV(CS, cv=GroupKFold(3)).fit(X, y, groups=np.arange(240) % 6)
    assert grouped.scores_.shape == (4, 3)


def test_classes_ten_folds_and_threads():
    X, y = make_classification(150, 8, n_informative=5, n_classes=3, random_state=0)
    fits = [LinearSVCCV(CS, cv=10, n_jobs=jobs, random_state=0).fit(X, y) for jobs in (None, 2)]
    np.testing.assert_array_equal(fits[0].scores_, fits[1].scores_)
    assert fits[0].scores_.shape == (4, 10) and fits[0].coef_.shape == (3, 8)


def test_weights_count_in_fit_and_score(data):
    X, y = data
    weight = np.where(np.arange(240) < 40, 0.0, 2.0)
    cv = [(np.arange(40, 240), np.arange(0, 80))]
    clf = LinearSVCCV([0.1], cv=cv, cv_tol=1e-6).fit(X, y, weight)
    single = LinearSVC(C=0.1, tol=1e-6).fit(X[40:], y[40:], np.full(200, 2.0))
    assert clf.scores_[0, 0] == pytest.approx(single.score(X[40:80], y[40:80]), abs=1 / 40)


def test_the_simpler_rule_takes_a_smaller_C(data):
    best = LinearSVCCV(CS, random_state=0).fit(*data)
    simple = LinearSVCCV(CS, rule="one_standard_error", random_state=0).fit(*data)
    np.testing.assert_array_equal(best.scores_, simple.scores_)
    limit = best.mean_scores_[best.best_index_] - best.standard_errors_[best.best_index_]
    assert simple.C_ == next(C for C, m in zip(CS, best.mean_scores_, strict=True) if m >= limit)


def test_without_a_refit_there_is_no_classifier(data):
    clf = LinearSVCCV(CS, refit=False).fit(*data)
    assert clf.C_ in CS and not hasattr(clf, "coef_") and not hasattr(clf, "predict")
    with pytest.raises(AttributeError) as caught:
        clf.predict(data[0])
    assert "LinearSVC(C=est.C_)" in str(caught.value.__cause__)


def test_the_model_is_saved(data, tmp_path):
    clf = clone(LinearSVCCV(CS)).fit(*data)
    wm.save(clf, tmp_path / "m")
    model = wm.load(tmp_path / "m")
    assert model.C == clf.C_ and model.labels == ("no", "yes")
    np.testing.assert_array_equal(model.predict(data[0]), clf.predict(data[0]))


@pytest.mark.parametrize(
    "how, words",
    [
        (dict(Cs=[1.0, -1.0]), ["-1.0", "positive"]),
        (dict(Cs=[]), ["Cs=[]"]),
        (dict(rule="first"), ["rule", "'first'"]),
        (dict(cv=[(np.arange(5), np.arange(5, 9))], _few=True), ["1 class", "two classes"]),
        (dict(scoring=lambda est, X, y: np.nan), ["nan", "C=0.003"]),
    ],
)
def test_refusals_name_the_value(data, how, words):
    X, y = data
    how = dict(how)
    y = np.sort(y) if how.pop("_few", False) else y
    with pytest.raises(ValueError) as caught:
        LinearSVCCV(**{"Cs": CS, **how}).fit(X, y)
    assert all(word in str(caught.value) for word in words)


def test_the_warning_names_the_refit(data):
    with pytest.warns(ConvergenceWarning, match="(folds|refit) of LinearSVCCV with C=3 "):
        LinearSVCCV([3.0], loss="hinge", tol=1e-12, max_iter=3).fit(*data)


def test_a_number_of_Cs_spans_six_decades():
    np.testing.assert_allclose(checked_Cs(3), [1e-3, 1.0, 1e3])
    assert checked_Cs([2.0, 1.0, 2.0]).tolist() == [1.0, 2.0]
    assert inspect.signature(LinearSVCCV).parameters["Cs"].default == 13


def test_a_path_is_certified_and_in_rising_order(data):
    X, y = data
    found = wm.path(X, y, [3.0, 0.03], loss="hinge", tol=1e-6, max_iter=5000)
    assert found.Cs.tolist() == [0.03, 3.0] and found.coefs.shape == (2, 1, 12)
    for C, coef, b, proof in zip(
        found.Cs, found.coefs, found.intercepts, found.certificates, strict=True
    ):
        assert proof.relative_gap <= 1e-6
        sign = np.where(y == "yes", 1.0, -1.0)
        hinge = np.maximum(0.0, 1.0 - sign * (X @ coef[0] + b[0])).sum()
        assert proof.primal == pytest.approx(0.5 * coef[0] @ coef[0] + C * hinge, rel=1e-9)
    with pytest.raises(ValueError, match="Cs=0 must be at least 1"):
        wm.path(X, y, 0)
