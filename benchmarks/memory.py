"""Extra memory of a fit beyond its data, per nonzero and per row."""

from __future__ import annotations

from collections.abc import Sequence

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
    cases = [(name, kind) for name in names for kind in formats]
    specs = [
        {
            "action": "footprint.fit",
            "data": data,
            "rows": rows,
            "estimator": name,
            "format": kind,
            "thin": thin,
        }
        for name, kind in cases
        for thin in (False, True)
    ]
    results, table, facts = run.each(specs, together=True), [], {}
    for number_, (name, kind) in enumerate(cases):
        whole, thin = results[2 * number_], results[2 * number_ + 1]
        if not whole or not thin:
            continue
        extra, less = median(whole, "extra_bytes"), median(thin, "extra_bytes")
        nonzeros, n, d = whole[0]["nonzeros"], whole[0]["n"], whole[0]["d"]
        slope = (extra - less) / (nonzeros - thin[0]["nonzeros"])
        per_row = (extra - slope * nonzeros) / n
        facts[f"{name}, {kind}"] = {
            "extra_bytes": extra, "per_nonzero": extra / nonzeros, "slope": slope,
            "per_row": per_row, "n": n, "d": d, "nonzeros": nonzeros,
        }  # fmt: skip
        table.append(
            [
                name,
                kind,
                f"{extra / 2**20:.1f}",
                number(extra / nonzeros),
                number(slope),
                number(per_row),
                number(per_row - WEIGHT * d / n),
            ]
        )
    head = [
        "",
        "data",
        "extra MiB",
        "per nonzero, all",
        "grows per nonzero",
        "per row",
        "per row, less one float64 a feature",
    ]
    title = f"Memory of a fit: {data}, {'all' if rows is None else f'{rows:,}'} rows"
    return Table(title, WORDS, head, table, facts)


WORDS = (
    "Peak of resident memory during the fit less the level before it, in bytes. *grows per "
    "nonzero*: the difference to the same rows and features with every second nonzero left out, "
    "by the nonzeros left out; what remains at no nonzeros at all is divided by the rows. Dense: "
    "20,000 × 512 random numbers, and half the columns."
)

if __name__ == "__main__":
    cli.main(run)
