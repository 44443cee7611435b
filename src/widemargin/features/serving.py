"""Sources that a model of text or tables is given after training, read as fits that model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from widemargin.data.dataset import Dataset
from widemargin.data.formats import by_look, by_name
from widemargin.data.labels import classes
from widemargin.data.records import READERS, Batch, Reading, batches
from widemargin.data.rows import Sparse
from widemargin.data.streams import STDIN
from widemargin.errors import InputError, choose
from widemargin.features.fitted import Block, Features, blocks

DELIMITED = ("csv", "tsv")


class Serving(NamedTuple):
    """What is said of a source; None where it is as in training, or told by the source."""

    format: str | None = None
    text: tuple[str, ...] | None = None
    label: str | None = None
    header: bool | None = None
    encoding: str | None = None


def serve(
    features: Features, source: str, how: Serving, *, unlabelled: bool, workers: int
) -> Iterator[Block]:
    """The rows of a source in blocks, in bounded memory."""
    features, reading, found = records(features, source, how)
    yield from blocks(features, found, label=reading.label, unlabelled=unlabelled, workers=workers)


def records(
    features: Features, source: str, how: Serving
) -> tuple[Features, Reading, Iterator[Batch]]:
    """(features that look at the columns asked for, how the source is read, its records)."""
    if how.text is not None and features.text is not None:
        features = replace(features, text=replace(features.text, columns=how.text))
    reading = reading_of(features, source, how)
    return features, reading, batches(source, reading, features.columns | {reading.label})


def reading_of(features: Features, source: str, how: Serving) -> Reading:
    trained = features.reading
    named = [*(how.text or ()), *([how.label] if how.label is not None else [])]
    header = trained.header if trained.format in DELIMITED else True
    if named:
        header = not all(name.isdecimal() for name in named)
    return Reading(
        _format(features, source, how.format),
        header if how.header is None else how.header,
        how.encoding or trained.encoding,
        () if named or how.header is not None else trained.names,
        how.label or trained.label,
        features.text.columns[0] if features.text else trained.document,
    )


def _format(features: Features, source: str, asked: str | None) -> str:
    """As asked for; by name; by the first line; else a document a line, or as in training."""
    if asked is not None and asked != "auto":
        choose("format", asked, READERS)
        found = asked
    else:
        found = "" if source == STDIN else by_name(source)
        if not found:
            look = by_look(source)
            alone = features.table is None
            own = features.reading.format if features.reading.format in DELIMITED else ""
            found = look if look == "jsonl" or not alone else "lines"
            found = found if alone or look in ("jsonl", "json") else own or look
    if found in ("lines", "folder") and features.table is not None or not found:
        raise InputError(
            f"{source}: found {found or 'no format that its name or first line tells'}, but the "
            f"model takes the columns {', '.join(map(repr, sorted(features.columns)))}; accepted: "
            "jsonl, json, csv, tsv, parquet; name the format with --format."
        )
    return found


def dataset(features: Features, source: str, how: Serving, *, workers: int) -> Dataset:
    """All rows of a labelled source."""
    parts = list(serve(features, source, how, unlabelled=False, workers=workers))
    met: dict[str, int] = {}
    for part in parts:
        for name in part.label_names:
            met.setdefault(name, len(met))
    known = classes(met)
    codes = [
        known.codes[np.array([met[name] for name in part.label_names], np.int64)][part.codes]
        for part in parts
    ]
    rows = joined([part.rows for part in parts])
    return Dataset(rows, np.concatenate(codes), known.names, source, False, features)


def joined(parts: list[Sparse]) -> Sparse:
    """Rows of several pieces, one after the other."""
    ends = np.cumsum([0, *(len(part.values) for part in parts)])
    indptr = [part.indptr[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
    rows = Sparse(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([np.zeros(1, np.int64), *indptr]),
        parts[0].n_features,
    )
    for array in rows[:3]:
        array.flags.writeable = False
    return rows
