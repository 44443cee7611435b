"""Documents to counts of words or n-grams: scikit-learn's vectorisers, a piece at a time.

A piece is counted with a vocabulary of its own, so pieces can be counted by any process in any
order; `Vocabulary` joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WORD = r"(?u)\b\w\w+\b"  # two or more letters, digits or _, which is scikit-learn's rule
ANALYZERS = ("word", "char", "char_wb")


class WordRule(NamedTuple):
    """How a document becomes terms; names and defaults are scikit-learn's."""

    analyzer: str = "word"  # word; char: n-grams of characters; char_wb: the same inside words
    token_pattern: str = WORD
    ngram_range: tuple[int, int] = (1, 1)
    stop_words: tuple[str, ...] = ()
    lowercase: bool = True
    strip_accents: str | None = None
    binary: bool = False  # whether a term counts once a document
    n_hashed: int = 0  # columns that terms are hashed into; 0: a vocabulary
    alternate_sign: bool = False  # of hashed terms


class Counted(NamedTuple):
    """Counts of a piece of documents, as parts of a CSR matrix."""

    terms: list[str]  # of its columns; empty where they are hashed
    counts: NDArray[np.float64]
    columns: NDArray[Any]
    indptr: NDArray[np.int64]


def count(rule: WordRule, documents: Sequence[str]) -> Counted:
    """The terms of each document and how often it has each."""
    vectorizer = vectorizer_of(rule)
    terms: list[str] = []
    if rule.n_hashed:
        X = vectorizer.transform(documents)
    else:
        try:
            X = vectorizer.fit_transform(documents)
        except ValueError as error:
            if "empty vocabulary" not in str(error):
                raise
            nothing = np.zeros(len(documents) + 1, np.int64)
            return Counted([], np.zeros(0), np.zeros(0, np.int32), nothing)
        terms = vectorizer.get_feature_names_out().tolist()
    return Counted(terms, X.data, X.indices, X.indptr.astype(np.int64))


def vectorizer_of(rule: WordRule) -> Any:
    """scikit-learn's vectoriser that counts by the rule."""
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    options = rule._asdict()
    n_hashed, sign = options.pop("n_hashed"), options.pop("alternate_sign")
    options |= {"dtype": np.float64, "stop_words": list(rule.stop_words) or None}
    if n_hashed:
        return HashingVectorizer(**options, n_features=n_hashed, norm=None, alternate_sign=sign)
    return CountVectorizer(**options)


def terms_of(rule: WordRule, document: str) -> list[str]:
    """The terms of one document, in order, as often as they come."""
    terms: list[str] = vectorizer_of(rule).build_analyzer()(document)
    return terms


def hashed(rule: WordRule, terms: Sequence[str]) -> NDArray[Any]:
    """The column of each term of a rule that hashes."""
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(rule.n_hashed, input_type="string", alternate_sign=False)
    columns: NDArray[Any] = hasher.transform([[term] for term in terms]).indices
    return columns


def english() -> tuple[str, ...]:
    """scikit-learn's list of English stop words, sorted."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return tuple(sorted(ENGLISH_STOP_WORDS))


def stop_words(words: Iterable[str], rule: WordRule) -> tuple[str, ...]:
    """A list of stop words as the rule spells its tokens: "Don't" stands for "don"."""
    from sklearn.feature_extraction.text import CountVectorizer

    single = rule._replace(ngram_range=(1, 1), stop_words=(), n_hashed=0)
    vectorizer: CountVectorizer = vectorizer_of(single)
    analyze = vectorizer.build_analyzer()
    return tuple(sorted({token for word in words for token in analyze(word)}))
