"""What a column stands for, in the user's words."""

from __future__ import annotations

from collections.abc import Sequence

from widemargin.data.records import Batch
from widemargin.features.columns import spelt
from widemargin.features.fitted import Features, texts
from widemargin.features.table import hashed_categories
from widemargin.features.words import hashed, terms_of


def names_of(features: Features, js: Sequence[int], batch: Batch | None = None) -> list[str]:
    """Names of columns. Hashed ones are named by the words of the one record of a batch."""
    text, table = features.text, features.table
    met = {} if batch is None else _met(features, batch)
    split = text.n_features if text is not None else 0
    table_names = table.names() if table is not None else []

    def name(j: int) -> str:
        if j in met:
            return met[j]
        if j >= split:
            return table_names[j - split]
        return text.terms[j] if text is not None and text.terms else f"word #{j}"

    return [name(int(j)) for j in js]


def _met(features: Features, batch: Batch) -> dict[int, str]:
    """column → the words or categories of a record that are hashed to it."""
    found: dict[int, list[str]] = {}
    text, table = features.text, features.table
    if text is not None and text.rule.n_hashed:
        terms = list(dict.fromkeys(terms_of(text.rule, texts(batch, text.columns)[0])))
        for term, j in zip(terms, hashed(text.rule, terms) if terms else (), strict=True):
            found.setdefault(int(j), []).append(term)
    if table is not None and table.n_hashed:
        start = features.n_features - table.n_hashed
        for name, _ in table.categories:
            value = spelt(batch.columns.get(name, [None])[0]) or ""
            j = start + int(hashed_categories(name, [value], table.n_hashed)[0])
            found.setdefault(j, []).append(f"{name}={value}" if value else f"{name} is missing")
    return {j: ", ".join(words) for j, words in found.items()}
