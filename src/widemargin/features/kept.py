"""Fitted features as JSON and tensors, and back: what a model file holds of them.

terms   one text in UTF-8, and where each term ends in it     U8, I64
idf, mean, centre, scale                                      F64
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.data.records import READERS, Reading
from widemargin.features.fitted import Features
from widemargin.features.table import TableFeatures
from widemargin.features.text import TextFeatures, Weighing
from widemargin.features.words import ANALYZERS, WordRule

Tensors = Mapping[str, NDArray[Any]]
UTF8 = ("utf-8", "surrogatepass")  # JSON may spell half a pair, and char n-grams keep it


def to_kept(features: Features) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(what JSON holds, tensors by name)."""
    facts: dict[str, Any] = {"reading": features.reading._asdict()}
    tensors: dict[str, NDArray[Any]] = {}
    text, table = features.text, features.table
    if text is not None:
        facts["text"] = {
            "columns": text.columns,
            "rule": text.rule._asdict(),
            "weighing": text.weighing._asdict(),
        }
        tensors |= _terms(text.terms)
        if text.idf is not None:
            tensors["text.idf"] = np.ascontiguousarray(text.idf, np.float64)
    if table is not None:
        facts["table"] = {name: getattr(table, name) for name in ("numbers", "gaps", "categories")}
        facts["table"]["n_hashed"] = table.n_hashed
        tensors |= {f"table.{name}": getattr(table, name) for name in ("mean", "centre", "scale")}
    return facts, tensors


def _terms(terms: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    raw = [term.encode(*UTF8) for term in terms]
    return {
        "text.terms": np.frombuffer(b"".join(raw), np.uint8),
        "text.ends": np.cumsum([0, *map(len, raw)], dtype=np.int64)[1:],
    }


def from_kept(facts: Mapping[str, Any], tensors: Tensors) -> Features:
    """The features; a ValueError, KeyError or TypeError where these do not describe any."""
    reading = Reading(**facts["reading"])
    if reading.format not in READERS:
        raise ValueError(f"format {reading.format!r}")
    text, table = facts.get("text"), facts.get("table")
    if text is None and table is None:
        raise ValueError("features of nothing")
    return Features(
        None if text is None else _text(text, tensors),
        None if table is None else _table(table, tensors),
        reading._replace(names=_names(reading.names)),
    )


def _text(facts: Mapping[str, Any], tensors: Tensors) -> TextFeatures:
    rule, weighing = WordRule(**facts["rule"]), Weighing(**facts["weighing"])
    low, high = rule.ngram_range
    rule = rule._replace(ngram_range=(low, high), stop_words=_names(rule.stop_words))
    try:
        re.compile(rule.token_pattern)
    except re.error as error:
        raise ValueError(f"token_pattern {rule.token_pattern!r} ({error})") from None
    raw, ends = tensors["text.terms"].tobytes(), tensors["text.ends"]
    starts = np.append(0, ends)[:-1]
    if rule.analyzer not in ANALYZERS or not 1 <= low <= high or type(rule.n_hashed) is not int:
        raise ValueError(f"analyzer {rule.analyzer!r}, n-grams {low}:{high}")
    if (ends < starts).any() or (ends[-1] if len(ends) else 0) != len(raw):
        raise ValueError("terms that do not fill their text")
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    terms = tuple(raw[start:end].decode(*UTF8) for start, end in spans)
    idf = tensors["text.idf"] if weighing.use_idf else None
    found = TextFeatures(_names(facts["columns"]), rule, weighing, terms, idf)
    if len(found.place) != len(terms) or bool(terms) == bool(rule.n_hashed):
        raise ValueError("terms that are not distinct, or none")
    _check_vectors({"idf": idf} if idf is not None else {}, found.n_features)
    return found


def _table(facts: Mapping[str, Any], tensors: Tensors) -> TableFeatures:
    vectors = {name: tensors[f"table.{name}"] for name in ("mean", "centre", "scale")}
    categories = tuple((str(name), _names(values)) for name, values in facts["categories"])
    numbers, gaps = _names(facts["numbers"]), _names(facts["gaps"])
    _check_vectors(vectors, len(numbers))
    if not (vectors["scale"] > 0.0).all() or not set(gaps) <= set(numbers):
        raise ValueError("scales that are not positive, or gaps in no column")
    n_hashed = facts["n_hashed"]
    if type(n_hashed) is not int or n_hashed < 0:
        raise ValueError(f"n_hashed {n_hashed!r}")
    return TableFeatures(numbers, **vectors, gaps=gaps, categories=categories, n_hashed=n_hashed)


def _names(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"names {values!r}")
    return tuple(values)


def _check_vectors(vectors: Tensors, n: int) -> None:
    for name, vector in vectors.items():
        if vector.shape != (n,) or vector.dtype != np.float64 or not np.isfinite(vector).all():
            raise ValueError(f"{name} of shape {vector.shape} for {n} columns")
