"""The topic model that synthetic documents are drawn from: Zipf words, topics in branches.

    word frequencies   p_r ∝ (r + 3)^−0.45 (r + 1000)^−1.5, ranks dealt to columns at random
    topic t            p_{w|t} ∝ p_w exp(σ g_{w,t}), g normal; the likeliest words only
    its branch         g_{·,t} = √ρ h_branch + √(1 − ρ) e_t: topics of one branch share words
    its class          +1 in the first branch, −1 in the others; its share ∝ 1 / (t + 5)

The two regimes of the word frequencies are those of real collections (Ferrer i Cancho and
Solé, 2001); the constants follow the document frequencies of RCV1. Words are drawn with alias
tables (Walker, 1977), in the construction of Vose (1991).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array

BRANCHES = 4  # as CCAT, the positive one, and ECAT, GCAT, MCAT


class Shape(NamedTuple):
    """What the corpus looks like; `topical` and `vague` are calibrated, see `synthetic`."""

    topical: float = 0.54  # mean share of a document's words that its topics draw
    vague: float = 0.0234  # share of documents without a topical word: their class is a guess
    positive: float = 0.47  # share of the positive class
    topics: int = 103
    tilt: float = 4.0  # σ: how far a topic's word frequencies lie from the corpus's
    kinship: float = 0.3  # ρ: correlation of the tilts of two topics of one branch
    topic_words: int = 4096
    mixed: float = 0.3  # share of documents with a second topic
    repeat: float = 0.25  # chance that a word repeats an earlier one of its document
    log_length: float = 4.774  # mean and deviation of the logarithm of the length
    log_length_spread: float = 0.75


SHAPE = Shape()


class Model(NamedTuple):
    """What documents are drawn from. Alias tables: slot k keeps k below its threshold."""

    word_threshold: Array  # (d,) uint32
    word_alias: Array  # (d,) uint32
    topic_threshold: Array  # (topics, words) uint32
    topic_pair: Array  # (topics, words, 2) uint32: the column of the slot, and of its alias
    topic_cumulative: Array  # (topics,) float64
    topic_code: Array  # (topics,) int32
    chances: Array  # (4,) float64: topical, vague, mixed, repeat
    log_length: Array  # (2,) float64: mean, deviation


def make_model(n_features: int, shape: Shape, rng: np.random.Generator) -> Model:
    """The model over `n_features` columns, the same whenever `rng` is."""
    rank = rng.permutation(n_features) + 1.0
    p = (rank + 3.0) ** -0.45 * (rank + 1000.0) ** -1.5
    share = 1.0 / (np.arange(shape.topics) + 5.0)
    share /= share.sum()
    codes = _topic_codes(share, shape.positive)
    tables = [_topic_table(q, shape.topic_words) for q in _topic_words(p, codes, shape, rng)]
    return Model(
        *alias_table(p),
        np.stack([threshold for threshold, _ in tables]),
        np.stack([pair for _, pair in tables]),
        np.cumsum(share),
        codes,
        np.array([shape.topical, shape.vague, shape.mixed, shape.repeat]),
        np.array([shape.log_length, shape.log_length_spread]),
    )


def _topic_words(p: Array, codes: Array, shape: Shape, rng: np.random.Generator) -> Iterator[Array]:
    """For each topic, numbers proportional to its word frequencies."""
    branches = rng.standard_normal((BRANCHES, p.size))
    for t in range(shape.topics):
        g = math.sqrt(shape.kinship) * branches[0 if codes[t] else 1 + t % (BRANCHES - 1)]
        g += math.sqrt(1.0 - shape.kinship) * rng.standard_normal(p.size)
        yield p * np.exp(shape.tilt * g)


def _topic_table(q: Array, n_words: int) -> tuple[Array, Array]:
    """The alias table over the `n_words` likeliest columns: thresholds, pairs of columns."""
    n_words = min(n_words, q.size)
    columns = np.sort(np.argpartition(q, -n_words)[-n_words:]).astype(np.uint32)
    threshold, alias = alias_table(q[columns])
    return threshold, np.stack([columns, columns[alias]], axis=1)


def _topic_codes(share: Array, positive: float) -> Array:
    """Classes dealt to the topics so that every head of the list has the balance, nearly."""
    codes, mass = np.zeros(share.size, np.int32), 0.0
    for t in range(share.size):
        codes[t] = mass + 0.5 * share[t] < positive * share[: t + 1].sum()
        mass += codes[t] * share[t]
    return codes


@kernel
def _fill_alias(scaled: Array, threshold: Array, alias: Array) -> None:
    """Walker's alias method in Vose's form (1991); `scaled` has mean 1 and is used up."""
    n = scaled.size
    small, large, m, l = np.empty(n, np.int64), np.empty(n, np.int64), 0, 0
    for k in range(n):
        if scaled[k] < 1.0:
            small[m] = k
            m += 1
        else:
            large[l] = k
            l += 1
    while m > 0 and l > 0:
        m -= 1
        k, j = small[m], large[l - 1]
        threshold[k] = np.uint32(min(scaled[k] * 4294967296.0, 4294967295.0))
        alias[k] = j
        scaled[j] -= 1.0 - scaled[k]
        if scaled[j] < 1.0:
            l -= 1
            small[m] = j
            m += 1


def alias_table(p: Array) -> tuple[Array, Array]:
    """(threshold, alias): slot k of n, uniform, means k below threshold/2³², else alias[k]."""
    threshold = np.full(p.size, 2**32 - 1, np.uint32)
    alias = np.arange(p.size, dtype=np.uint32)
    _fill_alias(p * (p.size / p.sum()), threshold, alias)
    return threshold, alias
