"""Explanations add up, and name features as the user does."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import widemargin as wm
from widemargin.model import Model

TWO = Model(np.array([2.0, -1.0, 0.0, 0.5]), np.array([0.25]), ("ham", "spam"))
THREE = Model(
    np.array([[1.0, -1.0, 0.0], [0.0, 2.0, -3.0]]), np.array([0.0, 0.1, 0.2]), ("a", "b", "c")
)


def total(report):
    parts = [each["contribution"] for each in report["contributions"]]
    return report["intercept"] + sum(parts) + report["rest"]


def test_the_strongest_of_two_classes_are_the_ends_of_one_column():
    report = wm.explain(TWO)
    assert report["classes"]["spam"] == [
        {"feature": "1", "weight": 2.0},
        {"feature": "4", "weight": 0.5},
    ]
    assert report["classes"]["ham"] == [{"feature": "2", "weight": 1.0}]
    assert report["intercept"] == {"ham": -0.25, "spam": 0.25}
    assert wm.explain(TWO, top=1)["classes"]["spam"] == [{"feature": "1", "weight": 2.0}]


def test_the_strongest_of_more_classes_are_of_each_column():
    report = wm.explain(THREE)
    assert report["classes"]["b"] == [{"feature": "2", "weight": 2.0}]
    assert report["classes"]["c"] == [] and report["intercept"]["c"] == 0.2


@pytest.mark.parametrize("top", [1, 2, None])
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
@pytest.mark.parametrize("model", [TWO, THREE])
def test_contributions_intercept_and_rest_sum_to_the_score(model, form, top):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, model.n_features)) * (rng.random((20, model.n_features)) < 0.7)
    reports = wm.explain(model, form(X), top=top)
    scores = model.scores(X)
    for report, p, label in zip(reports, scores, model.predict(X), strict=True):
        k = model.labels.index(report["towards"]) if len(p) > 1 else 0
        assert report["label"] == label and report["score"] == pytest.approx(p[k])
        assert total(report) == pytest.approx(report["score"], abs=1e-12)
        sizes = [abs(each["contribution"]) for each in report["contributions"]]
        assert sizes == sorted(sizes, reverse=True) and len(sizes) <= (top or 99)


def test_features_are_counted_as_the_file_counts_them():
    zero_based = Model(TWO.W, TWO.b, TWO.labels, zero_based=True)
    assert wm.explain(zero_based)["classes"]["spam"][0]["feature"] == "0"


def test_top_must_be_positive():
    with pytest.raises(ValueError, match="top=0 must be at least 1"):
        wm.explain(TWO, top=0)
