"""`train --multi-class crammer_singer` and what becomes of its models."""

import json

import numpy as np
import pytest

import widemargin as wm


@pytest.fixture(params=[2, 3])
def data(tmp_path, request):
    """Overlapping classes in svmlight text, and how many they are."""
    rng, K = np.random.default_rng(0), request.param
    lines = []
    for i in range(90):
        x = rng.normal(size=4) + 1.5 * np.eye(4)[i % K]
        lines.append(" ".join([f"c{i % K}", *(f"{j + 1}:{v:.6f}" for j, v in enumerate(x))]))
    (tmp_path / "train.svm").write_text("\n".join(lines) + "\n")
    return tmp_path / "train.svm", K


def test_training_and_evaluation_agree(run, data, tmp_path):
    path, K = data
    model = tmp_path / "m"
    how = ("--multi-class", "crammer_singer", "--C", "0.3", "--tol", "1e-6", "--json")
    code, out, err = run("train", path, "-m", model, *how, "--test", path)
    report = json.loads(out)
    assert (code, err) == (0, "") and report["relative_gap"] <= 1e-6
    assert report["train_error"] == report["test_error"] < 0.4
    loaded = wm.load(model)
    assert loaded.loss == "crammer_singer" and loaded.b.size == (1 if K == 2 else K)
    seen = json.loads(run("evaluate", model, path, "--json")[1])
    assert seen["objective"] == pytest.approx(report["objective"], rel=1e-9)
    assert seen["error"] == pytest.approx(report["train_error"])
    _, labels, _ = run("predict", model, path)
    assert set(labels.split()) <= {"c0", "c1", "c2"}


def test_a_saved_estimator_says_what_it_is(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    clf = wm.LinearSVC(multi_class="crammer_singer", C=0.1).fit(X, y)
    wm.save(clf, tmp_path / "m")
    loaded = wm.load(tmp_path / "m")
    assert loaded.loss == "crammer_singer"
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))


@pytest.mark.parametrize(
    "options, words",
    [
        (("--multi-class", "other"), ("--multi-class='other'", "'crammer_singer', 'ovr'")),
        (("--multi-class", "crammer_singer", "--loss", "log_loss"), ("loss='log_loss'", "dual")),
        (("--multi-class", "crammer_singer", "--solver", "sgd"), ("solver='sgd'", "Leave both")),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, data, tmp_path, options, words):
    code, out, err = run("train", data[0], "-m", tmp_path / "m", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(word in err for word in words) and not (tmp_path / "m").exists()
