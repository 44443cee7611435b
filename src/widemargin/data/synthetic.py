"""A corpus with the shape of RCV1, made from a seed: Zipf words, topics, tf-idf, unit norm.

    word frequencies   p_r ∝ (r + 3)^−0.45 (r + 1000)^−1.5, ranks dealt to columns at random
    topic t            p_{w|t} ∝ p_w exp(σ g_{w,t}),  g normal, the likeliest words only
    a document         length log-normal; a topic z, and in some documents a second one;
                       a share of its words comes from the topics, the rest from p; words recur
    its class          the sign of topic z, flipped in a share of the documents
    its row            x_w ∝ (1 + log tf_w) log(1 + n / df_w),  ‖x‖₂ = 1

Every document draws from its own generator (splitmix64, Steele et al. 2014), seeded by
(seed, split, document): the corpus does not depend on the number of threads. `SHAPE` is
calibrated at full size so that the hinge loss with λ = 1e-4 ends where it does on RCV1
(Bottou, Stochastic gradient descent examples, 2007): objective 0.2275, test error 6.02 %.
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

VERSION = 1  # of the generator: raise it with any change of the numbers it draws
CHUNK = 4096  # documents a task
LONGEST = 1024  # words in a document, repetitions included
TRAIN, TEST = 0, 1
BRANCHES = 4  # as CCAT, the positive one, and ECAT, GCAT, MCAT
GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio


class Shape(NamedTuple):
    """What the corpus looks like; the two calibrated numbers are `topical` and `noise`."""

    topical: float = 0.55  # mean share of a document's words that its topics draw
    noise: float = 0.01  # share of documents whose class is flipped
    positive: float = 0.47  # share of the positive class
    topics: int = 103
    tilt: float = 4.0  # σ: how far a topic's word frequencies lie from the corpus's
    kinship: float = 0.3  # ρ: correlation of the tilts of two topics of one branch
    topic_words: int = 4096
    mixed: float = 0.3  # share of documents with a second topic
    repeat: float = 0.25  # chance that a word repeats an earlier one of its document
    log_length: float = 4.84  # mean and deviation of the logarithm of the length
    log_length_spread: float = 0.75


SHAPE = Shape()


class Split(NamedTuple):
    rows: Sparse
    codes: Array  # (n,) int32: 0 for −1, 1 for +1


class Corpus(NamedTuple):
    train: Split
    test: Split
    labels: Array  # (2,) the classes that the codes stand for: −1, +1


class Model(NamedTuple):
    """What documents are drawn from. Alias tables: slot k keeps k below its threshold."""

    word_threshold: Array  # (d,) uint32
    word_alias: Array  # (d,) uint32
    topic_threshold: Array  # (topics, words) uint32
    topic_pair: Array  # (topics, words, 2) uint32: the column of the slot, and of its alias
    topic_cumulative: Array  # (topics,) float64
    topic_code: Array  # (topics,) int32
    chances: Array  # (4,) float64: topical, noise, mixed, repeat
    log_length: Array  # (2,) float64: mean, deviation


class Words(NamedTuple):
    """Documents before they are weighed: distinct columns in increasing order, and counts."""

    columns: Array  # (nnz,) uint32
    counts: Array  # (nnz,) uint8
    sizes: Array  # (n,) int64: distinct words of each document
    codes: Array  # (n,) int32
    df: Array  # (d,) int32


def rcv1_like(
    n_train: int = 781_265,
    n_test: int = 23_149,
    n_features: int = 47_153,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
    shape: Shape = SHAPE,
) -> Corpus:
    """The corpus; idf comes from the training rows alone.

    >>> corpus = rcv1_like(1000, 100, 5000, seed=1)
    >>> corpus.train.rows.indptr.shape, corpus.test.codes.shape
    ((1001,), (100,))
    """
    model = make_model(n_features, shape, np.random.default_rng(VERSION))
    with ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
        train = _draw_split(pool, model, n_train, _key(seed, TRAIN))
        df = np.sum([words.df for words in train], axis=0)
        idf = np.log1p(n_train / np.maximum(df, 1))
        test = _draw_split(pool, model, n_test, _key(seed, TEST))
        return Corpus(
            _weigh_split(pool, train, idf), _weigh_split(pool, test, idf), np.array([-1, 1])
        )


def _key(seed: int, split: int) -> np.uint64:
    return np.uint64(np.random.SeedSequence([seed, split, VERSION]).generate_state(1, np.uint64)[0])


# -- the model ---------------------------------------------------------------------------------


def make_model(n_features: int, shape: Shape, rng: np.random.Generator) -> Model:
    rank = rng.permutation(n_features) + 1.0
    p = (rank + 3.0) ** -0.45 * (rank + 1000.0) ** -1.5
    threshold, alias = alias_table(p)
    share = 1.0 / (np.arange(shape.topics) + 5.0)
    share /= share.sum()
    codes = _topic_codes(share, shape.positive)
    branches = rng.standard_normal((BRANCHES, n_features))
    tables = []
    for t in range(shape.topics):
        b = 0 if codes[t] else 1 + t % (BRANCHES - 1)
        g = math.sqrt(shape.kinship) * branches[b]
        g += math.sqrt(1.0 - shape.kinship) * rng.standard_normal(n_features)
        tables.append(_topic_table(p * np.exp(shape.tilt * g), shape.topic_words))
    chances = np.array([shape.topical, shape.noise, shape.mixed, shape.repeat])
    return Model(
        threshold,
        alias,
        np.stack([table[0] for table in tables]),
        np.stack([table[1] for table in tables]),
        np.cumsum(share),
        codes,
        chances,
        np.array([shape.log_length, shape.log_length_spread]),
    )


def _topic_table(q: Array, n_words: int) -> tuple[Array, Array]:
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
    return np.int64(((r >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@kernel
def _length(model: Model, z: Any) -> int:
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(mix(z))))
    normal = radius * math.cos(2.0 * math.pi * unit(mix(z + GAMMA)))
    length = math.exp(model.log_length[0] + model.log_length[1] * normal)
    return np.int64(min(max(length, 4.0), np.float64(LONGEST)))


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
        if u < share and u >= 0.0:
            t = first if u < share * weight else second
            slot = pick(r, model.topic_threshold.shape[1])
            words[k] = model.topic_pair[t, slot, np.int64(low >= model.topic_threshold[t, slot])]
        else:
            slot = pick(r, model.word_threshold.size)
            words[k] = slot if low < model.word_threshold[slot] else model.word_alias[slot]


@kernel
def _draw_document(model: Model, z: Any, words: Array) -> tuple[int, int]:
    """(length, code) of the document with stream z; its words go to the head of `words`."""
    topical, noise, mixed = model.chances[0], model.chances[1], model.chances[2]
    length = _length(model, z)
    z += np.uint64(2) * GAMMA
    first = np.searchsorted(model.topic_cumulative, unit(mix(z)))
    second = np.searchsorted(model.topic_cumulative, unit(mix(z + GAMMA)))
    z += np.uint64(2) * GAMMA
    u = unit(mix(z))
    weight = 1.0 - 0.5 * u / mixed if u < mixed else 1.0
    share = min(2.0 * topical * unit(mix(z + GAMMA)), 1.0)
    z += np.uint64(2) * GAMMA
    code = model.topic_code[first]
    if unit(mix(z)) < noise:
        code = 1 - code
    _draw_words(model, z, (first, second, weight), share, words[:length])
    return length, code


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


def _draw(model: Model, n: int, key: np.uint64, start: int) -> Words:
    room, d = n * LONGEST, model.word_alias.size  # untouched pages cost nothing
    into = Words(
        np.empty(room, np.uint32), np.empty(room, np.uint8), np.empty(n, np.int64),
        np.empty(n, np.int32), np.zeros(d, np.int32),
    )
    nnz = _draw_chunk(model, key, start, into)
    return into._replace(columns=into.columns[:nnz].copy(), counts=into.counts[:nnz].copy())


def _draw_split(pool: ThreadPoolExecutor, model: Model, n: int, key: np.uint64) -> list[Words]:
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
