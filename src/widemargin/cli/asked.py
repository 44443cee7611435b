"""What the options for text and tables say, read and checked before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from widemargin.errors import InputError, choose
from widemargin.features.asked import Asked
from widemargin.features.text import Weighing
from widemargin.features.vocabulary import Limits
from widemargin.features.words import ANALYZERS, WORD, WordRule, english, stop_words

NORMS = {"l2": "l2", "l1": "l1", "none": None}


def asked_of(said: Mapping[str, Any]) -> Asked:
    """The options by name, each absent where it keeps its default."""
    choose("--categorical", said.get("categorical", "one-hot"), {"one-hot": None, "hash": None})
    if "max_features" in said and "hash" in said:
        raise ValueError("--max-features chooses from a vocabulary, and --hash has none. Give one.")
    numeric = said.get("numeric")
    return Asked(
        text=_list(said.get("text")),
        label=said.get("label", "label"),
        columns=_list(said.get("columns")),
        numeric=None if numeric is None else _list(numeric),
        drop=_list(said.get("drop")),
        categorical=said.get("categorical", "one-hot"),
        rule=_rule(said),
        weighing=Weighing(
            sublinear_tf=said.get("sublinear", False),
            use_idf=said.get("idf", True),
            norm=choose("--norm", said.get("norm", "l2"), NORMS),
        ),
        limits=Limits(
            _frequency("--min-df", said.get("min_df", "1")),
            _frequency("--max-df", said.get("max_df", "1.0")),
            said.get("max_features"),
        ),
        format=said.get("format", "auto"),
        header=said.get("header"),
        encoding=said.get("encoding", "utf-8"),
    )


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _rule(said: Mapping[str, Any]) -> WordRule:
    analyzer = said.get("analyzer", "word")
    choose("--analyzer", analyzer, dict.fromkeys(ANALYZERS))
    if analyzer != "word" and {"tokens", "stop_words"} & said.keys():
        raise ValueError(
            f"--tokens and --stop-words are about words, and --analyzer is {analyzer!r}. Leave "
            "them out, or choose --analyzer word."
        )
    rule = WordRule(
        analyzer=analyzer,
        token_pattern=_pattern(said.get("tokens", WORD)),
        ngram_range=_ngrams(said.get("ngrams", "1:1")),
        lowercase=said.get("lowercase", True),
        n_hashed=1 << said["hash"] if "hash" in said else 0,
    )
    return rule._replace(stop_words=_stop_words(said.get("stop_words", "none"), rule))


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"--tokens {text!r} is no regular expression: {error}. Mend it.") from None
    if groups > 1:
        raise ValueError(
            f"--tokens {text!r} has {groups} groups. A word is the whole match or the one group "
            "in it: write (?:...) for the others."
        )
    return text


def _ngrams(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?::(\d+))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high:
        raise ValueError(f"--ngrams {text!r} must be A:B with 1 <= A <= B, such as 1:2.")
    return low, high


def _frequency(name: str, text: str) -> int | float:
    """A number of documents, or a share of them if it is spelt with a point."""
    try:
        value: int | float = float(text) if "." in text else int(text)
    except ValueError:
        value = -1
    if value < 0 or (isinstance(value, float) and value > 1.0):
        raise ValueError(
            f"{name} {text!r} must be a whole number of documents, or a share from 0.0 to 1.0."
        )
    return value


def _stop_words(name: str, rule: WordRule) -> tuple[str, ...]:
    if name == "none":
        return ()
    if name == "english":
        return english()
    try:
        with open(name, encoding="utf-8") as file:
            return stop_words(file.read().split(), rule)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{name}: cannot be read as stop words ({error}); accepted: english, none, or a file "
            "of words in UTF-8; check --stop-words."
        ) from None
