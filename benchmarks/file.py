"""From an svmlight file to a saved model: one epoch of SGD, against Vowpal Wabbit's one pass."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from harness import cli, datasets
from harness.measure import Run, median
from harness.report import Table, number, times

BITS = "17"  # of the table of weights: the smallest that holds the features of the corpus
VOWPAL = {
    "Vowpal Wabbit, its defaults": [],
    "Vowpal Wabbit, --sgd": ["--sgd"],
}


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    names = [name for name in data or ("rcv1_like",) if not datasets.skip(name)[0]]
    return [table for name in names for table in tables(run, name)]


def tables(run: Run, data: str) -> list[Table]:
    files = run.once({"action": "texts.make", "data": data, "rows": run.rows})
    if files is None:
        return []
    return [throughput(run, files), compilation(run, files)]


def throughput(run: Run, files: Any) -> Table:
    """Wall seconds of whole processes; Vowpal Wabbit's without the start of Python."""
    text, its = {"file": files["svmlight"]}, {"file": files["vowpal"]}
    specs = {
        "widemargin, all cores": {"action": "commands.train", **text},
        "widemargin, --n-jobs 1": {"action": "commands.train", **text, "n_jobs": 1},
    }
    if find_spec("vowpalwabbit") is not None:
        common = ["--loss_function", "hinge", "--l2", "1e-4", "-b", BITS, "--quiet"]
        specs |= {
            name: {"action": "commands.vowpal", **its, "arguments": [*common, *more]}
            for name, more in VOWPAL.items()
        }
    results = dict(zip(specs, run.each(list(specs.values())), strict=True))
    results["scikit-learn (one run)"] = run.each([{"action": "commands.scikit", **text}], 1)[0]
    took = {
        name: median(found, "inside" if "Vowpal" in name else "seconds")
        for name, found in results.items()
    }
    ours, rows, facts = took["widemargin, all cores"], [], {}
    for name, seconds in took.items():
        size = files["vowpal_bytes" if "Vowpal" in name else "svmlight_bytes"]
        facts[name] = {"seconds": seconds, "ratio": seconds / ours, "MB/s": size / seconds / 1e6}
        rows.append(
            [
                name,
                f"{size / 1e6:.0f}",
                number(seconds),
                number(size / seconds / 1e6),
                times(seconds / ours),
            ]
        )
    for part in ("own_load", "own_fit", "own_total"):
        facts[part] = median(results["widemargin, all cores"], part)
    words = (
        "Page cache warm, kernels cached. Ours is the whole process, imports and the certificate "
        f"included; of it, by its own clock, load {number(facts['own_load'])} s and fit "
        f"{number(facts['own_fit'])} s. Vowpal Wabbit reads its own text and is timed without the "
        "start of Python. scikit-learn: load_svmlight_file and one epoch of SGDClassifier."
    )
    head = ["", "MB of text", "seconds", "MB/s", "to ours"]
    return Table("From a file to a model", words, head, rows, facts)


def compilation(run: Run, files: Any) -> Table:
    """What compiled kernels cost the first process and the second."""
    specs = [
        {"action": "commands.first_run", "file": files["svmlight"]},
        {"action": "commands.kernels_loaded"},
    ]
    first, loaded = run.each(specs)
    facts = {
        "first run, empty cache of kernels": median(first, "first"),
        "second run": median(first, "second"),
        "compilation: the difference": median(first, "compilation"),
        "later process: loading the kernels": median(loaded, "loading"),
        "later process: a file of 200 rows, all in all": median(loaded, "whole"),
    }
    rows = [[name, number(value)] for name, value in facts.items()]
    return Table(
        "Compilation",
        "The same training as above; loading: the first training of a "
        "process less its second one, all imports done.",
        ["", "seconds"],
        rows,
        facts,
    )


if __name__ == "__main__":
    cli.main(run)
