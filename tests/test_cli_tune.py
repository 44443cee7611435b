"""`widemargin tune`, and probabilities from the command line."""

import json

import numpy as np
import pytest

import widemargin as wm
from widemargin.cli.tune import values_of
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.run.judging import SCORES, judge_by
from widemargin.run.tuning import Fold, Held


def noisy_text(n=240, seed=0, classes=("ham", "spam")):
    """Rows of eight features that a line nearly separates."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 8)).round(3)
    scores = X[:, : len(classes)] + 0.8 * rng.normal(size=(n, len(classes)))
    labels = np.array(classes)[scores.argmax(axis=1)]
    rows = [" ".join(f"{j + 1}:{v:g}" for j, v in enumerate(x)) for x in X]
    return "".join(f"{label} {row}\n" for label, row in zip(labels, rows, strict=True))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "train.svm").write_text(noisy_text())
    return tmp_path / "train.svm"


def test_tune_reports_the_curve_and_saves_the_model(run, data, tmp_path):
    code, out, err = run("tune", data, "-m", tmp_path / "m", "--Cs", "0.01:1:3", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    curve = report["curve"]
    assert [point["C"] for point in curve] == pytest.approx([0.01, 0.1, 1.0])
    assert all(len(point["scores"]) == report["folds"] == 5 for point in curve)
    best = max(curve, key=lambda point: point["mean"])
    assert report["C"] == best["C"] and best["relative_gap"] <= 1e-2
    assert report["seconds"].keys() == {"load", "tune", "fit", "total"}
    run("train", data, "-m", tmp_path / "t", "--C", report["C"])
    tuned, trained = wm.load(tmp_path / "m"), wm.load(tmp_path / "t")
    np.testing.assert_array_equal(tuned.W, trained.W)
    assert tuned.C == trained.C and tuned.training["curve"] == curve


def test_tune_shows_a_table_and_draws_it(run, data, tmp_path):
    png = tmp_path / "curve.png"
    code, out, _ = run(
        *("tune", data, "-m", tmp_path / "m", "--Cs", "0.01,1", "--cv", 3, "--plot", png),
        *("--rule", "one-standard-error", "--scoring", "f1_macro", "--class-weight", "balanced"),
    )
    assert code == 0 and png.read_bytes().startswith(b"\x89PNG")
    lines = out.splitlines()
    assert "f1_macro" in lines[2] and "3 folds" in lines[0]
    assert [line[0] for line in lines[3:5]].count(">") == 1
    assert any(line.startswith("chosen ") and "one-standard-error" in line for line in lines)


def test_tune_stops_before_its_tolerance(run, data, tmp_path):
    code, _, err = run(
        "tune", data, "-m", tmp_path / "m", "--Cs", "1", "--tol", 1e-12, "--epochs", 3
    )
    assert code == 1 and "--epochs" in err and (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "words, told",
    [
        (["--Cs", "1:x:3"], ["--Cs", "1:x:3", "LOW:HIGH:COUNT"]),
        (["--Cs", "0,1"], ["--Cs", "positive"]),
        (["--rule", "worst"], ["--rule", "'best'", "'one-standard-error'"]),
        (["--scoring", "auc"], ["--scoring", "'accuracy'"]),
        (["--loss", "perceptron"], ["--loss", "'hinge'"]),
        (["--tol", "0"], ["--tol", "positive"]),
        (["--cv-tol", "-1"], ["--cv-tol"]),
        (["--cv", "1"], ["--cv"]),
        (["--class-weight", "even"], ["--class-weight", "balanced"]),
        (["--plot", "nowhere/a.png"], ["nowhere"]),
    ],
)
def test_tune_refuses(run, data, tmp_path, words, told):
    code, out, err = run("tune", data, "-m", tmp_path / "m", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and "Traceback" not in err
    assert all(word in err for word in told) and not (tmp_path / "m").exists()


def test_values_of_C():
    np.testing.assert_allclose(values_of("1e-1:1e1:3"), [0.1, 1.0, 10.0])
    assert values_of("3,1,3").tolist() == [1.0, 3.0]


@pytest.mark.parametrize("solver, classes", [("dual", 2), ("dual", 3), ("sgd", 2)])
def test_probabilities_of_train_and_predict(run, data, tmp_path, solver, classes):
    names = ("a", "b", "c")[:classes]
    data.write_text(noisy_text(classes=names))
    code, _, err = run("train", data, "-m", tmp_path / "m", "--solver", solver, "--proba")
    assert (code, err) == (0, "")
    code, out, _ = run("predict", tmp_path / "m", data, "--proba")
    fields = [line.split("\t") for line in out.splitlines()]
    P = np.array([row[1:] for row in fields], float)
    assert P.shape == (240, classes)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    model, X = wm.load(tmp_path / "m"), wm.open(data).X
    np.testing.assert_array_equal(P, model.predict_proba(X))
    y = np.array([names.index(line.split()[0]) for line in data.read_text().splitlines()])
    assert np.mean((P[np.arange(240), y]) > 1 / classes) > 0.7


def test_probabilities_only_where_there_are_some(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    code, out, err = run("predict", tmp_path / "m", data, "--proba")
    assert (code, out) == (2, "") and "Train it with --proba" in err
    run("tune", data, "-m", tmp_path / "p", "--Cs", "1", "--proba")
    code, out, err = run("predict", tmp_path / "p", data, "--proba", "--scores")
    assert (code, out) == (2, "") and "Give one of them" in err
    assert run("predict", tmp_path / "p", data, "--proba")[0] == 0


def test_scores_by_hand():
    confusion = np.array([[6.0, 2.0], [1.0, 1.0]])
    assert SCORES["accuracy"](confusion) == pytest.approx(0.7)
    assert SCORES["balanced_accuracy"](confusion) == pytest.approx((0.75 + 0.5) / 2)
    assert SCORES["f1_macro"](confusion) == pytest.approx((12 / 15 + 2 / 5) / 2)
    samples = make_samples(as_rows(np.eye(3)), np.array([0, 1, 1]), 2, np.arange(3.0))
    fold = Fold(np.arange(3), np.arange(3))
    held = Held(1.0, lambda f: np.array([[1.0], [1.0], [-1.0]]), lambda f: (np.eye(1), np.ones(1)))
    assert judge_by("accuracy", samples, [fold], 2)(held) == pytest.approx([1 / 3])
