"""A corpus with the shape of RCV1, made from a seed: topics, tf-idf, unit norm.

    a document   length log-normal; a topic z, and in some documents a second one; a share of
                 its words comes from the topics, the rest from the whole; words recur
    its class    that of topic z; some documents are vague: no topical word, so one can but guess
    its row      x_w ∝ (1 + log tf_w) log(1 + n / df_w),  ‖x‖₂ = 1,  n and df of the training rows

The topics (`topic_model`) are always the same; the seed draws the documents, each from its own
generator (splitmix64: Steele, Lea and Flood, 2014) started at (seed, split, number of the
document), so that the corpus does not depend on the number of threads.

The shares of topical words and of vague documents are calibrated: at full size, the hinge loss
with λ = 1e-4 and a free intercept ends where it does on RCV1 (Bottou, Stochastic gradient
descent examples, 2007): objective 0.2275, test error 6.02 %.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array, Sparse
from widemargin.data.topic_model import Model, Shape, make_model

VERSION = 1  # of the generator: raise it with any change of the numbers it draws
N_TRAIN, N_TEST, N_FEATURES = 781_265, 23_149, 47_153  # as in RCV1
CHUNK = 4096  # documents a task
LONGEST = 1024  # words in a document, repetitions included
TRAIN, TEST = 0, 1
LABELS = np.array([-1, 1])  # what the codes 0 and 1 stand for
GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio


class Split(NamedTuple):
    rows: Sparse
    codes: Array  # (n,) int32: 0 for −1, 1 for +1


class Corpus(NamedTuple):
    train: Split
    test: Split
    labels: Array  # (2,) what the codes stand for: −1, +1


class Words(NamedTuple):
    """Documents before they are weighed: distinct columns in increasing order, and counts."""

    columns: Array  # (nnz,) uint32
    counts: Array  # (nnz,) uint8
    sizes: Array  # (n,) int64: distinct words of each document
    codes: Array  # (n,) int32
    df: Array  # (d,) int32


def rcv1_like(
    n_train: int = N_TRAIN,
    n_test: int = N_TEST,
    n_features: int = N_FEATURES,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Corpus:
    """The corpus of this seed, drawn on `n_jobs` threads (None: one for each core).

    >>> corpus = rcv1_like(1000, 100, 5000, seed=1)
    >>> corpus.train.rows.indptr.shape, corpus.test.codes.shape
    ((1001,), (100,))
    """
    check_sizes(n_train=n_train, n_test=n_test, n_features=n_features)
    model = make_model(n_features, Shape(), np.random.default_rng(VERSION))
    with ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
        train = _draw_split(pool, model, n_train, _key(seed, TRAIN))
        df = np.sum([words.df for words in train], axis=0)
        idf = np.log1p(n_train / np.maximum(df, 1))
        test = _draw_split(pool, model, n_test, _key(seed, TEST))
        splits = _weigh_split(pool, train, idf), _weigh_split(pool, test, idf)
    return Corpus(*splits, LABELS)


def check_sizes(**sizes: int) -> None:
    """Refuse a corpus without rows or columns."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}: the corpus would be empty.")


def _key(seed: int, split: int) -> Any:
    """Where the streams of this split's documents start: 64 random bits."""
    return np.random.SeedSequence([seed, split, VERSION]).generate_state(1, np.uint64)[0]


# -- drawing -----------------------------------------------------------------------------------


@kernel
def mix(z: Any) -> Any:
    """The finaliser of splitmix64: the z-th element of a stream of 64-bit random numbers."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def unit(r: Any) -> float:
    """A 64-bit random number as a float in [0, 1)."""
    return np.float64(r >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def pick(r: Any, n: int) -> int:
    """A slot 0..n−1 from the upper half of a 64-bit random number."""
    return int(((r >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@kernel
def _length(model: Model, z: Any) -> int:
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(mix(z))))
    normal = radius * math.cos(2.0 * math.pi * unit(mix(z + GAMMA)))
    length = math.exp(model.log_length[0] + model.log_length[1] * normal)
    return int(min(max(length, 4.0), float(LONGEST)))


@kernel
def _draw_words(model: Model, z: Any, topics: Any, share: float, words: Array) -> None:
    """Fill `words` with columns; `share` is P(topical), topics = (z₁, z₂, weight of z₁)."""
    first, second, weight = topics
    repeat = model.chances[3]
    for k in range(words.size):
        z += GAMMA
        u = unit(mix(z))
        z += GAMMA
        r = mix(z)
        low = np.uint32(r & np.uint64(0xFFFFFFFF))
        if u < repeat and k > 0:
            words[k] = words[pick(r, k)]
            continue
        u = (u - repeat) / (1.0 - repeat)
        if 0.0 <= u < share:
            t = first if u < share * weight else second
            slot = pick(r, model.topic_threshold.shape[1])
            words[k] = model.topic_pair[t, slot, np.int64(low >= model.topic_threshold[t, slot])]
        else:
            slot = pick(r, model.word_threshold.size)
            words[k] = slot if low < model.word_threshold[slot] else model.word_alias[slot]


@kernel
def _draw_document(model: Model, z: Any, words: Array) -> tuple[int, int]:
    """(length, code) of the document with stream z; its words go to the head of `words`."""
    topical, vague, mixed = model.chances[0], model.chances[1], model.chances[2]
    length = _length(model, z)
    z += np.uint64(2) * GAMMA
    first = np.searchsorted(model.topic_cumulative, unit(mix(z)))
    second = np.searchsorted(model.topic_cumulative, unit(mix(z + GAMMA)))
    z += np.uint64(2) * GAMMA
    u = unit(mix(z))
    weight = 1.0 - 0.5 * u / mixed if u < mixed else 1.0
    share = min(2.0 * topical * unit(mix(z + GAMMA)), 1.0)
    z += np.uint64(2) * GAMMA
    if unit(mix(z)) < vague:
        share = 0.0
    _draw_words(model, z, (first, second, weight), share, words[:length])
    return length, model.topic_code[first]


@kernel
def _distinct(words: Array, seen: Array, columns: Array) -> int:
    """Sort the distinct ones of `words` into `columns`; seen[c] counts c. Returns how many."""
    n = 0
    for word in words:
        seen[word] += 1
        if seen[word] > 1:
            continue
        k = n
        while k > 0 and columns[k - 1] > word:
            columns[k] = columns[k - 1]
            k -= 1
        columns[k] = word
        n += 1
    return n


@kernel
def _draw_chunk(model: Model, key: Any, start: int, into: Words) -> int:
    """Draw documents start.. of the stream `key`; returns the number of nonzeros."""
    words, seen = np.empty(LONGEST, np.uint32), np.zeros(into.df.size, np.uint16)
    a = 0
    for i in range(into.sizes.size):
        z = mix(key + GAMMA * np.uint64(start + i))
        length, into.codes[i] = _draw_document(model, z, words)
        n = _distinct(words[:length], seen, into.columns[a:])
        for k in range(a, a + n):
            c = into.columns[k]
            into.counts[k] = min(seen[c], 255)
            into.df[c] += 1
            seen[c] = 0
        into.sizes[i] = n
        a += n
    return a


def _draw(model: Model, n: int, key: Any, start: int) -> Words:
    room, d = n * LONGEST, model.word_alias.size  # untouched pages cost nothing
    into = Words(
        np.empty(room, np.uint32),
        np.empty(room, np.uint8),
        np.empty(n, np.int64),
        np.empty(n, np.int32),
        np.zeros(d, np.int32),
    )
    nnz = _draw_chunk(model, key, start, into)
    return into._replace(columns=into.columns[:nnz].copy(), counts=into.counts[:nnz].copy())


def _draw_split(pool: ThreadPoolExecutor, model: Model, n: int, key: Any) -> list[Words]:
    starts = range(0, n, CHUNK)
    return list(pool.map(lambda a: _draw(model, min(CHUNK, n - a), key, a), starts))


# -- weighing ----------------------------------------------------------------------------------


@kernel
def _weigh_chunk(words: Words, idf: Array, log_tf: Array, values: Array, indices: Array) -> None:
    """x_w = (1 + log tf_w) idf_w, divided by ‖x‖₂, for the rows of one chunk."""
    a = 0
    for size in words.sizes:
        squares = 0.0
        for k in range(a, a + size):
            x = log_tf[words.counts[k]] * idf[words.columns[k]]
            squares += x * x
        scale = 1.0 / math.sqrt(squares)
        for k in range(a, a + size):
            values[k] = scale * log_tf[words.counts[k]] * idf[words.columns[k]]
            indices[k] = words.columns[k]
        a += size


def _weigh_split(pool: ThreadPoolExecutor, chunks: list[Words], idf: Array) -> Split:
    """Weigh the chunks into one matrix, forgetting each as soon as it is done."""
    sizes = np.concatenate([words.sizes for words in chunks])
    codes = np.concatenate([words.codes for words in chunks])
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    values, indices = np.empty(indptr[-1], np.float32), np.empty(indptr[-1], np.uint32)
    log_tf = 1.0 + np.log(np.maximum(np.arange(256), 1))

    def weigh(words: Words, a: int) -> None:
        e = a + words.columns.size
        _weigh_chunk(words, idf, log_tf, values[a:e], indices[a:e])

    list(pool.map(lambda job: weigh(*job), _consume(chunks)))
    return Split(Sparse(values, indices, indptr, idf.size), codes)


def _consume(chunks: list[Words]) -> Iterator[tuple[Words, int]]:
    a = 0
    chunks.reverse()
    while chunks:
        words = chunks.pop()
        yield words, a
        a += words.columns.size
