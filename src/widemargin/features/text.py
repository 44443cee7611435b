"""Text features: terms counted, weighed by tf-idf, rows of unit norm.

    x_j = tf_j · idf_j / ‖·‖₂,    idf_j = log((1 + n) / (1 + df_j)) + 1

tf is the count, or 1 + log(count) where `sublinear_tf` is set. The formulas and their order are
those of scikit-learn's TfidfTransformer, which computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.features.vocabulary import Limits, joined, limited, looked_up, matrix, no_words
from widemargin.features.words import Counted, WordRule


class Weighing(NamedTuple):
    """What follows the counts; names and defaults are scikit-learn's."""

    sublinear_tf: bool = False
    use_idf: bool = True
    smooth_idf: bool = True
    norm: str | None = "l2"


@dataclass(frozen=True)
class TextFeatures:
    """Fitted: what turns documents into rows of `n_features` columns."""

    columns: tuple[str, ...]  # of the records; joined by newlines where there are several
    rule: WordRule
    weighing: Weighing
    terms: tuple[str, ...]  # sorted; empty where they are hashed
    idf: NDArray[np.float64] | None  # (n_features,)

    @property
    def n_features(self) -> int:
        return self.rule.n_hashed or len(self.terms)

    @cached_property
    def place(self) -> dict[str, int]:
        """term → column."""
        return {term: column for column, term in enumerate(self.terms)}

    def transform(self, pieces: Sequence[Counted]) -> Any:
        """(n, n_features) CSR float64 of counted documents."""
        if self.rule.n_hashed:
            X = _hashed_matrix(pieces, self.rule.n_hashed)
        else:
            X = looked_up(pieces, self.place)
        return weighed(X, self.weighing, self.idf)


def fit_text(
    columns: tuple[str, ...],
    rule: WordRule,
    weighing: Weighing,
    limits: Limits,
    pieces: Sequence[Counted],
    train: NDArray[np.int64] | None,
    source: str,
) -> tuple[TextFeatures, Any]:
    """(features fitted on the documents `train`, or on all; rows of these)."""
    terms: list[str] = []
    if rule.n_hashed:
        X = _hashed_matrix(pieces, rule.n_hashed)
        X = X if train is None else X[train]
        if not X.nnz:
            raise no_words(X.shape[0], source)
    else:
        terms, X = joined(pieces)
        terms, X = limited(terms, X if train is None else X[train], limits, source)
    idf = _idf(X, weighing) if weighing.use_idf else None
    return TextFeatures(columns, rule, weighing, tuple(terms), idf), weighed(X, weighing, idf)


def _hashed_matrix(pieces: Sequence[Counted], width: int) -> Any:
    X = matrix(pieces, [piece.columns for piece in pieces], width)
    X.sort_indices()
    return X


def _transformer(weighing: Weighing) -> Any:
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(**weighing._asdict())


def _idf(X: Any, weighing: Weighing) -> NDArray[np.float64]:
    idf: NDArray[np.float64] = _transformer(weighing).fit(X).idf_
    return idf


def weighed(X: Any, weighing: Weighing, idf: NDArray[np.float64] | None) -> Any:
    """Counts to weights, by a TfidfTransformer that knows the idf already."""
    transformer = _transformer(weighing._replace(use_idf=idf is not None))
    if idf is not None:
        transformer.idf_ = idf
    elif X.shape[0]:
        transformer.fit(X)  # learns nothing
    return transformer.transform(X, copy=False) if X.shape[0] else X
