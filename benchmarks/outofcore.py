"""A packed store larger than the memory allowed: time, objective and peak against no bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli
from harness.measure import Run, median
from harness.report import Table, number

ROWS = 17 * 781_265  # 8.1 GB
FEW = 2000  # rows that show which kernels a run needs
LIMIT = "1G"
SOLVERS = ("dual", "sgd", "asgd", "minibatch")


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """The store is made first and removed at the end."""
    rows = run.rows or ROWS
    made = run.once({"action": "outofcore.make", "rows": rows})
    if made is None:
        return []
    specs = trainings(rows)
    run.once({"action": "outofcore.make", "rows": FEW})
    run.each(trainings(FEW), 1)  # compiles
    results = run.each(specs)
    run.once({"action": "outofcore.remove", "rows": rows, "after": len(run.records)})
    facts, lines = {}, []
    for name, free, bounded in zip(SOLVERS, results[::2], results[1::2], strict=True):
        its = facts[name] = {
            "seconds": median(free, "seconds"),
            "bounded_seconds": median(bounded, "seconds"),
            "above": median(bounded, "objective") / median(free, "objective") - 1.0,
            "gap": median(bounded, "relative_gap"),
            "peak": median(free, "peak") / 2**20,
            "bounded_peak": median(bounded, "peak") / 2**20,
        }
        its["speed"] = its["seconds"] / its["bounded_seconds"]
        shown = ("seconds", "bounded_seconds", "speed", "above", "gap", "peak", "bounded_peak")
        lines.append([name, *(number(its[key]) for key in shown)])
    words = (
        f"{made['bytes'] / 1e9:.1f} GB, {rows:,} rows of the RCV1-shaped corpus, lambda = 1e-4, "
        "page cache warm, all cores, kernels compiled. *fit*: loading is mapping. *above*: the "
        "bounded run's objective over the other's, less 1. Memory: the most that the process "
        "held, mapped pages included, as the system counted it, in MiB."
    )
    return [Table(f"Larger than memory: --max-memory {LIMIT}", words, HEAD, lines, facts)]


def trainings(rows: int) -> list[dict[str, Any]]:
    """Each solver without a bound, and with it."""
    base = {"action": "outofcore.train", "rows": rows}
    return [
        {**base, "solver": name, "max_memory": limit} for name in SOLVERS for limit in (None, LIMIT)
    ]


HEAD = (
    "solver",
    "fit, no bound",
    "fit, bounded",
    "speed kept",
    "objective above",
    "relative gap",
    "memory, no bound",
    "memory, bounded",
)

if __name__ == "__main__":
    cli.main(run)
