"""From training records to features, rows and labels, in one pass over the source.

Words are counted piece by piece before it is known which stay, so documents need not be kept; the
features are fitted on the counts of the rows that are not set aside for a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.dataset import Dataset
from widemargin.data.records import Batch, Reading, batches
from widemargin.data.split import split
from widemargin.errors import InputError, choose
from widemargin.features.asked import HASHED, WHOLE, Asked, reading_for, resolved
from widemargin.features.columns import CategoryColumn, Column, NumberColumn, kind_of
from widemargin.features.fitted import Features, Labels, sparse, texts
from widemargin.features.processes import in_order
from widemargin.features.table import TableFeatures, fit_table
from widemargin.features.text import fit_text
from widemargin.features.words import Counted, count


class Fitted(NamedTuple):
    """Features and what was made with them."""

    train: Dataset
    test: Dataset | None  # the rows set aside
    features: Features


class Gathering:
    """Labels and table columns as the batches come; `documents` are left to be counted."""

    def __init__(self, asked: Asked, reading: Reading) -> None:
        whole = reading.format in WHOLE and not asked.text
        self.asked = asked._replace(text=(reading.document,)) if whole else asked
        self.reading = reading
        self.table = not self.asked.text or bool(asked.columns or asked.numeric)
        self.columns: dict[str, Column] = {}
        self.labels = Labels(asked.label)
        self.n = 0

    @property
    def wanted(self) -> frozenset[str] | None:
        """The columns to read; None for all."""
        named = (*self.asked.text, self.asked.label)
        by_position = any(name.isdecimal() for name in named)
        return None if self.table or by_position else frozenset(named)

    def documents(self, source: str) -> Iterator[list[str]]:
        for batch in batches(source, self.reading, self.wanted):
            if not self.n:
                self._settle(batch)
            self.labels.add(batch, unlabelled=False)
            if self.table:
                self._add(batch)
            self.n += len(batch.lines)
            yield texts(batch, self.asked.text) if self.asked.text else []

    def _settle(self, batch: Batch) -> None:
        """Columns by name from here on; those named wrongly are refused before the work."""
        names, asked = batch.names, self.asked

        def of(what: str, some: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(resolved(name, what, names, batch.source) for name in some)

        label = of("the label", (asked.label,))[0]
        self.asked = asked = asked._replace(
            text=of("the text", asked.text),
            label=label,
            columns=of("the table", asked.columns),
            numeric=None if asked.numeric is None else of("the numbers", asked.numeric),
            drop=of("what is dropped", asked.drop),
        )
        self.labels = Labels(label)
        known = () if self.reading.header else tuple(batch.columns)
        self.reading = self.reading._replace(names=known, label=label)

    def _add(self, batch: Batch) -> None:
        asked = self.asked
        apart = {*asked.text, asked.label, *asked.drop}
        some = asked.columns or (asked.numeric or () if asked.text else ())
        for name in some or batch.columns:
            if name in self.columns or name in apart:
                continue
            kind = kind_of(batch, name)
            if asked.numeric is not None:
                kind = NumberColumn if name in asked.numeric else CategoryColumn
            if kind is not None:
                self.columns[name] = _begun(kind, name, self.n)
        for column in self.columns.values():
            column.add(batch)


def _begun(kind: type[Column], name: str, n: int) -> Column:
    """A column whose first n records are missing."""
    column = kind(name)
    if isinstance(column, NumberColumn):
        column.parts.append(np.full(n, np.nan))
    else:
        column.parts.append(np.full(n, -1, np.int32))
    return column


def fit(source: str, asked: Asked, *, workers: int, share: float | None, seed: int) -> Fitted:
    """Read, split where a share is set aside for a test, fit the features on the rest."""
    choose("categorical", asked.categorical, {"one-hot": None, "hash": None})
    gathering = Gathering(asked, reading_for(source, asked))
    workers = workers if gathering.asked.text else 1
    pieces = list(in_order(partial(count, asked.rule), gathering.documents(source), workers))
    codes, names = gathering.labels.classes()
    train, test = (None, None) if share is None else split(codes, share, seed, source)
    features, X = _features(gathering, pieces, train, source)

    def dataset(X: Any, some: NDArray[np.int64] | None) -> Dataset:
        kept = codes if some is None else codes[some]
        return Dataset(sparse(X), kept, names, source, False, features)

    if test is None:
        return Fitted(dataset(X, None), None, features)
    parts = []
    if features.text is not None:
        parts.append(features.text.transform(pieces)[test])
    if features.table is not None:
        parts.append(features.table.transform(gathering.columns, test))
    return Fitted(dataset(X, train), dataset(_side_by_side(parts), test), features)


def _features(
    gathering: Gathering,
    pieces: list[Counted],
    train: NDArray[np.int64] | None,
    source: str,
) -> tuple[Features, Any]:
    """(features of the rows for training, these rows)."""
    asked, parts = gathering.asked, []
    text, table = None, None
    if asked.text:
        text, X = fit_text(
            asked.text, asked.rule, asked.weighing, asked.limits, pieces, train, source
        )
        parts.append(X)
    if gathering.table:
        table = _table(gathering, train, source)
        take = slice(None) if train is None else train
        parts.append(table.transform(gathering.columns, take))
    return Features(text, table, gathering.reading), _side_by_side(parts)


def _table(gathering: Gathering, train: Any, source: str) -> TableFeatures:
    if not gathering.columns:
        raise InputError(
            f"{source}: found no column with a value beside the label "
            f"{gathering.asked.label!r}; accepted: columns of numbers or categories; name the "
            "text with --text, or keep a column."
        )
    asked = gathering.asked
    n_hashed = (asked.rule.n_hashed or HASHED) if asked.categorical == "hash" else 0
    return fit_table(gathering.columns, slice(None) if train is None else train, n_hashed)


def _side_by_side(parts: list[Any]) -> Any:
    from scipy.sparse import hstack

    return parts[0] if len(parts) == 1 else hstack(parts, format="csr")
