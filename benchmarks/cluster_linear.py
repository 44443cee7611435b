"""Linear models on the parameter server: seconds to 1.001 of the optimum, a step, its bytes; the
dual to a gap of 1e-3, also with a worker killed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from harness import cli, datasets
from harness.measure import Run, median
from harness.report import Table, number

CLOSE = 1.001  # of the optimum
CASES = ((0, "serial"), (1, "sync"), (2, "sync"), (2, "async"), (2, "round_robin"))
MOST_EPOCHS = 6
GAP = 1e-3  # of the dual
DUALS: dict[str, dict[str, Any]] = {
    "one machine, 1 thread": {"action": "shared_dual.one_machine", "threads": 1},
    "one machine, 2 threads": {"action": "shared_dual.one_machine", "threads": 2},
    "2 workers, 2 servers": {"action": "shared_dual.cluster", "workers": 2, "servers": 2},
    "the same, a worker killed": {
        "action": "shared_dual.cluster",
        "workers": 2,
        "servers": 2,
        "killed": 6,
    },
}


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """The corpus, with one server; without ray the serial twin alone."""
    tables = []
    for name in data or ("rcv1_like",):
        if not datasets.skip(name)[0]:
            tables.append(one(run, {"data": name, "rows": run.rows, "servers": 1}))
            tables.append(dual(run, {"data": name, "rows": run.rows, "tol": GAP}))
    return tables


def one(run: Run, base: dict[str, Any]) -> Table:
    best = run.once({**base, "action": "shared.optimum"})["dual"]
    wire = run.once({**base, "action": "shared.wire"})
    lines, facts = [], {"optimum": best, "wire": wire}
    for workers, policy in CASES:
        if workers and importlib.util.find_spec("ray") is None:
            continue
        found = fewest(run, {**base, "workers": workers, "policy": policy}, best)
        facts[f"{workers} {policy}"] = found
        step = 1e3 * found["steps"] / found["commits"]
        shown = (found["total"], found["steps"], step)
        row = [str(workers), policy, str(found["epochs"]), f"{found['commits']:,}"]
        lines.append([*row, *map(number, shown), f"{found['objective'] / best:.5f}"])
    words = WORDS.format(**wire)
    return Table(
        f"Linear models on the parameter server: {base['data']}", words, HEAD, lines, facts
    )


def fewest(run: Run, spec: dict[str, Any], best: float) -> dict[str, Any]:
    """The fewest epochs that end within CLOSE of the optimum; medians."""
    for epochs in range(1, MOST_EPOCHS + 1):
        (found,) = run.each([{**spec, "action": "shared.fit", "epochs": epochs}])
        if found and median(found, "objective") <= CLOSE * best:
            break
    names = ("total", "steps", "commits", "objective")
    return {name: median(found, name) for name in names} | {"epochs": epochs}


def dual(run: Run, base: dict[str, Any]) -> Table:
    """Where the steps are taken, and what was proved."""
    lines, facts = [], {}
    there = importlib.util.find_spec("ray") is not None
    cases = {name: how for name, how in DUALS.items() if there or "workers" not in how}
    for name, found in zip(
        cases, run.each([{**base, **how} for how in cases.values()]), strict=True
    ):
        if not found:
            continue
        names = ("total", "steps", "epochs", "gap", "objective", "dual")
        facts[name] = {key: median(found, key) for key in names}
        shown = [f"{facts[name][key]:.6g}" for key in ("epochs", "objective")]
        times = [number(facts[name][key]) for key in ("total", "steps")]
        lines.append([name, *times, *shown, f"{facts[name]['gap']:.1e}"])
    return Table(
        f"The dual on the parameter server: {base['data']}", DUAL_WORDS, DUAL_HEAD, lines, facts
    )


DUAL_HEAD = ("where", "seconds", "of them steps", "epochs", "objective", "relative gap")
DUAL_WORDS = (
    "To a relative duality gap of 1e-3. *seconds*: with the start of a Ray of its own; *of them "
    "steps*: from the first step to the proof. One of the workers is killed after 6 commits."
)
HEAD = (
    "workers",
    "policy",
    "epochs",
    "commits",
    "seconds",
    "of them steps",
    "ms a commit",
    "f / f*",
)
WORDS = (
    "The fewest epochs that end at most 0.1 % above the optimum f*. *seconds*: with the start and "
    "the end of a Ray of its own; workers 0 is the serial twin, in one process. A gradient of a "
    "block touches {touched:,.0f} keys; the messages that pull and push it are {bytes:,.0f} bytes "
    "as pickled, {ratio:.2f} × 8 bytes a key."
)

if __name__ == "__main__":
    cli.main(run)
