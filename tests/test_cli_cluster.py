"""`widemargin train --workers`: options, what is refused, and a run on the serial engine."""

import json
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

from widemargin import load
from widemargin.cli import main, train_cluster
from widemargin.data.store import pack
from widemargin.ps.compression import Int8
from widemargin.ps.messages import Event
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.simulate_job import Problem
from widemargin.run.shared_serial import Serial


@pytest.fixture
def text(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "train.svm"
    lines = []
    for _ in range(400):
        x = rng.normal(size=8)
        entries = " ".join(f"{j + 1}:{v:.4f}" for j, v in enumerate(x))
        lines.append(f"{'spam' if x[0] > x[1] else 'ham'} {entries}\n")
    path.write_text("".join(lines))
    return path


def ran(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in arguments])
    return end.value.code, capsys.readouterr()


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_becomes_a_model(packed, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_cluster, "cluster_of", lambda said: Serial())
    data = text
    if packed:
        data = tmp_path / "train.store"
        pack([text], data)
    model = tmp_path / "m.safetensors"
    words = ["train", data, "-m", model, "--workers", 1, "--alpha", 1e-2, "--json"]
    code, said = ran([*words, "--epochs", 6, "--test", text], capsys)
    report = json.loads(said.out)
    assert code == 0 and said.err == ""
    assert (report["solver"], report["epochs"], report["block_size"]) == ("minibatch", 6, 6)
    assert report["commits"] == 6 * 67 and report["eta0"] > 0.0
    assert report["objective"] > report["dual_objective"] > 0.0
    assert report["train_error"] == report["test_error"] < 0.05
    assert sorted(load(model).labels) == ["ham", "spam"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_the_dual_is_proved_to_its_tolerance(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_cluster, "cluster_of", lambda said: Serial())
    model = tmp_path / "m.safetensors"
    words = ["train", text, "-m", model, "--solver", "dual", "--tol", 1e-4, "--json", "--seed", 1]
    code, said = ran([*words, "--workers", 1], capsys)
    alone, here = ran(words, capsys)
    there, here = json.loads(said.out), json.loads(here.out)
    assert code == alone == 0 and said.err == ""
    assert (there["solver"], there["block_size"]) == ("dual", 100)
    assert there["relative_gap"] <= 1e-4 and there["commits"] == 4 * there["epochs"]
    assert abs(there["objective"] - here["objective"]) <= 1e-4 * here["objective"]


def test_a_gap_above_tol_is_told(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_cluster, "cluster_of", lambda said: Serial())
    words = ["train", text, "-m", tmp_path / "m", "--workers", 2, "--epochs", 1, "--tol", 1e-9]
    code, said = ran(words, capsys)
    assert code == 1 and "above tol" in said.err
    assert "workers 2" in said.out and "commits" in said.out


@pytest.mark.parametrize(
    "options, told",
    [
        (["--policy", "fast"], "--policy='fast' is unknown. Choose from: 'async', 'round_robin'"),
        (["--policy", "async", "--backup", "1"], "--backup belongs to --policy sync, not to async"),
        (["--staleness", "1"], "--staleness belongs to --policy async, not to sync"),
        (["--workers", "2", "--backup", "2"], "--backup must be auto or a number from 0 to 1"),
        (["--compression", "zip"], "compression='zip' is unknown. Choose from: 'bf16', 'int8'"),
        (["--workers", "2", "--scheme", "hogwild"], "--scheme does not go with --workers"),
        (["--workers", "2", "--solver", "asgd"], "--solver='asgd' is unknown. Choose from: 'auto'"),
        (["--workers", "2", "--proba"], "--proba does not go with --workers"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_go_together_is_refused(options, told, text, tmp_path, capsys):
    if "--scheme" in options:
        options = [*options, "--solver", "sgd"]
    code, said = ran(["train", text, "-m", tmp_path / "m", *options], capsys)
    assert code == 2 and told in said.err and not (tmp_path / "m").exists()


def test_options_become_a_cluster():
    said = dict(workers=4, servers=2, backup="auto", replicas=2, address="auto")
    engine = train_cluster.cluster_of(said)
    assert (engine.workers, engine.servers, engine.replicas) == (4, 2, 2)
    assert (engine.address, engine.policy) == ("auto", Sync("auto"))
    engine = train_cluster.cluster_of({"policy": "async", "staleness": 3})
    assert (engine.policy, engine.workers, engine.address) == (Async(3), 2, None)
    engine = train_cluster.cluster_of({"compression": "int8"})
    assert engine.settings(Problem(), 1, 0, True).compression == Int8()
    assert train_cluster.cluster_of({"policy": "round_robin"}).policy == RoundRobin()


def test_an_interrupt_is_heard_once(monkeypatch):
    quiet = []
    monkeypatch.setattr(train_cluster, "no_more_interrupts", lambda: quiet.append(True))

    class Run:
        known = [Event("running", 0.0, {})]

        def wait(self, timeout):
            raise KeyboardInterrupt

    class Engine:
        policy, workers = Sync(), 2

        def start(self, *args, **how):
            return Run()

    told = []
    run = train_cluster.Heard(Engine(), told.append).start("job", 1, seed=0)
    with pytest.raises(KeyboardInterrupt):
        run.wait(0.1)
    assert quiet == [True] and told == Run.known


def test_the_run_has_a_page(text, tmp_path, capsys, monkeypatch):
    pages = []

    class Looking(Serial):
        def start(self, *args, **how):
            url = capsys.readouterr().err.split()[0]
            pages.append((url, urlopen(url, timeout=10).read()))
            return super().start(*args, **how)

    monkeypatch.setattr(train_cluster, "cluster_of", lambda said: Looking())
    words = ["train", text, "-m", tmp_path / "m", "--dashboard", 0, "--epochs", 1]
    assert ran(words, capsys)[0] == 0
    [(url, page)] = pages
    assert b"<html" in page
    with pytest.raises(URLError):
        urlopen(url, timeout=10)
