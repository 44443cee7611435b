"""Fitted features: what a model needs to take raw documents or records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.labels import classes
from widemargin.data.records import Batch, Reading, missing, place
from widemargin.data.rows import Sparse
from widemargin.errors import InputError
from widemargin.features.columns import CategoryColumn, spelt
from widemargin.features.processes import in_order
from widemargin.features.table import TableFeatures
from widemargin.features.text import TextFeatures
from widemargin.features.words import Counted, WordRule, count

TYPED = ("json", "jsonl")  # formats whose records may each lack columns


@dataclass(frozen=True)
class Features:
    """Columns of text first, then those of the table; either may be None."""

    text: TextFeatures | None
    table: TableFeatures | None
    reading: Reading  # how the training data were read

    @property
    def n_features(self) -> int:
        return sum(part.n_features for part in (self.text, self.table) if part is not None)

    @property
    def columns(self) -> frozenset[str]:
        """The columns of records that are looked at."""
        parts = (self.text, self.table)
        return frozenset(name for part in parts if part is not None for name in part.columns)


class Block(NamedTuple):
    """Consecutive rows and their labels."""

    rows: Sparse
    codes: NDArray[np.int32]  # position in label_names, −1 without a label
    label_names: tuple[str, ...]


def blocks(
    features: Features, found: Iterable[Batch], *, label: str, unlabelled: bool, workers: int
) -> Iterator[Block]:
    """The rows of every batch of records, in order."""
    batches: list[Batch] = []  # those whose words are being counted

    def documents() -> Iterator[Sequence[str]]:
        for batch in found:
            batches.append(batch)
            yield texts(batch, features.text.columns) if features.text else ()

    rule = features.text.rule if features.text else WordRule()
    for counted in in_order(partial(count, rule), documents(), workers if features.text else 1):
        batch = batches.pop(0)
        labels = Labels(label)
        labels.add(batch, unlabelled=unlabelled)
        rows = sparse(matrix(features, batch, counted))
        codes, names = labels.classes()
        yield Block(rows, codes, names)


def matrix(features: Features, batch: Batch, counted: Counted) -> Any:
    """(n, n_features) CSR of one batch."""
    from scipy.sparse import hstack

    parts = []
    if features.text is not None:
        parts.append(features.text.transform([counted]))
    if features.table is not None:
        columns = features.table.fresh()
        for name, column in columns.items():
            if name not in batch.columns and features.reading.format not in TYPED:
                raise missing(name, "the table", batch.names, batch.source)
            column.add(batch)
        parts.append(features.table.transform(columns))
    return parts[0] if len(parts) == 1 else hstack(parts, format="csr")


def sparse(X: Any) -> Sparse:
    """Rows as the kernels see them, float32 as all text input is."""
    rows = Sparse(
        X.data.astype(np.float32),
        X.indices.astype(np.uint32),
        X.indptr.astype(np.int64),
        int(X.shape[1]),
    )
    for array in rows[:3]:
        array.flags.writeable = False
    return rows


def texts(batch: Batch, columns: Sequence[str]) -> list[str]:
    """The document of each record: its text columns, joined by newlines; nothing is empty."""
    parts = [_text(batch, name) for name in columns]
    return parts[0] if len(parts) == 1 else list(map("\n".join, zip(*parts, strict=True)))


def _text(batch: Batch, name: str) -> list[str]:
    if name not in batch.columns:
        raise missing(name, "the text", batch.names, batch.source)
    return [
        value if isinstance(value, str) else _spelt(batch, name, i, value)
        for i, value in enumerate(batch.columns[name])
    ]


def _spelt(batch: Batch, name: str, i: int, value: Any) -> str:
    if isinstance(value, list | dict):
        kind = "an array" if isinstance(value, list) else "an object"
        raise InputError(
            f"{place(batch, i)}: found {kind} in column {name!r}; accepted: text; join it to one."
        )
    return spelt(value) or ""


class Labels:
    """The labels of records, gathered batch by batch."""

    def __init__(self, name: str) -> None:
        self.name, self.column = name, CategoryColumn(name)

    def add(self, batch: Batch, *, unlabelled: bool) -> None:
        if self.name not in batch.columns and not unlabelled:
            raise missing(self.name, "the label", batch.names, batch.source)
        self.column.add(batch)
        codes = self.column.parts[-1]
        if not unlabelled and (codes < 0).any():
            at = int(np.argmin(codes))
            raise InputError(
                f"{place(batch, at)}: found no label in column {self.name!r}; accepted: a label "
                "in every record; add it, or leave the record out."
            )

    def classes(self) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """(code of each record, sorted names of the classes)."""
        found = classes(self.column.names)
        return np.append(found.codes, np.int32(-1))[self.column.codes], found.names
