"""--max-memory and `fit_store`: what is honoured, reported and refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import widemargin as wm
from widemargin.cli import main
from widemargin.data.dataset import open as open_data
from widemargin.data.store import pack
from widemargin.errors import InputError
from widemargin.memory import size_of
from widemargin.run import memory_plan
from widemargin.run.memory_plan import LEAST_WINDOW, plan_memory

PLENTY = "64G"  # for the process of all tests, whatever it holds


@pytest.fixture
def text(tmp_path):
    rng, lines = np.random.default_rng(0), []
    for _ in range(1500):
        columns = np.flatnonzero(rng.random(40) < 0.2) + 1
        label = "spam" if rng.random() < 0.1 + 0.8 * (7 in columns) else "ham"
        lines.append(f"{label} " + " ".join(f"{j}:1" for j in columns))
    path = tmp_path / "a.svm"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def store(tmp_path, text):
    pack([text], tmp_path / "s")
    return tmp_path / "s"


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def test_train_reports_bound_and_peak(tmp_path, store, text, capsys):
    model = tmp_path / "m"
    assert run("train", store, "-m", model, "--max-memory", PLENTY, "--test", text, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["max_memory"] == 2**36 and 2**20 < told["peak_memory"] < 2**36
    assert told["relative_gap"] <= 1e-3 and told["n_samples"] == 1500 and told["solver"] == "dual"
    assert set(told["seconds"]) == {"load", "fit", "total"}
    assert told["test_error"] == pytest.approx(told["train_error"])
    assert run("train", store, "-m", tmp_path / "n", "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert set(plain) <= set(told) and "max_memory" not in plain
    assert told["objective"] == pytest.approx(plain["objective"], rel=2e-3)
    assert wm.load(model).labels == ("ham", "spam")
    assert run("evaluate", model, store, "--json") == 0
    assert json.loads(capsys.readouterr().out)["error"] == pytest.approx(told["train_error"])


def test_text_goes_through_a_store_that_is_removed(tmp_path, text, capsys):
    how = ("--max-memory", PLENTY, "--solver", "sgd", "--class-weight", "balanced")
    assert run("train", text, "-m", tmp_path / "m", *how, "--n-features", "50") == 0
    out = capsys.readouterr().out
    assert "memory  " in out and "of 65536M" in out
    assert sorted(os.listdir(tmp_path)) == ["a.svm", "m"]
    assert wm.load(tmp_path / "m").n_features == 50


def test_an_interrupt_leaves_nothing(tmp_path, text, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("widemargin.cli.train_bounded.fit_store", interrupted)
    assert run("train", text, "-m", tmp_path / "m", "--max-memory", PLENTY) == 130
    assert os.listdir(tmp_path) == ["a.svm"]


def test_what_is_refused_in_one_line(tmp_path, store, text, capsys):
    cases = [
        ((store, "--max-memory", "1Q"), "--max-memory='1Q' is no size. Accepted: "),
        ((store, "--max-memory", "2M"), "max_memory=2M is too small: "),
        ((text, "--max-memory", "2M"), "max_memory=2M is too small: "),
        ((store, "--max-memory", PLENTY, "--n-features", "99"), "--n-features goes with text"),
        ((tmp_path / "none", "--max-memory", PLENTY), "found no such file"),
        ((store, "--max-memory", PLENTY, "--report", tmp_path / "r.html"), "--report does not go"),
        ((tmp_path / "a.csv", "--max-memory", PLENTY), "not with documents and tables"),
    ]
    for arguments, message in cases:
        assert run("train", *arguments, "-m", tmp_path / "m") == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not (tmp_path / "m").exists() and sorted(os.listdir(tmp_path)) == ["a.svm", "s"]


def test_a_store_that_stops_before_tol(tmp_path, store, capsys):
    how = ("--max-memory", PLENTY, "--epochs", "1", "--tol", "1e-9")
    assert run("train", store, "-m", tmp_path / "m", *how) == 1
    assert "stopped after 1 epochs at a relative gap of" in capsys.readouterr().err
    assert (tmp_path / "m").exists()


def test_pack_honours_it_too(tmp_path, text, capsys):
    how = ("--max-memory", PLENTY, "--json")
    assert run("pack", text, "-o", tmp_path / "t", *how) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["max_memory"] == 2**36 and told["peak_memory"] > 2**20
    assert run("pack", text, "-o", tmp_path / "u", "--max-memory", "lots") == 2


def test_from_python(store):
    rows = []
    model = wm.fit_store(store, C=0.5, tol=1e-4, progress=rows.append)
    assert model.training["solved"] and model.certificate["relative_gap"] <= 1e-4
    assert model.training["max_memory"] is None and len(rows) == model.training["epochs"]
    data = wm.open(store)
    again = wm.fit_store(os.fspath(store), alpha=1 / (0.5 * data.n_samples), max_memory=2**40,
                         tol=1e-4, class_weight="balanced")  # fmt: skip
    assert again.C == pytest.approx(0.5) and again.training["max_memory"] == 2**40
    assert np.mean(model.predict(data.X) != data.y) == pytest.approx(model.training["train_error"])
    assert not np.array_equal(model.W, again.W)  # the classes were weighed


def test_what_fit_store_refuses(tmp_path, text, store):
    with pytest.raises(InputError, match="a.svm: found no packed store; accepted: .*pack"):
        wm.fit_store(text)
    with pytest.raises(ValueError, match="loss='log_los' is unknown"):
        wm.fit_store(store, loss="log_los")
    with pytest.raises(ValueError, match="class_weight='even' is unknown"):
        wm.fit_store(store, class_weight="even")
    with pytest.raises(ValueError, match="epochs=0"):
        wm.fit_store(store, epochs=0)
    (tmp_path / "one.svm").write_text("1 1:1\n1 2:1\n")
    pack([tmp_path / "one.svm"], tmp_path / "one")
    with pytest.raises(InputError, match="found one class only"):
        wm.fit_store(tmp_path / "one")


def test_how_a_bound_is_shared_out(store, monkeypatch):
    monkeypatch.setattr(memory_plan, "resident", lambda: 100 << 20)
    data = open_data(store)
    full = plan_memory(data, 1, None)
    assert full == (memory_plan.SMALL_WINDOW, False) == plan_memory(data, 1, 1 << 30)
    assert full.window > LEAST_WINDOW
    with pytest.raises(ValueError, match=r"needs (\d+)M at least") as caught:
        plan_memory(data, 1, 100 << 20)
    least = size_of(str(caught.value).split()[-3])
    tight = plan_memory(data, 1, least)
    assert tight.mapped and LEAST_WINDOW <= tight.window < 2 * LEAST_WINDOW
    with pytest.raises(ValueError, match="too small"):
        plan_memory(data, 1, least - (1 << 20))


PEAK = """
import json, sys
from widemargin.cli import main
try:
    main(sys.argv[1:])
except SystemExit as done:
    assert done.code == 0, done.code
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["dual", "sgd", "asgd", "minibatch", "batch"])
def test_the_process_holds_no_more_than_its_bound(tmp_path_factory, solver):
    """A store of 260 MB under 230 MB, of which the interpreter and compiled code are the most."""
    from widemargin.data.store import write_meta
    from widemargin.data.store_stream import Facts
    from widemargin.data.store_writer import StoreWriter
    from widemargin.data.synthetic import N_FEATURES, rcv1_like

    folder = tmp_path_factory.getbasetemp() / "peak.store"
    if not folder.exists():
        folder.mkdir()
        with StoreWriter(folder, "float32") as out:
            for seed in range(4):
                rows, codes = rcv1_like(105_000, 1, seed=seed).train
                out.append(rows.values, rows.indices, np.diff(rows.indptr), codes)
        write_meta(folder, Facts(("-1", "1"), N_FEATURES, N_FEATURES - 1, False), {"seed": 0})
    model = folder.with_name("model")
    command = [sys.executable, "-c", PEAK, "train", str(folder), "-m", str(model), "--json",
               "--solver", solver, "--alpha", "1e-4", "--epochs", "2", "--tol", ".995"]  # fmt: skip
    source = Path(__file__).parents[1] / "src"
    for bound in ("1G", "230M"):  # the first compiles
        command += ["--max-memory", bound] if bound == "1G" else []
        command[command.index("--max-memory") + 1] = bound
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(source)},
                              capture_output=True, text=True, timeout=100)  # fmt: skip
        assert done.returncode == 0, done.stderr
    told, peak = done.stdout.strip().splitlines()
    assert int(peak) <= json.loads(told)["max_memory"] == 230 << 20
