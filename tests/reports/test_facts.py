"""What a page says is right: against scikit-learn's metrics and against counting by hand."""

import numpy as np
import pytest
from made import a_model, a_set
from sklearn import metrics
from sklearn.datasets import load_iris

import widemargin as wm
from widemargin.reports import bins, confusion, curves, features
from widemargin.reports.facts import Seen
from widemargin.reports.gather import Run, gather
from widemargin.scores import codes_of


@pytest.mark.parametrize("digits", [1, 12])  # rounded scores tie
def test_curves_of_two_classes(digits):
    seen = a_set("test", 500, 2)
    seen = seen._replace(scores=seen.scores.round(digits))
    p, y = seen.scores[:, 0], seen.codes
    found = curves.curves(seen)
    assert found.roc.area == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
    average = metrics.average_precision_score(y, p)
    assert found.precision_recall.area == pytest.approx(average, abs=1e-12)
    ranks = curves.ranked(p, y == 1)
    x, t, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(curves.roc(ranks).x, x)
    np.testing.assert_allclose(curves.roc(ranks).y, t)
    precision, recall, _ = metrics.precision_recall_curve(y, p)
    np.testing.assert_allclose(curves.precision_recall(ranks).y, precision[::-1])
    np.testing.assert_allclose(curves.precision_recall(ranks).x, recall[::-1])


def test_areas_of_many_classes_and_their_mean():
    seen = a_set("test", 600, 5)
    found, hot = curves.curves(seen), np.eye(5)[seen.codes]
    one = [metrics.roc_auc_score(hot[:, k], seen.scores[:, k]) for k in range(5)]
    two = [metrics.average_precision_score(hot[:, k], seen.scores[:, k]) for k in range(5)]
    np.testing.assert_allclose(found.areas, np.transpose([one, two]), atol=1e-12)
    assert found.roc.area == pytest.approx(np.mean(one))
    assert found.precision_recall.area == pytest.approx(np.mean(two))
    x, y = found.roc.x, found.roc.y  # the drawn mean has about the area that is told
    assert np.trapezoid(y, x) == pytest.approx(found.roc.area, abs=0.01)


def test_a_class_that_is_absent_has_no_area_and_spoils_no_mean():
    seen = a_set("test", 300, 4)
    seen = seen._replace(codes=np.where(seen.codes == 3, 0, seen.codes))
    found = curves.curves(seen)
    assert np.isnan(found.areas[3]).all() and np.isfinite(found.areas[:3]).all()
    assert found.roc.area == pytest.approx(found.areas[:3, 0].mean())


def test_thinned_curves_keep_their_ends_and_their_shape():
    seen = a_set("test", 20_000, 2)
    whole = curves.roc(curves.ranked(seen.scores[:, 0], seen.codes == 1))
    few = curves.thinned(whole)
    assert len(few.x) <= curves.POINTS < len(whole.x)
    assert (few.x[0], few.y[0], few.x[-1], few.y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(few.y, few.x) == pytest.approx(whole.area, abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_margins_are_counted(n_classes):
    seen = a_set("training", 300, n_classes, unknown=20)
    values = bins.margins_of(seen)
    edges = bins.margin_edges([values])
    found = bins.margin_counts(seen, values, edges)
    assert np.isclose(edges, 0.0).any() and np.isclose(edges, 1.0).any()
    assert found.histogram.counts.sum() == len(values) == 280
    assert found.below + found.at + found.beyond == 280
    by_hand = []
    for p, code in zip(seen.scores[:280].tolist(), seen.codes[:280].tolist(), strict=True):
        if n_classes == 2:
            by_hand.append(p[0] if code else -p[0])
        else:
            by_hand.append(p[code] - max(p[:code] + p[code + 1 :]))
    np.testing.assert_allclose(values, by_hand)
    assert found.wrong == sum(m < 0 for m in by_hand) and found.wrong < found.below
    assert found.below == sum(m < 0.99 for m in by_hand)
    inside = int(np.searchsorted(edges, 1.0 - 1e-9))
    if values.min() > edges[0]:
        assert found.histogram.counts[:inside].sum() == sum(m < 1 for m in by_hand)


def test_support_vectors_of_each_column():
    seen = a_set("training", 200, 3)
    found = bins.margin_counts(seen, bins.margins_of(seen), np.array([-9.0, 0.0, 1.0, 9.0]))
    for k in range(3):
        y = np.where(seen.codes == k, 1.0, -1.0)
        m = y * seen.scores[:, k]
        assert found.sides[k].tolist() == [
            (m < 0.99).sum(),
            (abs(m - 1) <= 0.01).sum(),
            (m > 1.01).sum(),
        ]


def test_support_vectors_of_a_joint_problem_are_those_that_its_dual_needs():
    X, y = load_iris(return_X_y=True)
    how = {"multi_class": "crammer_singer", "C": 0.1, "tol": 1e-8, "random_state": 0}
    clf = wm.LinearSVC(**how).fit(X, y)
    seen = Seen("training", "iris", clf.decision_function(X), y, np.full(len(y), 4), 4)
    found = gather(a_model(tuple("abc"), 4, loss="crammer_singer"), [seen], Run("t")).margins[0]
    slack = seen.scores + 1.0 - np.eye(3)[y] - seen.scores[np.arange(len(y)), y][:, None]
    by_hand = slack.max(axis=1) > 1e-3  # ξ > 0, by the constraints of the problem
    margins = bins.margins_of(seen)
    assert 0 < found.below <= by_hand.sum() <= found.below + found.at < len(y)
    for k in range(3):
        own = margins[y == k]
        below, beyond = (own < 0.99).sum(), (own > 1.01).sum()
        assert found.sides[k].tolist() == [below, len(own) - below - beyond, beyond]
    needed = margins <= 1.01
    again = wm.LinearSVC(**how).fit(X[needed], y[needed])
    assert again.certificate_.primal == pytest.approx(clf.certificate_.primal, rel=1e-6)
    np.testing.assert_allclose(again.coef_, clf.coef_, atol=1e-3)


def test_confusion_is_scikit_learns_and_shows_the_worst_classes():
    sets = [a_set("training", 3000, 25, 1), a_set("test", 3000, 25, 2)]
    found = confusion.confusions(sets, 25)
    whole = metrics.confusion_matrix(sets[1].codes, codes_of(sets[1].scores), labels=range(25))
    assert len(found[1].shown) == 20
    np.testing.assert_array_equal(found[1].counts, whole[np.ix_(found[1].shown, found[1].shown)])
    np.testing.assert_array_equal(found[0].shown, found[1].shown)
    wrong = whole.sum(0) + whole.sum(1) - 2 * np.diagonal(whole)
    left_out = np.setdiff1d(np.arange(25), found[1].shown)
    assert wrong[left_out].max() <= wrong[found[1].shown].min()
    off = whole - np.diag(np.diagonal(whole))
    assert [n for *_, n in found[1].pairs] == sorted(off.ravel(), reverse=True)[:10]
    assert all(off[i, j] == n for i, j, n in found[1].pairs)


def test_strongest_features_are_numbered_as_the_data_number_them_or_named():
    model = a_model(("no", "yes"), d=50)
    no, yes = features.strongest(model, None, 1)
    best = np.argsort(-model.W)[: features.OF_TWO]
    assert [name for name, _ in yes.features] == [str(j + 1) for j in best]
    assert [w for _, w in yes.features] == model.W[best].tolist()
    assert (no.label, no.features[0]) == ("no", (str(np.argmin(model.W) + 1), -model.W.min()))
    words = [f"word {j}" for j in range(50)]
    assert features.strongest(model, words, 0)[1].features[0][0] == f"word {best[0]}"
    many = features.strongest(a_model(tuple("abc"), d=4), None, 0)
    assert [each.label for each in many] == list("abc")
    assert all(w > 0 for each in many for _, w in each.features)


def test_lengths_and_counts_of_data_with_unknown_labels():
    seen = a_set("test", 100, 2, unknown=10)
    facts = gather(a_model(("no", "yes")), [seen], Run("t"))
    counts = facts.data[0]
    assert (counts.n_samples, counts.unknown, counts.classes.sum()) == (100, 10, 90)
    assert counts.error >= 0.1 and counts.n_nonzeros == seen.lengths.sum()
    assert counts.lengths.histogram.counts.sum() == 100
    assert (counts.lengths.least, counts.lengths.most) == (seen.lengths.min(), seen.lengths.max())
    assert facts.confusion[0].counts.sum() == 90


@pytest.mark.parametrize("known", [0, 1])
def test_data_with_next_to_nothing_in_them(known):
    seen = a_set("test", 3, 2, unknown=3 - known)
    facts = gather(a_model(("no", "yes")), [seen], Run("t"))
    assert np.isnan(facts.curves[0].roc.area) and facts.margins[0].beyond <= known
