"""What the user asks of text and tables, and how that settles the way an input is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from widemargin.data.formats import by_look, by_name
from widemargin.data.records import READERS, Reading
from widemargin.errors import InputError, choose
from widemargin.features.text import Weighing
from widemargin.features.vocabulary import Limits
from widemargin.features.words import WordRule

HASHED = 1 << 18  # columns of hashed categories where no other number is asked for
WHOLE = ("folder", "lines")  # formats that hold documents alone


class Asked(NamedTuple):
    """Columns and options, before a look at the data."""

    text: tuple[str, ...] = ()
    label: str = "label"
    columns: tuple[str, ...] = ()  # of the table; none given: all without text, none with it
    numeric: tuple[str, ...] | None = None  # these are numbers, all others categories
    drop: tuple[str, ...] = ()
    categorical: str = "one-hot"
    rule: WordRule = WordRule()
    weighing: Weighing = Weighing()
    limits: Limits = Limits()
    format: str = "auto"
    header: bool | None = None  # None: there is one unless columns go by position
    encoding: str = "utf-8"

    @property
    def by_position(self) -> bool:
        """Whether all columns that are named are named by position."""
        names = (*self.text, self.label, *self.columns, *(self.numeric or ()), *self.drop)
        return all(name.isdecimal() for name in names)


def reading_for(path: str, asked: Asked) -> Reading:
    """How to read training data."""
    choose("format", asked.format, {**READERS, "auto": None})
    kind = asked.format if asked.format != "auto" else by_name(path) or by_look(path)
    if not kind:
        raise InputError(
            f"{path}: found no format that its name or first line tells; accepted: jsonl, json, "
            "csv, tsv, parquet, a folder of files by class; name it with --format."
        )
    if kind == "lines":
        raise InputError(
            f"{path}: lines of text have no labels; accepted for training: jsonl, csv, tsv, "
            "parquet, a folder of files by class; add the labels."
        )
    header = asked.header if asked.header is not None else not asked.by_position
    return Reading(kind, header, asked.encoding, (), asked.label, (asked.text or ("text",))[0])


def resolved(name: str, what: str, names: Sequence[str], source: str) -> str:
    """The column that is meant: by name, or by position from 1."""
    from widemargin.data.records import missing

    if name in names:
        return name
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return names[int(name) - 1]
    raise missing(name, what, names, source)
