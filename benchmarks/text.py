"""From raw text to a saved model and its test error, against scikit-learn's pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli, words
from harness.measure import Run, median
from harness.report import Table, number, times

LOSSES = ("hinge", "squared_hinge")


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    names = [name for name in data or words.SETS if not words.skip(name)[0]]
    rows, facts = [], {}
    for name in names:
        files = run.once(
            {"action": "words.make", "data": name, "folder": str(run.folder / "text" / name)}
        )
        if files is None:
            continue
        for loss in LOSSES:
            its = facts[f"{name}, {loss}"] = compared(run, files, loss)
            rows.append(line(name, loss, its))
    return [Table("From raw text to a model", WORDS, HEAD, rows, facts)] if rows else []


def compared(run: Run, files: Any, loss: str) -> dict[str, Any]:
    """Seconds and errors of both, a process each in turns."""
    base = {"train": files["train"], "test": files["test"], "loss": loss}
    ours, theirs = run.each(
        [{"action": "words.widemargin", **base}, {"action": "words.scikit", **base}]
    )
    return {
        "n_test": files["n_test"],
        "seconds": median(ours, "seconds"),
        "load": median(ours, "load"),
        "fit": median(ours, "fit"),
        "scikit-learn": median(theirs, "seconds"),
        "wrong": median(ours, "wrong"),
        "wrong scikit-learn": median(theirs, "wrong"),
    }


def line(name: str, loss: str, its: dict[str, Any]) -> list[str]:
    n = its["n_test"]
    errors = (f"{its[key]:.0f} of {n}" for key in ("wrong", "wrong scikit-learn"))
    shown = (number(its[key]) for key in ("seconds", "load", "fit", "scikit-learn"))
    return [f"{name}, {loss}", *errors, *shown, times(its["scikit-learn"] / its["seconds"])]


HEAD = (
    "",
    "wrong",
    "scikit-learn",
    "seconds",
    "of it load",
    "of it fit",
    "scikit-learn",
    "to ours",
)
WORDS = (
    "Whole processes on all cores, from jsonl with one document a line to a saved model and the "
    "error on other rows: `widemargin train --text text --test FILE` with its defaults, and "
    "`make_pipeline(TfidfVectorizer(), LinearSVC(loss=...))` of the same documents, saved by "
    "joblib. Both have C = 1; scikit-learn penalises the intercept."
)

if __name__ == "__main__":
    cli.main(run)
