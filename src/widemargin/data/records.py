"""Records: rows of named values, as text files, tables and folders of documents hold them.

Readers yield them in batches by column, so that memory stays bounded and cores get whole pieces.
A value is as the format gives it: a str in csv and tsv; str, number, bool or None where the
format has types.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from widemargin.errors import InputError, choose

BATCH = 1 << 21  # characters of a batch, about
READERS = {
    "jsonl": "json_records",
    "json": "json_records",
    "csv": "delimited",
    "tsv": "delimited",
    "parquet": "parquet",
    "folder": "documents",
    "lines": "documents",
}
SHOWN = 20  # names that a message lists


class Reading(NamedTuple):
    """How a source becomes records."""

    format: str  # one of READERS
    header: bool = True  # whether the first line of csv and tsv names the columns
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()  # of the columns of csv and tsv without header, where known
    label: str = "label"  # the column that may be left out of those; what folders give
    document: str = "text"  # the name of the column of formats that hold documents alone


class Batch(NamedTuple):
    """Consecutive records by column. A column that none of them has is absent."""

    columns: dict[str, Sequence[Any]]
    lines: Sequence[int]  # where each record begins
    source: str
    unit: str = ":"  # what stands between source and line: SOURCE:7, or SOURCE: record 7
    others: Sequence[str] = ()  # names of columns that the source has and nobody wanted

    @property
    def names(self) -> list[str]:
        return [*self.columns, *self.others]


def place(batch: Batch, i: int) -> str:
    """Where record i begins, for messages."""
    return f"{batch.source}{batch.unit}{batch.lines[i]}"


def batches(path: str, reading: Reading, wanted: frozenset[str] | None = None) -> Iterator[Batch]:
    """All records of a source; columns that are not wanted may be left out."""
    module = import_module(f"widemargin.data.{choose('format', reading.format, READERS)}")
    empty = True
    for batch in module.read(path, reading, wanted):
        empty = False
        yield batch
    if empty:
        raise InputError(
            f"{path}: found no record in the whole input, read as {reading.format}; accepted: at "
            "least one; check that this is the file you mean."
        )


def missing(name: str, what: str, names: Sequence[str], source: str) -> InputError:
    """What to say of a column that is not there: those that are, and the closest."""
    close = difflib.get_close_matches(name, names, 3, 0.5)
    close += [other for other in names if other.lower() == name.lower() and other not in close]
    shown = ", ".join(map(repr, names[:SHOWN])) + (" …" if len(names) > SHOWN else "")
    advice = f"did you mean {' or '.join(map(repr, close))}?" if close else "name one of these."
    return InputError(
        f"{source}: found no column {name!r} for {what}; accepted: {shown or 'none'}; {advice}"
    )


def by_column(
    records: Sequence[Mapping[str, Any]],
    wanted: frozenset[str] | None,
    lines: Sequence[int],
    source: str,
    unit: str = ":",
) -> Batch:
    """Records that each name their values; None where a record lacks one."""
    names = dict.fromkeys(name for record in records for name in record)
    chosen, others = parted(list(names), wanted)
    columns: dict[str, Sequence[Any]] = {
        name: [record.get(name) for record in records] for name in chosen
    }
    return Batch(columns, lines, source, unit, others)


def parted(
    names: Sequence[str], wanted: frozenset[str] | None
) -> tuple[Sequence[str], Sequence[str]]:
    """(names that are wanted, the others), in order."""
    if wanted is None:
        return names, ()
    return [name for name in names if name in wanted], [n for n in names if n not in wanted]
