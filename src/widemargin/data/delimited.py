"""Tables as text: csv with quotes as RFC 4180 has them, tsv without quotes at all.

As tsv cannot quote a newline, files of text have bare ones: where the last column of a tsv is the
text, a line without a tab continues the document before it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from widemargin.data.records import BATCH, Batch, Reading, parted
from widemargin.data.utf8 import blocks
from widemargin.errors import InputError

LONGEST = 2**31 - 1  # characters of a field; the csv module's own limit is less than many a mail


class Lines:
    """The lines of a source, each with its end; `line` and `characters` count what is taken."""

    def __init__(self, path: str, encoding: str) -> None:
        self.parts, self.line, self.characters = blocks(path, encoding), 0, 0

    def __iter__(self) -> Iterator[str]:
        for text, _ in self.parts:
            pieces = text.split("\n")
            last = pieces.pop()
            for piece in pieces:
                self.line += 1
                self.characters += len(piece)
                yield piece + "\n"
            if last:
                self.line += 1
                yield last


def read(path: str, reading: Reading, wanted: frozenset[str] | None) -> Iterator[Batch]:
    """Batches of the rows of a file; every row has as many fields as the first."""
    lines = Lines(path, reading.encoding)
    rows = _csv_rows(path, lines) if reading.format == "csv" else _tsv_rows(lines, reading)
    held: list[Sequence[str]] = []
    places: list[int] = []
    names: tuple[str, ...] = ()
    full = BATCH
    for line, row in rows:
        if not names:
            names = _header(row, path) if reading.header else _positions(row, path, reading)
            if reading.header:
                continue
        if len(row) != len(names):
            raise _ragged(path, line, len(row), len(names), reading)
        held.append(row)
        places.append(line)
        if lines.characters >= full:
            yield _batch(names, held, places, path, wanted)
            held, places, full = [], [], lines.characters + BATCH
    if held:
        yield _batch(names, held, places, path, wanted)


def _batch(
    names: tuple[str, ...],
    rows: list[Sequence[str]],
    lines: list[int],
    path: str,
    wanted: frozenset[str] | None,
) -> Batch:
    columns: dict[str, Sequence[str]] = dict(zip(names, zip(*rows, strict=True), strict=True))
    chosen, others = parted(names, wanted)
    return Batch({name: columns[name] for name in chosen}, lines, path, others=others)


def _tsv_rows(lines: Lines, reading: Reading) -> Iterator[tuple[int, Sequence[str]]]:
    """(line, fields): what lies between tabs, with quotes as they stand."""
    held: tuple[int, list[str]] | None = None
    continues = False
    for line in lines:
        bare = line.rstrip("\r\n")
        if not bare:
            continue
        fields = bare.split("\t")
        if held is None:
            last = fields[-1].strip() if reading.header else str(len(fields))
            continues = len(fields) > 1 and reading.document in (last, str(len(fields)))
        elif continues and len(fields) == 1:
            held[1][-1] += "\n" + bare
            continue
        else:
            yield held
        held = lines.line, fields
    if held is not None:
        yield held


def _csv_rows(path: str, lines: Lines) -> Iterator[tuple[int, Sequence[str]]]:
    """(first line, fields); a quoted field may hold commas, newlines and doubled quotes."""
    csv.field_size_limit(LONGEST)
    start = 1
    try:
        for row in csv.reader(lines, strict=True):
            if row:
                yield start, row
            start = lines.line + 1
    except csv.Error as error:
        raise InputError(
            f"{path}:{start}: found broken csv ({error}) in the row that begins there; accepted: "
            'fields between commas, quoted as "..." with quotes inside doubled; correct the row.'
        ) from None


def _header(row: Sequence[str], path: str) -> tuple[str, ...]:
    """The names of the first line; a column without one goes by its position."""
    names = tuple(name.strip() or str(i) for i, name in enumerate(row, 1))
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(
            f"{path}:1: found the column {twice[0]!r} twice; accepted: distinct names in the first "
            "line; rename one, or give positions (1, 2, ...) if the first line is no header."
        )
    return names


def _positions(row: Sequence[str], path: str, reading: Reading) -> tuple[str, ...]:
    """ "1", "2", ...; where the columns are known, these, or these without the label."""
    if not reading.names:
        return tuple(map(str, range(1, len(row) + 1)))
    without = tuple(name for name in reading.names if name != reading.label)
    for names in (reading.names, without):
        if len(names) == len(row):
            return names
    raise InputError(
        f"{path}:1: found {len(row)} columns; accepted: the {len(reading.names)} columns of the "
        "training data, or these without the label; give the same columns in the same order."
    )


def _ragged(path: str, line: int, found: int, width: int, reading: Reading) -> InputError:
    blank = "commas" if reading.format == "csv" else "tabs"
    quotes = ', with fields that hold a comma quoted as "..."' if reading.format == "csv" else ""
    return InputError(
        f"{path}:{line}: found {found} fields where the first row has {width}; accepted: the same "
        f"number of fields between {blank} in every row{quotes}; correct the row."
    )
