"""`widemargin status`."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import pytest
from told import Teller, lines, story

from widemargin.cli import main
from widemargin.errors import ClusterError
from widemargin.ps.policy import Async
from widemargin.ps.settings import Settings


@pytest.fixture
def run(capfd, monkeypatch):
    """Run a command on a wide terminal; (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["status", *map(str, arguments)])
        out, err = capfd.readouterr()
        return done.value.code or 0, out, err

    return call


@pytest.fixture
def folder(tmp_path):
    """Of a run that has ended."""
    teller = story()
    teller.tell("done", stamp=teller.stamp, key="s")
    (tmp_path / "events.jsonl").write_text(lines(teller.events))
    (tmp_path / "run.json").write_text(json.dumps({"name": "of the folder", "n_blocks": 40}))
    return tmp_path


def test_a_table(run, folder):
    code, out, err = run(folder)
    assert (code, err) == (0, "")
    words = out.split()
    for word in ("rcv1-sync", "done", "coordinator", "shard-1.1", "worker-7", "rollback"):
        assert word in words, word
    assert "samples/s" in out and "back to version 100" in out
    row = ["worker", "3", "3", "4.63", "s", "5.33", "s", "4.16", "s"]
    assert row in [line.split() for line in out.split("\n")]
    assert run(folder / "events.jsonl")[1].split("\n")[0] == out.split("\n")[0]


def test_narrow(run, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = run(folder)[1]
    assert max(map(len, out.split("\n"))) <= 60 and "worker-7" in out and "…" not in out


def test_json(run, folder):
    code, out, _ = run(folder, "--json")
    state = json.loads(out)
    assert code == 0 and (state["phase"], state["deaths"], state["undone"]) == ("ended", 7, 7)
    assert state["recoveries"][0]["role"] == "coordinator"
    assert run(folder, "--json", "--watch")[1].count("\n") == 1  # it has ended: once is enough
    assert "worker-7" in run(folder, "--watch")[1]


def test_a_run_that_goes_on_silently(run, tmp_path):
    teller = Teller()
    teller.begin(name="old")
    (tmp_path / "events.jsonl").write_text(lines(teller.events) + '["coordinator", 1, 9, "com')
    assert "nothing heard for" in run(tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{tmp}/absent",), ("absent: found no such folder", "accepted: the folder of a run")),
        (("{tmp}",), ("found no events.jsonl", "snapshot_to", "name of a run")),
        (("{tmp}", "--json", "--dashboard", "0"), ("--dashboard", "--json", "Give one of them")),
        (("{tmp}", "--dashboard", "70000"), ("--dashboard", "65535")),
    ],
)
def test_errors(run, tmp_path, arguments, words):
    code, out, err = run(*(part.replace("{tmp}", str(tmp_path)) for part in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in err


def attached(monkeypatch, answer):
    """What attaching to a run on a Ray gives; where it was looked for is in the list."""
    asked = []

    def attach(name, address):
        asked.append((name, address))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("widemargin.run.cluster.engine.Cluster.attach", attach)
    return asked


def test_by_name(run, monkeypatch):
    teller, left = Teller(), []
    teller.begin()
    teller.commit(5)
    there = SimpleNamespace(
        name="nightly",
        plan=SimpleNamespace(settings=Settings(20, 3, Async(2), (("shard-0.0",),))),
        ask=lambda question, n: teller.events[n:],
        leave=lambda: left.append(True),
    )
    asked = attached(monkeypatch, there)
    state = json.loads(run("nightly", "--address", "head:6379", "--json")[1])
    assert (state["name"], state["policy"]) == ("nightly", "Async(max_staleness=2)")
    assert (state["progress"], state["epochs"]) == (0.25, 3)
    assert asked == [("nightly", "head:6379")] and left == [True]


def test_no_such_name(run, monkeypatch):
    asked = attached(monkeypatch, ClusterError("no run 'nightly' is under way on this Ray."))
    code, out, err = run("nightly")
    assert (code, out, asked) == (2, "", [("nightly", "auto")])
    assert "'nightly' is no folder here" in err and "no run 'nightly'" in err and "--address" in err
    assert "no folder" not in run("nightly", "--address", "head:6379")[2]


def test_a_page_until_interrupted(folder):
    command = [sys.executable, "-c", "from widemargin.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "status", str(folder), "--dashboard", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:") and "of the folder" in line
        with urllib.request.urlopen(line.split()[0], timeout=10) as answer:
            assert b"<h1" in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (0, "", "")
