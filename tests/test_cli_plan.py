"""`widemargin plan`: amounts, refusals, table, JSON, figure, and a run it reads."""

import json

import pytest

from widemargin.cli.units import amount, bandwidth, counts, span

BASE = ("plan", "--model-bytes", "4M", "--step-seconds", "0.3", "--workers", "2:8", "--n-jobs", "1")


def test_amounts():
    assert (amount("x", "400M"), amount("x", "1.5GB"), amount("x", "12")) == (4e8, 1.5e9, 12.0)
    assert (bandwidth("x", "10G"), bandwidth("x", "10Gbit/s"), bandwidth("x", "1GB")) == (
        1.25e9,
        1.25e9,
        1e9,
    )
    assert bandwidth("x", "inf") == float("inf")
    assert (span("x", "6h"), span("x", "90s"), span("x", "0.3")) == (21600.0, 90.0, 0.3)
    assert (span("x", "15m"), span("x", "2d"), span("x", "5ms")) == (900.0, 172800.0, 0.005)
    assert counts("x", "8:1024") == (8, 16, 32, 64, 128, 256, 512, 1024)
    assert (counts("x", "3"), counts("x", "3,5"), counts("x", "0,1", least=0)) == (
        (3,),
        (3, 5),
        (0, 1),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model-bytes", "much"), ("--model-bytes", "'much'", "400M")),
        (("--model-bytes", "0"), ("--model-bytes", "above 0")),
        (("--bandwidth", "fast"), ("--bandwidth", "'fast'", "bits a second", "1.2GB")),
        (("--step-seconds", "-1"), ("--step-seconds", "'-1'", "90s")),
        (("--mtbf", "6 weeks"), ("--mtbf", "'6 weeks'", "2d")),
        (("--workers", "9:8"), ("--workers", "'9:8'", "doubles")),
        (("--workers", "0"), ("--workers", "from 1")),
        (("--servers", "a"), ("--servers", "'a'")),
        (("--backups", "8,9"), ("--backups", "'8,9'", "one gradient")),
        (("--gradients", "pareto"), ("--gradients='pareto'", "'published'")),
        (("--gradients", "measured"), ("--gradients measured", "--from")),
        (("--goal", "fame"), ("--goal='fame'", "'cost'")),
        (("--price", "-2"), ("--price", "-2.0")),
        (("--from", "no/such/run"), ("no/such/run", "found no such folder")),
    ],
)
def test_what_is_refused(run, arguments, words):
    code, out, err = run(*BASE, *arguments)
    assert code == 2 and out == "" and "Traceback" not in err and err.count("\n") == 1
    assert all(word in err for word in words), err


def test_what_is_missing(run):
    code, _, err = run("plan", "--step-seconds", "0.3")
    assert code == 2 and "--model-bytes is needed" in err and "--from RUN" in err
    code, _, err = run("plan", "--model-bytes", "4M")
    assert code == 2 and "--step-seconds is needed" in err


def test_json_and_figure(run, tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "plan.png"
    asked = ("--bandwidth", "1G", "--mtbf", "6h", "--price", "2", "--blocks", "200")
    code, out, _ = run(*BASE, *asked, "--json", "--plot", figure)
    report = json.loads(out)
    assert code == 0 and len(report["cases"]) == 5 * 3
    assert report["given"]["bandwidth"] == 1.25e8 and report["given"]["failures_mtbf"] == 21600.0
    cases = report["cases"]
    assert {each["kind"] for each in cases} == {
        "sync",
        "backup",
        "async",
        "bounded",
        "round_robin",
    }
    assert all(each["epoch"] > each["calm"] > 0.0 for each in cases)
    assert all(each["cost"] == pytest.approx(2 * each["hours"]) for each in cases)
    assert report["best"] in [{k: v for k, v in e.items() if k != "kind"} for e in cases]
    assert report["reason"].startswith(report["best"]["policy"])
    assert figure.read_bytes()[1:4] == b"PNG"
    again = run(*BASE, *asked, "--json")[1]
    assert json.loads(again) == report


def test_table(run):
    code, out, _ = run(*BASE, "--blocks", "100", "--servers", "1,2", "--backups", "1")
    assert code == 0 and "round robin" in out and "no bound" in out
    assert out.splitlines()[-1].startswith("best           ")


def told_run(folder, bytes_=4000, takes=0.2):
    """The folder of a run, as observers write it."""
    (folder / "run.json").write_text(json.dumps({"name": "before", "n_blocks": 60}))
    times = [[1000.0 + i * (takes + 0.014), takes] for i in range(40)]
    began = {"policy": "Async(max_staleness=None)", "n_blocks": 60}
    lines = [["observer", 1, 0, "began", 1000.0, began]]
    what = {"name": "worker-0", "gradients": times, "bytes": bytes_}
    lines.append(["worker-0", 1, 0, "timings", 1010.0, what])
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_figures_of_a_run(run, tmp_path):
    told_run(tmp_path)
    asked = ("--workers", "1,2", "--n-jobs", "1", "--json")
    code, out, err = run("plan", "--from", tmp_path, *asked)
    given = json.loads(out)["given"]
    assert code == 0, err
    assert given["model_bytes"] == 4000 and given["blocks"] == 60
    assert given["step_seconds"] == pytest.approx(0.2)
    assert given["latency"] == pytest.approx(0.002)
    one = next(e for e in json.loads(out)["cases"] if e["kind"] == "sync" and e["workers"] == 1)
    assert one["calm"] == pytest.approx(60 * 0.214, rel=0.01)
    code, out, _ = run("plan", "--from", tmp_path, *asked, "--step-seconds", "0.4")
    assert json.loads(out)["given"]["step_seconds"] == pytest.approx(0.408, rel=0.02)
