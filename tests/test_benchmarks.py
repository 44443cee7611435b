"""The harness end to end on a tiny data set, with our solver; rivals take part where installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def harness(monkeypatch):
    """The parts of the benchmarks, importable for one test."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]


def test_measures_in_turns_and_goes_on_where_it_stopped(harness, tmp_path):
    from harness.measure import Run, median

    spec = {"action": "actions.fit", "data": "random", "rows": 300, "solver": "widemargin",
            "effort": 1e-3}  # fmt: skip
    wrong = {**spec, "solver": "nobody's"}
    run = Run(tmp_path, repeat=1, rows=300)
    found, failed = run.each([spec, wrong])
    assert len(found) == 1 and failed == []
    assert found[0]["relative_gap"] <= 1e-3
    assert found[0]["certified"] == pytest.approx(found[0]["objective"], rel=1e-3)
    assert median(found, "seconds") > 0.0 and np.isnan(median(failed, "seconds"))
    assert "KeyError" in run.records[1]["error"]
    again = Run(tmp_path, repeat=1, rows=300)
    assert again.once(spec) == found[0]
    assert len((tmp_path / "raw.jsonl").read_text().splitlines()) == 2


def test_a_script_writes_its_table_and_its_numbers(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "startup.py"), "--repeat", "1", "--out",
               str(tmp_path)]  # fmt: skip
    path = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    seconds = results["tables"][0]["facts"]
    assert 0.0 < seconds["python -c pass"] < seconds["widemargin --help"]
    assert "| `widemargin --help` |" in (tmp_path / "results.md").read_text()


def test_the_objective_solves_for_the_intercept(harness):
    from harness import datasets
    from harness.accuracy import objective_at

    problem = datasets.load("random", 300)
    W = np.random.default_rng(1).normal(size=(300, 1))
    X = np.zeros((300, 300))
    for i in range(300):
        a, e = problem.rows.indptr[i], problem.rows.indptr[i + 1]
        X[i, problem.rows.indices[a:e]] = problem.rows.values[a:e]
    y = 2.0 * problem.codes - 1.0
    margins = y * (X @ W[:, 0])
    least = min(
        0.5 * (W**2).sum() + problem.C * np.maximum(0.0, 1.0 - margins - y * b).sum()
        for b in y - y * margins  # the kinks, where a piecewise linear function is least
    )
    assert objective_at(problem, W) == pytest.approx(least, rel=1e-7)


def test_the_least_effort_is_found_between_two_of_the_list(harness):
    from harness.actions import _least
    from harness.peers import epochs

    for least in (1, 9, 12, 100):
        assert _least(epochs(), lambda k, least=least: k >= least) == least
    assert _least(epochs(), lambda k: False) is None


def test_thinning_keeps_the_rows(harness):
    from harness.datasets import load, thinned

    rows = load("random", 50).rows
    thin = thinned(load("random", 50)).rows
    assert thin.indptr[-1] == len(thin.values) == len(rows.values) // 2
    assert len(thin.indptr) == len(rows.indptr)
    for i in range(50):
        a, e = thin.indptr[i], thin.indptr[i + 1]
        assert set(thin.indices[a:e]) <= set(rows.indices[rows.indptr[i] : rows.indptr[i + 1]])


def test_fits_on_threads_are_timed_to_what_they_are_asked_for(harness, monkeypatch):
    from harness import threads

    monkeypatch.setattr(threads, "FITS", 1)
    base = {"data": "random", "rows": 300, "threads": 2}
    found = threads.dual({**base, "tol": 1e-3})
    assert found["seconds"] > 0.0 and found["epochs"] >= 1
    for scheme in (None, "hogwild", "round_robin"):
        found = threads.sgd({**base, "scheme": scheme, "level": 1e9})
        assert found["epochs"] == 1 / threads.PARTS and found["seconds"] > 0.0
    monkeypatch.setattr(threads, "MOST_EPOCHS", 1)
    with pytest.raises(RuntimeError, match="still above 0 after 1 epochs"):
        threads.sgd({**base, "scheme": "locked", "level": 0.0})


def test_commits_are_counted_along_the_path_that_survived(harness):
    """A term that began anew from version 1 left behind what came after it."""
    from harness.once import counted, surviving
    from widemargin.ps.messages import Event

    def commit(stamp, after, block):
        what = {"stamp": stamp, "after": after, "parts": (((1, 0), block),)}
        return Event("commit", 0.0, what)

    events = [commit((1, 1), (0, 0), (0, 0)), commit((1, 2), (1, 1), (0, 1))]
    again = [*events, commit((2, 2), (1, 1), (0, 1)), commit((2, 3), (2, 2), (1, 0))]
    assert counted(surviving(again), 2) == {0: 2, 1: 1}
    twice = [*events, commit((1, 3), (1, 2), (0, 1))]
    with pytest.raises(AssertionError, match="a block twice"):
        counted(surviving(twice), 2)
    with pytest.raises(AssertionError, match="epoch 0 lacks blocks"):
        counted(surviving([*events[:1], commit((1, 2), (1, 1), (1, 0))]), 2)
