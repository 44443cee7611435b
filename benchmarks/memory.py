"""Extra memory of a fit beyond its data, per nonzero and per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli, datasets
from harness.footprint import ESTIMATORS, FORMATS
from harness.measure import Run, median
from harness.report import Table, number

SLICE = 200_000
FULL = ("LinearSVC, hinge", "SGDClassifier")  # these on the whole corpus too
WEIGHT = 8  # bytes


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """A slice of the corpus for all estimators, the whole of it for two."""
    rows = run.rows or SLICE
    tables = []
    for name in data or ("rcv1_like",):
        if datasets.skip(name)[0]:
            continue
        tables.append(footprints(run, name, rows, tuple(ESTIMATORS), FORMATS))
        if run.rows is None and not data:
            tables.append(footprints(run, name, None, FULL, FORMATS[:3]))
    return tables


def footprints(
    run: Run, data: str, rows: int | None, names: Sequence[str], formats: Sequence[str]
) -> Table:
    """Two fits a line: of the data, and of the same rows with half of their nonzeros."""
    for thin in (False, True):
        run.once({"action": "texts.make_store", "data": data, "rows": rows, "thin": thin})
    base = {"action": "footprint.fit", "data": data, "rows": rows}
    cases = [(name, kind) for name in names for kind in formats]
    specs = [
        {**base, "estimator": name, "format": kind, "thin": thin}
        for name, kind in cases
        for thin in (False, True)
    ]
    results, lines, facts = run.each(specs, together=True), [], {}
    for (name, kind), whole, thin in zip(cases, results[::2], results[1::2], strict=True):
        if whole and thin:
            its = facts[f"{name}, {kind}"] = parts(whole, thin)
            less = its["per_row"] - WEIGHT * its["d"] / its["n"]
            shown = (its["per_nonzero"], its["slope"], its["per_row"], less)
            lines.append([name, kind, f"{its['extra_bytes'] / 2**20:.1f}", *map(number, shown)])
    title = f"Memory of a fit: {data}, {'all' if rows is None else f'{rows:,}'} rows"
    return Table(title, WORDS, HEAD, lines, facts)


def parts(whole: Sequence[Any], thin: Sequence[Any]) -> dict[str, float]:
    """What of the extra bytes grows with the nonzeros, and the rest by the rows."""
    extra, less = median(whole, "extra_bytes"), median(thin, "extra_bytes")
    nonzeros, n, d = whole[0]["nonzeros"], whole[0]["n"], whole[0]["d"]
    slope = (extra - less) / (nonzeros - thin[0]["nonzeros"])
    return {
        "extra_bytes": extra,
        "per_nonzero": extra / nonzeros,
        "slope": slope,
        "per_row": (extra - slope * nonzeros) / n,
        "n": n,
        "d": d,
        "nonzeros": nonzeros,
    }


HEAD = (
    "",
    "data",
    "extra MiB",
    "per nonzero, all",
    "grows per nonzero",
    "per row",
    "per row, less one float64 a feature",
)
WORDS = (
    "Peak of resident memory during the fit less the level before it, in bytes. *grows per "
    "nonzero*: the difference to the same rows and features with every second nonzero left out, "
    "by the nonzeros left out; what remains at no nonzeros at all is divided by the rows. Dense: "
    "100,000 × 256 random numbers, and half the columns."
)

if __name__ == "__main__":
    cli.main(run)
