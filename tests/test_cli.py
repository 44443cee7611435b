"""The commands, run in this process: what they print, write, and answer with."""

import gzip
import json
import os
import tracemalloc

import numpy as np
import pytest

import widemargin as wm

TEXT = (
    "\n".join(
        f"{'+1' if i % 3 else '-1'} {1 + i % 3}:{1 + i % 5} 5:{0.1 * (i % 7):g}" for i in range(60)
    )
    + "\n"
)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "train.svm").write_text(TEXT)
    return tmp_path / "train.svm"


def refused(result, *words):
    """Exit code 2, nothing on stdout, one line on stderr that holds the words."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("widemargin: ") and "Traceback" not in err
    for word in words:
        assert str(word) in err


FIELDS = {
    "objective",
    "objective_per_sample",
    "dual_objective",
    "relative_gap",
    "epochs",
    "seconds",
    "train_error",
    "test_error",
    "n_samples",
    "n_features",
    "n_nonzeros",
    "solver",
    "n_jobs",
}


@pytest.mark.parametrize("solver", ["auto", "dual", "sgd", "asgd", "minibatch", "batch"])
def test_train_reports_what_it_did(run, data, tmp_path, solver):
    model = tmp_path / "m"
    code, out, err = run("train", data, "-m", model, "--solver", solver, "--test", data, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report.keys() >= FIELDS
    assert report["seconds"].keys() == {"load", "fit", "total"}
    assert report["seconds"]["total"] >= report["seconds"]["load"] + report["seconds"]["fit"]
    assert (report["n_samples"], report["n_features"]) == (60, 5)
    assert report["dual_objective"] <= report["objective"]
    assert report["objective_per_sample"] == pytest.approx(report["objective"] / 60)
    assert report["train_error"] == report["test_error"] == 0.0
    loaded = wm.load(model)
    assert loaded.labels == ("-1", "+1") and loaded.C == 1.0
    assert loaded.certificate["relative_gap"] == report["relative_gap"]


def test_perceptron_stops_when_it_separates(run, data, tmp_path):
    code, out, _ = run("train", data, "-m", tmp_path / "m", "--solver", "perceptron", "--json")
    report = json.loads(out)
    assert code == 0 and report["train_error"] == 0.0 and report["epochs"] < 100


def test_alpha_is_one_over_c_n(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "a", "--alpha", "0.01")
    run("train", data, "-m", tmp_path / "c", "--C", 1 / (0.01 * 60))
    assert np.array_equal(wm.load(tmp_path / "a").W, wm.load(tmp_path / "c").W)


def test_balanced_classes_no_intercept_and_more_features(run, data, tmp_path):
    run(
        "train",
        data,
        "-m",
        tmp_path / "m",
        "--class-weight",
        "balanced",
        "--no-intercept",
        "--n-features",
        9,
        "--one-based",
        "--seed",
        3,
    )
    model = wm.load(tmp_path / "m")
    assert model.n_features == 9 and model.b.tolist() == [0.0] and not model.zero_based


def test_stopping_before_tol_is_exit_code_1_with_the_gap_and_a_model(run, data, tmp_path):
    code, out, err = run("train", data, "-m", tmp_path / "m", "--tol", 1e-12, "--epochs", 1)
    gap = wm.load(tmp_path / "m").certificate["relative_gap"]
    assert code == 1 and err.count("\n") == 1 and f"{gap:.3g}" in err and "objective" in out


def test_an_online_solver_with_tol_stops_when_it_is_reached(run, data, tmp_path):
    code, out, _ = run(
        "train",
        data,
        "-m",
        tmp_path / "m",
        "--solver",
        "asgd",
        "--tol",
        0.99,
        "--epochs",
        50,
        "--json",
    )
    report = json.loads(out)
    assert code == 0 and report["epochs"] < 50 and report["relative_gap"] <= 0.99


@pytest.mark.parametrize("how", ["gz", "bz2", "xz", "zst", "stdin", "store"])
def test_every_form_of_data_gives_the_same_model(run, data, tmp_path, how, request, monkeypatch):
    run("train", data, "-m", tmp_path / "plain", "--tol", 1e-9)
    if how == "stdin":
        outlet, inlet = os.pipe()
        os.write(inlet, TEXT.encode())
        os.close(inlet)
        stdin = open(outlet)
        request.addfinalizer(stdin.close)
        monkeypatch.setattr("sys.stdin", stdin)
        source = "-"
    elif how == "store":
        source = tmp_path / "store"
        assert run("pack", data, "-o", source, "--no-shuffle")[0] == 0
    else:
        source = tmp_path / f"train.{how}"
        source.write_bytes(compressed(how))
    assert run("train", source, "-m", tmp_path / "m", "--tol", 1e-9)[0] == 0
    assert np.array_equal(wm.load(tmp_path / "m").W, wm.load(tmp_path / "plain").W)


def compressed(how):
    import bz2
    import lzma

    import zstandard

    makers = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": zstandard.ZstdCompressor().compress,
    }
    return makers[how](TEXT.encode())


def test_pack_joins_files_and_reports(run, data, tmp_path):
    code, out, _ = run("pack", data, data, "-o", tmp_path / "s", "--seed", 7, "--json")
    report = json.loads(out)
    assert code == 0 and report["n_samples"] == 120 and report["seed"] == 7
    refused(run("pack", data, "-o", tmp_path / "s"), tmp_path / "s", "overwrite")
    assert run("pack", data, "-o", tmp_path / "s", "--overwrite", "--float64")[0] == 0
    assert wm.open(tmp_path / "s").n_samples == 60


# -- predict and evaluate ----------------------------------------------------------------------


@pytest.fixture
def many(tmp_path, run):
    """Three classes with names, 5,000 rows, a model trained on them."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, 5000)
    lines = [
        f"{('ham', 'spam', 'Käse')[c]} {1 + c}:{1 + rng.random():.3f} {4 + c}:{rng.random():.3f}"
        for c in codes
    ]
    (tmp_path / "many.svm").write_text("\n".join(lines) + "\n")
    assert run("train", tmp_path / "many.svm", "-m", tmp_path / "m")[0] == 0
    return tmp_path / "many.svm"


def test_predict_streams_what_the_model_predicts(run, many, tmp_path, monkeypatch):
    monkeypatch.setattr("widemargin.cli.blocks.BLOCK_BYTES", 5000)
    data, model = wm.open(many), wm.load(tmp_path / "m")
    expected = model.predict(data.X).tolist()
    assert run("predict", tmp_path / "m", many)[1].splitlines() == expected
    assert run("predict", tmp_path / "m", many, "-o", tmp_path / "out")[:2] == (0, "")
    assert (tmp_path / "out").read_text().splitlines() == expected
    run("pack", many, "-o", tmp_path / "s", "--no-shuffle")
    assert run("predict", tmp_path / "m", tmp_path / "s")[1].splitlines() == expected


def test_predict_equals_the_estimator(run, many, tmp_path):
    from widemargin.estimators.sgd import SGDClassifier

    data = wm.open(many)
    fitted = SGDClassifier(random_state=0).fit(data.X, data.y)
    wm.save(fitted, tmp_path / "e")
    assert run("predict", tmp_path / "e", many)[1].splitlines() == fitted.predict(data.X).tolist()


def test_predict_takes_rows_without_labels_and_shows_scores(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    bare = tmp_path / "bare.svm"
    bare.write_text("".join(line.split(" ", 1)[1] + "\n" for line in TEXT.splitlines()))
    code, out, _ = run("predict", tmp_path / "m", bare, "--scores")
    rows = [line.split("\t") for line in out.splitlines()]
    scores = wm.load(tmp_path / "m").decision_function(wm.open(data).X)
    assert code == 0 and [float(row[1]) for row in rows] == scores.tolist()
    assert [row[0] for row in rows] == ["+1" if score > 0 else "-1" for score in scores]


def test_evaluate_counts_what_training_counted(run, many, tmp_path):
    code, out, _ = run("evaluate", tmp_path / "m", many, "--json")
    report, model = json.loads(out), wm.load(tmp_path / "m")
    assert code == 0 and report["error"] == model.training["train_error"]
    assert report["objective"] == pytest.approx(model.certificate["primal"])
    assert report["objective_per_sample"] == pytest.approx(model.training["objective_per_sample"])
    assert np.sum(report["confusion"]) == report["n_samples"] == 5000
    data = wm.open(many)
    true, said = data.y, model.predict(data.X)
    for name, figures in report["classes"].items():
        both = np.sum((true == name) & (said == name))
        assert figures["recall"] == pytest.approx(both / np.sum(true == name))
        assert figures["precision"] == pytest.approx(both / np.sum(said == name))
    assert "Käse" in run("evaluate", tmp_path / "m", many)[1]


def test_equal_numbers_are_one_label_and_unknown_ones_are_refused(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    (tmp_path / "other").write_text(TEXT.replace("+1 ", "1.0 "))
    code, out, _ = run("evaluate", tmp_path / "m", tmp_path / "other", "--json")
    assert code == 0 and json.loads(out)["error"] == 0.0
    (tmp_path / "other").write_text("+1 1:1\n3 1:1\n")
    refused(run("evaluate", tmp_path / "m", tmp_path / "other"), "'3'", "'-1', '+1'")


def test_predict_keeps_its_memory_bounded(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr("widemargin.cli.blocks.BLOCK_BYTES", 1 << 20)
    run("train", data, "-m", tmp_path / "m")
    peaks = []
    for times in (8_000, 48_000):
        (tmp_path / "long").write_text(TEXT * times)
        tracemalloc.start()
        assert run("predict", tmp_path / "m", tmp_path / "long", "-o", tmp_path / "out")[0] == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "out").read_bytes().count(b"\n") == 60 * 48_000
    assert peaks[1] < 2 * peaks[0], peaks  # of six times the rows


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("+1 1:1\n+1 2:1\n", ("one class only", "'+1'")),
        ("+1 1:1\n-1 2:x\n", ("train.svm:2:6", "x")),
        ("", ("train.svm", "no sample")),
        ("+1 1:1\n-1 1:nan\n", ("train.svm:2",)),
    ],
)
def test_bad_data_are_one_line_and_leave_nothing(run, data, tmp_path, text, words):
    data.write_text(text)
    refused(run("train", data, "-m", tmp_path / "m"), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["train.svm"]


def test_bad_paths_are_named(run, data, tmp_path):
    refused(run("train", tmp_path, "-m", tmp_path / "m"), tmp_path, "directory")
    refused(run("train", tmp_path / "absent", "-m", tmp_path / "m"), "absent", "no such file")
    refused(run("train", data, "-m", tmp_path / "no" / "m"), "no folder")
    refused(run("predict", data, data), "train.svm", "model file")
    refused(run("predict", tmp_path / "absent", data), "absent")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--C", 1, "--alpha", 1], ("--C", "--alpha", "one of them")),
        (["--C", 0], ("--C", "positive", "0.0")),
        (["--tol", "nan"], ("--tol", "nan")),
        (["--solver", "magic"], ("'magic'", "'asgd'")),
        (["--loss", "magic"], ("'magic'", "'log_loss'")),
        (["--solver", "dual", "--loss", "perceptron"], ("perceptron", "dual", "'sgd'")),
        (["--solver", "perceptron", "--loss", "hinge"], ("hinge", "perceptron")),
        (["--class-weight", "fair"], ("'fair'", "balanced")),
        (["--epochs", 0], ("--epochs", "train --help")),
        (["--n-features", 3], ("train.svm:1", "5")),
        (["--frobnicate"], ("--frobnicate", "train --help")),
    ],
)
def test_bad_options_are_one_line(run, data, tmp_path, options, words):
    refused(run("train", data, "-m", tmp_path / "m", *options), *words)
    assert not (tmp_path / "m").exists()


def test_a_feature_that_the_model_does_not_have_leaves_no_output(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    (tmp_path / "wide").write_text(TEXT + "+1 6:1\n")
    refused(run("predict", tmp_path / "m", tmp_path / "wide", "-o", tmp_path / "out"), "wide:61")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "train.svm", "wide"]


def test_an_older_output_survives_a_failure(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    refused(run("train", tmp_path / "absent", "-m", tmp_path / "m"))
    assert (tmp_path / "m").read_bytes() == before


# -- help, demo, bench -------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pack", "train", "predict", "evaluate", "demo", "bench"])
def test_help_shows_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0 and f"Example: widemargin {command}" in " ".join(out.split())
    assert f"  {command} " in run("--help")[1]


def test_version(run):
    assert run("--version") == (0, f"widemargin {wm.__version__}\n", "")


def test_demo_on_few_rows(run, tmp_path, monkeypatch):
    monkeypatch.setattr("widemargin.data.corpus_cache.corpora_folder", lambda: tmp_path)
    code, out, _ = run("demo", "--rows", 3000, "--json", "--plot", tmp_path / "figure.png")
    report = json.loads(out)
    assert code == 0 and report["calibrated"] is False and len(report["solvers"]) == 5
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    dual = next(line for line in report["solvers"] if line["solver"] == "widemargin dual")
    assert dual["relative_gap"] <= 1e-3
    bound = dual["objective"] * (1.0 - dual["relative_gap"])
    assert all(line["objective"] >= bound * (1.0 - 1e-12) for line in report["solvers"])
    check_tour({line["what"]: line for line in report["tour"]})
    from widemargin.demo_tour import all_parts

    monkeypatch.setattr(all_parts, "PARTS", all_parts.PARTS[-1:])
    code, out, _ = run("demo", "--rows", 3000)
    assert code == 0 and "23,642.0" in out and "widemargin averaged SGD" in out
    tour = out.partition("the tour")[2].splitlines()
    assert max(map(len, tour)) <= 100 and tour[1].startswith(report["tour"][-1]["what"])


def check_tour(lines):
    """What each part promises, in numbers that another run, or another solver, bears out."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    from widemargin.demo_tour import text

    X, y = load_digits(return_X_y=True)
    pair = np.isin(y[::2], (3, 8))
    theirs = SVC(C=1e6, kernel="linear", tol=1e-8).fit(X[::2][pair] / 16.0, y[::2][pair])
    hard = lines["hard margin, digits 3 and 8"]
    assert hard["margin"] == pytest.approx(1.0 / np.linalg.norm(theirs.coef_), rel=1e-4)
    assert hard["support_vectors"] == theirs.n_support_.sum() and hard["relative_gap"] <= 1e-6
    for name in ("SVC, rbf kernel", "Crammer-Singer", "one against all"):
        line = lines[f"{name}, ten digits"]
        assert line["relative_gap"] <= 1e-3 and line["test_error"] < 0.08
    assert 1e-3 <= lines["C by cross-validation"]["C"] <= 1e3
    proba = lines["probabilities"]
    assert proba["brier"] < 0.6 * proba["brier_of_share"]
    assert lines["dual on two threads"]["relative_gap"] <= 1e-3
    alone = lines["SGD, one thread"]["objective"]
    for scheme in ("hogwild", "locked", "round robin"):
        line = lines[f"SGD, {scheme}"]
        assert line["threads"] == 2 and line["objective"] == pytest.approx(alone, rel=0.1)
    (store,) = [line for what, line in lines.items() if what.startswith("store of")]
    assert store["peak_memory"] <= store["max_memory"] and store["relative_gap"] <= 1e-3
    mail = next(line for what, line in lines.items() if what.startswith("raw text"))
    assert mail["test_error"] < 0.3 and set(mail["words"]) <= set(text.WORDS["spam"])


def test_demo_without_matplotlib_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    refused(run("demo", "--plot", tmp_path / "f.png"), "matplotlib", "widemargin[report]")


def test_bench_lists_and_runs_the_scripts_of_a_checkout(run, tmp_path, monkeypatch, capfd):
    from widemargin.cli.bench import bench

    (tmp_path / "quick.py").write_text('"""Says hello."""\nimport sys\nsys.exit(len(sys.argv))\n')
    assert bench(None, [], tmp_path) == 0
    assert capfd.readouterr().out == "quick  Says hello.\n"
    assert bench("quick", ["a", "b"], tmp_path) == 3
    with pytest.raises(ValueError, match=r"NAME='slow' is unknown.*'quick'"):
        bench("slow", [], tmp_path)
    with pytest.raises(ValueError, match="source checkout"):
        bench(None, [], tmp_path / "absent")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--C", "2", "--loss", "log_loss", "--tol", "1e-2", "--json"],
        ["--alpha", "1e-3", "--solver", "sgd", "--epochs", "3", "--test", "other.svm"],
        ["--batch-size", "8", "--n-jobs", "1", "--class-weight", "balanced", "--no-intercept"],
        ["--n-features", "9", "--zero-based"],
        ["--solver", "sgd", "--n-jobs", "2", "--scheme", "hogwild"],
        ["--one-based", "--intercept"],
        ["--multi-class", "crammer_singer"],
    ],
)
def test_train_reads_its_options_as_typer_does(monkeypatch, options):
    from widemargin.cli import app, train
    from widemargin.cli.quick import read_train

    seen = []
    monkeypatch.setattr(train, "train", lambda asked: seen.append(asked) or 0)
    words = ["data.svm", "-m", "model", *options]
    assert app.run(["train", *words]) == 0
    assert train.Training(**read_train(words)) == seen[0]


@pytest.mark.parametrize(
    "words",
    [
        ["d"],
        ["d", "-m"],
        ["d", "e", "-m", "m"],
        ["d", "-m", "m", "--C=1"],
        ["--help"],
        ["d", "-m", "m", "--epochs", "0"],
        ["d", "-m", "m", "--C", "x"],
        ["d", "-m", "m", "--json", "--json"],
        ["d", "-m", "m", "--wrong"],
    ],
)
def test_what_is_not_plainly_right_is_left_to_typer(words):
    from widemargin.cli.quick import read_train

    assert read_train(words) is None


@pytest.mark.parametrize("scheme", ["hogwild", "locked", "round_robin"])
def test_train_by_a_scheme(run, data, tmp_path, scheme):
    words = ["--solver", "sgd", "--scheme", scheme, "--n-jobs", "2", "--epochs", "40", "--json"]
    code, out, err = run("train", data, "-m", tmp_path / "m", *words)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["solver"], report["scheme"], report["n_jobs"]) == ("sgd", scheme, 2)
    assert report["train_error"] == 0.0 and report["dual_objective"] <= report["objective"]


def test_a_scheme_is_for_sgd_alone(run, data, tmp_path):
    words = ("train", data, "-m", tmp_path / "m", "--scheme")
    refused(run(*words, "hogwild", "--solver", "asgd"), "scheme='hogwild'", "'asgd'", "'sgd'")
    refused(run(*words, "wild", "--solver", "sgd"), "scheme='wild'", "'round_robin'")
    assert not (tmp_path / "m").exists()
