"""Counts of pieces joined over one vocabulary; rare and common terms left out.

The matrix is the one that scikit-learn's CountVectorizer makes of all documents at once: columns
in the order of their terms, entries of a row in the order of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.errors import InputError
from widemargin.features.words import Counted


class Limits(NamedTuple):
    """Which terms stay. A float is a share of the documents, an int a number of them."""

    min_df: int | float = 1
    max_df: int | float = 1.0
    max_features: int | None = None  # the most frequent ones


def joined(pieces: Sequence[Counted]) -> tuple[list[str], Any]:
    """(terms as first met, CSR of all documents over them)."""
    place: dict[str, int] = {}
    columns = []
    for piece in pieces:
        own = [place.setdefault(term, len(place)) for term in piece.terms]
        columns.append(np.array(own, np.int64)[piece.columns])
    return list(place), matrix(pieces, columns, len(place))


def looked_up(pieces: Sequence[Counted], place: Mapping[str, int]) -> Any:
    """CSR of all documents over known terms, with sorted rows; other terms are dropped."""
    columns = [
        np.array([place.get(term, -1) for term in piece.terms], np.int64)[piece.columns]
        for piece in pieces
    ]
    return dropped(matrix(pieces, columns, len(place)))


def dropped(X: Any) -> Any:
    """The CSR matrix without the entries in column −1, rows sorted."""
    keep = X.indices >= 0
    if not keep.all():
        kept = np.concatenate([[0], np.cumsum(keep)])
        X.indptr = kept[X.indptr].astype(X.indptr.dtype)
        X.data, X.indices = X.data[keep], X.indices[keep]
    X.sort_indices()
    return X


def matrix(pieces: Sequence[Counted], columns: Sequence[NDArray[Any]], width: int) -> Any:
    """CSR of the rows of all pieces, entries as they stand."""
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(len(piece.counts) for piece in pieces)])
    indptr = [piece.indptr[1:] + end for piece, end in zip(pieces, ends[:-1], strict=True)]
    X = csr_matrix((sum(map(len, indptr)), width))
    kind = np.int32 if ends[-1] < 2**31 else np.int64
    X.data = np.concatenate([np.zeros(0), *(piece.counts for piece in pieces)])
    X.indices = np.concatenate([np.zeros(0, kind), *columns]).astype(kind, copy=False)
    X.indptr = np.concatenate([np.zeros(1, kind), *indptr]).astype(kind, copy=False)
    return X


def limited(terms: Sequence[str], X: Any, limits: Limits, source: str) -> tuple[list[str], Any]:
    """(sorted terms that stay, CSR over them) of the documents that the vocabulary is made of."""
    n = X.shape[0]
    df = np.bincount(X.indices, minlength=len(terms))
    low, high = (edge if isinstance(edge, int) else edge * n for edge in limits[:2])
    keep = (df > 0) & (df >= low) & (df <= high)
    order = np.array(sorted(range(len(terms)), key=terms.__getitem__), np.int64)
    if limits.max_features is not None and keep.sum() > limits.max_features:
        keep[order] = _most_frequent(X, order, keep[order], limits.max_features)
    if not keep.any():
        raise _nothing_left(df, limits, n, source)
    chosen = order[keep[order]]
    place = np.full(len(terms), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    X = X.copy()
    X.indices = place[X.indices].astype(X.indices.dtype)
    X.resize((n, len(chosen)))
    return [terms[j] for j in chosen], dropped(X)


def _most_frequent(X: Any, order: Any, keep: Any, most: int) -> NDArray[np.bool_]:
    """Of the kept terms in sorted order, the `most` frequent: ties fall as in scikit-learn."""
    totals = np.bincount(X.indices, X.data, minlength=X.shape[1])[order]
    best = np.flatnonzero(keep)[(-totals[keep]).argsort()[:most]]
    chosen = np.zeros(len(keep), np.bool_)
    chosen[best] = True
    return chosen


def _nothing_left(df: Any, limits: Limits, n: int, source: str) -> InputError:
    met = int((df > 0).sum())
    if not met:
        return no_words(n, source)
    return InputError(
        f"{source}: found none of {met:,} words left by min_df={limits.min_df}, "
        f"max_df={limits.max_df}: the most common one is in {int(df.max()):,} of {n:,} documents; "
        "accepted: limits that leave words; lower --min-df or raise --max-df."
    )


def no_words(n: int, source: str) -> InputError:
    return InputError(
        f"{source}: found no word in {n:,} documents; accepted: documents with words by the "
        "rule of --tokens (two or more letters or digits); name the column of the text with "
        "--text, or choose another rule."
    )
