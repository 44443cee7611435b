"""Training time of support vector machines with a kernel, against LIBSVM."""

from __future__ import annotations

from collections.abc import Sequence

from harness import cli, datasets
from harness.measure import Run, median
from harness.report import Table, number, times

CS = (1.0, 100.0)
LARGEST = 12_000  # rows where C is large: LIBSVM takes minutes on more
SOLVERS = {
    "widemargin": ("widemargin", 1),
    "two threads": ("widemargin", 2),
    "libsvm": ("libsvm", 1),
}


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """The rbf kernel with the default gamma, to LIBSVM's default tolerance."""
    names = data or ("a9a",)
    return [
        table(run, name, C)
        for name in names
        if not datasets.skip(name)[0] and datasets.load(name, 100).n_classes == 2
        for C in CS
    ]


def table(run: Run, data: str, C: float) -> Table:
    rows = run.rows if C == CS[0] else min(run.rows or LARGEST, LARGEST)
    base = {"action": "machines.fit", "data": data, "rows": rows, "C": C, "tol": 1e-3}
    specs = [{**base, "solver": name, "threads": n} for name, n in SOLVERS.values()]
    lines, facts = [], {}
    results = run.each(specs)
    ours = median(results[0], "seconds")
    for label, found in zip(SOLVERS, results, strict=True):
        its = {field: median(found, field) for field in ("seconds", "dual", "support", "n")}
        its["ratio"] = its["seconds"] / ours
        facts[label] = its
        shown = [number(its["seconds"]), times(its["ratio"]), number(its["dual"], 10)]
        lines.append([label, *shown, f"{its['support']:.0f}"])
    size = facts["widemargin"]["n"]
    return Table(
        f"Support vector machine, rbf kernel, C = {C:g}: {data}, {size:,.0f} rows",
        "gamma='scale', tol=1e-3: ours bounds the same violation and the relative gap by it.",
        ["", "seconds", "to ours", "dual objective", "support vectors"],
        lines,
        facts,
    )


if __name__ == "__main__":
    cli.main(run)
