"""LinearSVCCV with 13 values of C and 5 folds, in fits at the C it chooses; Brier scores."""

from __future__ import annotations

from collections.abc import Sequence

from harness import cli
from harness.measure import Run, median
from harness.report import Table, number

LOSSES = ("squared_hinge", "hinge")
THREADS = (1, 2)


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """A process for each measurement; in it search and single fit take turns."""
    return [costs(run, data or ("rcv1_topics",)), calibration(run)]


def costs(run: Run, data: Sequence[str]) -> Table:
    specs = [
        {"action": "tuning.search", "data": name, "loss": loss, "threads": threads}
        for name in data
        for loss in LOSSES
        for threads in THREADS
    ]
    rows, facts = [], {}
    for spec, found in zip(specs, run.each(specs), strict=True):
        ratio = median(found, "search") / median(found, "single")
        facts[f"{spec['data']} {spec['loss']} {spec['threads']}"] = ratio
        rows.append(
            [
                str(spec["data"]),
                str(spec["loss"]),
                str(spec["threads"]),
                number(median(found, "C")),
                number(median(found, "single")),
                number(median(found, "search")),
                number(ratio),
            ]
        )
    return Table(
        "C by cross-validation",
        "13 values of C, 5 folds, refit included; a single fit is LinearSVC at the C chosen.",
        ["data", "loss", "threads", "C", "single fit (s)", "LinearSVCCV (s)", "single fits"],
        rows,
        facts,
    )


def calibration(run: Run) -> Table:
    found = run.once({"action": "tuning.brier"}) or {}
    rows = [[name, f"{value:.6f}"] for name, value in found.items()]
    note = "a9a, test set of 16,281 rows; lower is better."
    return Table("Brier score of the probabilities", note, ["", "Brier score"], rows, found)


if __name__ == "__main__":
    cli.main(run)
