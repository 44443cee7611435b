"""--report of `train` and `evaluate`: what is on the page, and what is refused before any work."""

import html
import json
import re
import shlex

import numpy as np
import pytest

import widemargin as wm

TEXT = "".join(f"{'yes' if i % 3 else 'no'} {1 + i % 3}:{1 + i % 5}\n" for i in range(60))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "a & b.svm").write_text(TEXT)
    return tmp_path / "a & b.svm"


def text_of(page):
    return html.unescape(re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("solver", ["dual", "asgd", "batch"])
def test_train_writes_a_page_of_what_it_did(run, data, tmp_path, solver):
    page, model = tmp_path / "run.html", tmp_path / "m"
    said = ("train", data, "-m", model, "--test", data, "--solver", solver, "--report", page)
    code, out, err = run(*said, "--seed", 5)  # an option that is left to typer
    assert (code, err) == (0, "") and f"report         {page}\n" in out
    text = text_of(page)
    assert shlex.join(["widemargin", *map(str, said), "--seed", "5"]) in text
    assert wm.__version__ in text and "seed   5" in re.sub(" +", "   ", text)
    proof = wm.load(model).certificate
    assert f"{proof['primal']:.9g}" in text and f"{proof['dual']:.9g}" in text
    assert "test error" in text and "Accuracy over time" in text


def test_a_page_changes_nothing_else(run, data, tmp_path):
    with_page = run("train", data, "-m", tmp_path / "a", "--json", "--report", tmp_path / "p")
    without = run("train", data, "-m", tmp_path / "b", "--json")
    first, second = json.loads(with_page[1]), json.loads(without[1])
    assert {**first, "seconds": 0} == {**second, "seconds": 0} and with_page[2] == ""
    assert np.array_equal(wm.load(tmp_path / "a").W, wm.load(tmp_path / "b").W)


def test_evaluate_writes_a_page_of_the_data_it_saw(run, data, tmp_path):
    run("train", data, "-m", tmp_path / "m")
    code, out, _ = run("evaluate", tmp_path / "m", data, "--report", tmp_path / "p", "--json")
    report, text = json.loads(out), text_of(tmp_path / "p")
    assert code == 0 and f"{100 * report['error']:.2f} %" in text
    assert "evaluated: a & b.svm" in text and "Accuracy over time" not in text


def test_what_cannot_be_written_is_refused_before_any_work(run, data, tmp_path):
    model = tmp_path / "m"
    for place, word in (
        (tmp_path / "absent" / "run.html", "found no folder"),
        (tmp_path, "found a folder"),
        (model, "its own file"),
    ):
        code, out, err = run("train", data, "-m", model, "--report", place)
        assert (code, out, err.count("\n")) == (2, "", 1) and word in err
        assert not model.exists()


def test_a_page_goes_with_a_fit_that_stopped_early(run, data, tmp_path):
    page = tmp_path / "p"
    arguments = ("-m", tmp_path / "m", "--tol", 1e-14, "--epochs", 1, "--report", page)
    code, _, err = run("train", data, *arguments)
    assert code == 1, err
    assert "not reached, training stopped before it" in text_of(page)
