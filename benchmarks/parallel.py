"""Threads: the dual solver to a gap, and the three schemes of SGD against serial, over threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli, datasets
from harness.measure import Run, median
from harness.report import Table, number, times
from widemargin.threads import cores

TOL = 1e-3  # relative gap of the dual solver
ABOVE = 1.001  # times the optimum: the objective that SGD is to reach
NAMES = {
    "dual": "dual, to the gap",
    "serial": "SGD, serial",
    "hogwild": "SGD, hogwild",
    "hogwild-direct": "SGD, hogwild without copies",
    "locked": "SGD, locked",
    "round_robin": "SGD, round robin",
}


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    names = [name for name in data or ("rcv1_like", "a9a") if not datasets.skip(name)[0]]
    return [table(run, name) for name in names]


def threads_upto(most: int) -> list[int]:
    """1, 2, 4, … and all cores."""
    return sorted({most, *(2**k for k in range(most.bit_length()) if 2**k <= most)})


def table(run: Run, data: str) -> Table:
    base = {"data": data, "rows": run.rows}
    truth = run.once({"action": "actions.reference", **base})
    if truth is None:
        return Table(f"Threads: {data}", "The reference failed.", ["–"], [], {})
    cases = [
        (kind, threads)
        for kind in NAMES
        for threads in ([1] if kind == "serial" else threads_upto(cores()))
    ]
    specs = [spec_of(kind, threads, base, ABOVE * truth["optimum"]) for kind, threads in cases]
    found = dict(zip(cases, run.each(specs), strict=True))
    facts: dict[str, Any] = {}
    for (kind, threads), results in found.items():
        seconds = median(results, "seconds")
        alone = median(found[kind, 1], "seconds")
        serial = alone if kind == "dual" else median(found["serial", 1], "seconds")
        facts[f"{kind}, {threads}"] = {
            "seconds": seconds,
            "epochs": median(results, "epochs"),
            "faster_than_one_thread": alone / seconds,
            "faster_than_serial": serial / seconds,
        }
    rows = [
        [
            NAMES[kind],
            str(threads),
            number(its["seconds"]),
            number(its["epochs"]),
            times(its["faster_than_one_thread"]),
            times(its["faster_than_serial"]),
        ]
        for (kind, threads), its in zip(cases, facts.values(), strict=True)
    ]
    return Table(f"Threads: {data}", words(truth), HEAD, rows, facts)


def spec_of(kind: str, threads: int, base: Any, level: float) -> dict[str, Any]:
    if kind == "dual":
        return {"action": "threads.dual", **base, "threads": threads, "tol": TOL}
    how: dict[str, Any] = {"scheme": None if kind == "serial" else kind.removesuffix("-direct")}
    if kind.endswith("-direct"):
        how["exchange"] = 0
    return {"action": "threads.sgd", **base, "threads": threads, "level": level, **how}


HEAD = (
    "",
    "threads",
    "seconds",
    "epochs",
    "faster than on one thread",
    "faster than serial",
)


def words(truth: Any) -> str:
    n, d, nonzeros = truth["n"], truth["d"], truth["nonzeros"]
    return (
        f"{n:,} rows, {d:,} features, {nonzeros / n:.1f} nonzeros a row; hinge, "
        f"C = {truth['C']:.6g}; {cores()} cores. The dual solver to a relative gap of {TOL:g}, "
        f"certificate included; SGD to {ABOVE} times the optimum, looked at after every quarter "
        "of an epoch outside the clock, as is the search for the learning rate. Serial is the same "
        "solver on one thread without a scheme. Means over twelve orders of the rows, the same "
        "for all."
    )


if __name__ == "__main__":
    cli.main(run)
