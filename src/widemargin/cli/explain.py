"""`widemargin explain`: the strongest features, or what drove one decision."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from widemargin.cli.blocks import blocks
from widemargin.cli.output import put_json
from widemargin.data.documents import document
from widemargin.data.formats import by_name
from widemargin.data.records import Batch
from widemargin.errors import InputError
from widemargin.explanation import explain as explained
from widemargin.explanation import one
from widemargin.model import Model
from widemargin.model_file import load

WHOLE = ("", "lines", "auto")  # formats of a file that is one document


def explain(
    path: Path,
    source: str | None,
    *,
    text: str | None,
    row: int | None,
    top: int,
    serving: Mapping[str, Any],
    json: bool,
) -> None:
    if source is not None and text is not None:
        raise ValueError("a file and --text both name a document. Give one of them.")
    model = load(path)
    if source is None and text is None:
        report = explained(model, top=top)
        put_json(report) if json else show_model(report)
        return
    if text is not None:
        X: Any = [text]
        if model.features is None:
            raise ValueError(
                "--text is a document, and the model takes numbered features. Give a file of rows."
            )
    else:
        X = _read(model, str(source), row, serving)
    (report,) = explained(model, X, top=top)
    put_json(report) if json else show_document(report)


def _read(model: Model, source: str, row: int | None, serving: Mapping[str, Any]) -> Any:
    """The document, record or row to explain."""
    if model.features is None:
        found = blocks(model, source, unlabelled=True, threads=1, serving=serving)
        return _row(found, (row or 1) - 1, source)
    if model.features.table is None and row is None and serving.get("format") is None:
        if source == "-" or not by_name(source):
            return [document(source, serving.get("encoding") or "utf-8")]
    from widemargin.features.serving import Serving, records

    _, _, batches = records(model.features, source, Serving(**serving))
    return _record(batches, (row or 1) - 1, source)


def _row(found: Iterator[Any], number: int, source: str) -> Any:
    from widemargin.data.rows import take_rows

    before = 0
    for block in found:
        if number < before + len(block.codes):
            return take_rows(block.rows, number - before, number - before + 1)
        before += len(block.codes)
    raise _beyond(source, number, before)


def _record(found: Iterator[Batch], number: int, source: str) -> Batch:
    before = 0
    for batch in found:
        if number < before + len(batch.lines):
            return one(batch, number - before)
        before += len(batch.lines)
    raise _beyond(source, number, before)


def _beyond(source: str, number: int, n: int) -> InputError:
    return InputError(f"{source}: found {n} rows, and --row is {number + 1}; name one of these.")


# -- what is shown -----------------------------------------------------------------------------


def show_model(report: dict[str, Any]) -> None:
    """A table for each class."""
    for label, features in report["classes"].items():
        rows = [[each["feature"], f"{each['weight']:.4f}"] for each in features]
        rows.append(["intercept", f"{report['intercept'][label]:.4f}"])
        _table(label, ["feature", "weight"], rows, ends=1)


def show_document(report: dict[str, Any]) -> None:
    """The decision, and a table of what drove it."""
    rows = [
        [
            each["feature"],
            f"{each['value']:.4g}",
            f"{each['weight']:.4f}",
            f"{each['contribution']:+.4f}",
        ]
        for each in report["contributions"]
    ]
    if report["n_rest"]:
        rows.append([f"{report['n_rest']:,} others", "", "", f"{report['rest']:+.4f}"])
    rows.append(["intercept", "", "", f"{report['intercept']:+.4f}"])
    rows.append([f"score of {report['towards']}", "", "", f"{report['score']:+.4f}"])
    head = ["feature", "value", "weight", "contribution"]
    _table(f"predicted: {report['label']}", head, rows, ends=2)


def _table(title: str, head: list[str], rows: list[list[str]], ends: int = 0) -> None:
    """A table by rich; names are never read as its markup, nor cut off."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title)), title_justify="left")
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for at, row in enumerate(rows):
        last = at == len(rows) - ends - 1
        table.add_row(*(Text(printable(cell)) for cell in row), end_section=bool(ends) and last)
    Console(file=sys.stdout, highlight=False).print(table)


def printable(text: str) -> str:
    """Control characters and blanks at the ends spelt out: a term may be an escape sequence."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    safe = "".join(shown)
    return safe if safe == safe.strip() else repr(safe)
