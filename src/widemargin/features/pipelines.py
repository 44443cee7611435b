"""Fitted scikit-learn pipelines of words and a linear classifier, as features of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from widemargin.data.records import Reading
from widemargin.features.fitted import Features
from widemargin.features.text import TextFeatures, Weighing
from widemargin.features.words import ANALYZERS, WordRule

TAKEN = (
    "CountVectorizer, HashingVectorizer (each with or without TfidfTransformer), TfidfVectorizer"
)
RAW = Weighing(use_idf=False, norm=None)  # counts as they are


def features_of(steps: Sequence[Any]) -> Features:
    """The features that the fitted steps before a classifier make."""
    names = [type(step).__name__ for step in steps]
    match names:
        case ["CountVectorizer"] | ["HashingVectorizer"] | ["TfidfVectorizer"]:
            weigher = steps[0] if names[0] == "TfidfVectorizer" else None
        case ["CountVectorizer" | "HashingVectorizer", "TfidfTransformer"]:
            weigher = steps[1]
        case _:
            raise ValueError(
                f"the pipeline's steps {', '.join(names)} cannot be saved: a model file holds no "
                f"code. Accepted before the classifier: {TAKEN}. Save the classifier alone, "
                "pipeline[-1], and keep the steps yourself."
            )
    vectorizer = steps[0]
    rule = _rule(vectorizer)
    if names[0] == "HashingVectorizer" and vectorizer.norm is not None and weigher is not None:
        raise ValueError(
            f"HashingVectorizer(norm={vectorizer.norm!r}) before TfidfTransformer cannot be saved: "
            "norms are taken once, at the end. Use norm=None there."
        )
    weighing = RAW if weigher is None else _weighing(weigher)
    if names == ["HashingVectorizer"]:
        weighing = RAW._replace(norm=vectorizer.norm)
    idf = np.array(weigher.idf_, np.float64) if weigher and weighing.use_idf else None
    terms = () if rule.n_hashed else tuple(vectorizer.get_feature_names_out().tolist())
    return Features(TextFeatures(("text",), rule, weighing, terms, idf), None, Reading("jsonl"))


def _weighing(weigher: Any) -> Weighing:
    return Weighing(**{name: getattr(weigher, name) for name in Weighing._fields})


def _rule(vectorizer: Any) -> WordRule:
    """The options of a vectoriser; those that are code are refused."""
    said = vectorizer.get_params()
    code = [name for name in ("preprocessor", "tokenizer") if said[name] is not None]
    code += ["analyzer"] if said["analyzer"] not in ANALYZERS else []
    code += ["strip_accents"] if callable(said["strip_accents"]) else []
    if code or said["input"] != "content":
        found = ", ".join(f"{name}={said[name]!r}" for name in code or ["input"])
        raise ValueError(
            f"{type(vectorizer).__name__}({found}) cannot be saved: a model file holds no code. "
            "Use token_pattern, analyzer='word', 'char' or 'char_wb', and input='content'."
        )
    hashed = type(vectorizer).__name__ == "HashingVectorizer"
    return WordRule(
        analyzer=said["analyzer"],
        token_pattern=said["token_pattern"],
        ngram_range=tuple(said["ngram_range"]),
        stop_words=tuple(sorted(vectorizer.get_stop_words() or ())),
        lowercase=said["lowercase"],
        strip_accents=said["strip_accents"],
        binary=said["binary"],
        n_hashed=said["n_features"] if hashed else 0,
        alternate_sign=said["alternate_sign"] if hashed else False,
    )
