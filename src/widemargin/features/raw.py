"""Raw documents and records as Python has them, to rows: for `Model.predict` and `explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from widemargin.data.records import Batch, by_column
from widemargin.features.fitted import Features, matrix, sparse, texts
from widemargin.features.words import WordRule, count

ACCEPTED = (
    "Give a list of documents (strings) for a model of text alone, a list of records (dicts) or a "
    "data frame for one of tables, or rows as `widemargin.open` makes them."
)


def in_rows(features: Features, X: Any) -> Any:
    """The rows of raw documents or records; anything else, such as a matrix, as it is."""
    batch = as_batch(features, X)
    return X if batch is None else sparse(batch_matrix(features, batch))


def batch_matrix(features: Features, batch: Batch) -> Any:
    """(n, n_features) CSR float64."""
    text = features.text
    documents = texts(batch, text.columns) if text is not None else []
    return matrix(features, batch, count(text.rule if text else WordRule(), documents))


def as_batch(features: Features, X: Any) -> Batch | None:
    """Documents or records by column; None for what is neither."""
    if isinstance(X, Batch):
        return X
    if isinstance(X, str):
        raise ValueError(f"X is one string. {ACCEPTED}")
    values = X if isinstance(X, list | tuple) else _from_array(X)
    if isinstance(values, Mapping):
        n = len(next(iter(values.values()), ()))
        return Batch(dict(values), range(1, n + 1), "X", ": record ")
    if values is None or not values:
        return None
    if all(isinstance(value, str) for value in values):
        return _of_documents(features, values)
    if all(isinstance(value, Mapping) for value in values):
        return by_column(values, features.columns, range(1, len(values) + 1), "X", ": record ")
    if any(isinstance(value, str | Mapping) for value in values):
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(f"X mixes {', '.join(kinds)}. {ACCEPTED}")
    return None


def _of_documents(features: Features, documents: Sequence[str]) -> Batch:
    if features.text is None or features.table is not None:
        names = ", ".join(map(repr, sorted(features.columns)))
        raise ValueError(f"X holds strings, but the model takes the columns {names}. {ACCEPTED}")
    first, *rest = features.text.columns
    columns = {first: documents} | {name: [""] * len(documents) for name in rest}
    return Batch(columns, range(1, len(documents) + 1), "X", ": document ")


def _from_array(X: Any) -> Any:
    """A list from a vector of strings or a series, columns from a data frame, else None."""
    columns = getattr(X, "columns", None)
    if columns is not None and getattr(X, "to_numpy", None) is not None:
        return {str(name): list(X[name]) for name in columns}
    values = np.asarray(X) if getattr(X, "ndim", None) == 1 else None
    return values.tolist() if values is not None and values.dtype.kind in "OU" else None
