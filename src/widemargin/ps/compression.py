"""Less on the wire: gradients in 16 bits, in 8 bits, or their largest entries alone.

A worker encodes the gradient that its task returned, each shard decodes what comes. What is drawn
depends on (seed, epoch, block, group) alone, so whoever computes a block sends the same bits. With
`feedback` a worker adds to each gradient what the last ones left behind (see `feedback`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array
from widemargin.errors import Diverged, choose, float_of, whole_number
from widemargin.ps.compression_kernels import (
    BINS,
    INFINITE,
    counted,
    found,
    quantised,
    rounded,
    rounded_at_random,
    scaled_back,
    tops,
    widened,
)
from widemargin.ps.gradients import Update
from widemargin.ps.messages import Block

SMALLEST = np.float32(2.0**-126)  # a scale: below it 1 / s is not finite
LARGEST = np.nextafter(np.float32(np.finfo(np.float32).max / 127.0), np.float32(0.0))
SHORT_KEYS = 1 << 32


class BFloat16(NamedTuple):
    """8 of 24 bits of the mantissa are kept: 2 bytes an entry.

        |g − ĝ| ≤ 2⁻⁸ |g|  to nearest,    < 2⁻⁷ |g| and E[ĝ] = g  if `stochastic`

    for |g| from 2⁻¹²⁶ to 3.389e38; below, the bounds are those of 2⁻¹²⁶, above ĝ is ±3.389e38.
    """

    stochastic: bool = False
    feedback: bool = False


class Int8(NamedTuple):
    """Integers from −127 to 127 times one float32 a chunk: 1 + 4 / chunk bytes an entry.

        s = max |g| / 127 over the chunk,    ĝ = s ⌊g / s + u⌋,    u uniform on [0, 1)
        |g − ĝ| ≤ s,    E[ĝ] = g,    E ‖g − ĝ‖² ≤ s² / 4 for each entry

    to float32 rounding; s is at least 2⁻¹²⁶. Alistarh et al., QSGD, 2017, with the largest entry
    in the place of the norm.
    """

    chunk: int = 256
    feedback: bool = False


class TopK(NamedTuple):
    """The k = ⌈share · d⌉ entries of largest magnitude and their keys: 8 k bytes.

        ‖g − ĝ‖² ≤ (1 − k / d) ‖g‖²

    Of a gradient of several numbers a key, those keys whose rows have the largest norm. Biased:
    without `feedback` entries that are always small never count. Stich et al., Sparsified SGD with
    memory, 2018; Karimireddy et al., Error feedback fixes SignSGD, 2019.
    """

    share: float = 0.01
    feedback: bool = True


Codec: TypeAlias = BFloat16 | Int8 | TopK
CODECS: dict[str, Codec | None] = {
    "none": None,
    "bf16": BFloat16(),
    "int8": Int8(),
    "topk": TopK(),
}


class Halves(NamedTuple):
    """A gradient that `BFloat16` encoded."""

    keys: Array | None
    codes: Array  # (m, width) uint16: the upper halves of float32
    n: float
    dtype: str  # of the gradient


class Bytes(NamedTuple):
    """A gradient that `Int8` encoded."""

    keys: Array | None
    codes: Array  # (m, width) int8
    scales: Array  # one float32 a chunk, chunks counted in the order of memory
    n: float
    chunk: int
    dtype: str


Encoded: TypeAlias = Update | Halves | Bytes
Seed: TypeAlias = tuple[np.uint32, np.uint32]


def codec_of(value: Any) -> Codec | None:
    """A codec, from itself or its name; refuses what is out of its range.

    >>> codec_of("int8"), codec_of(TopK(0.1)), codec_of("none")
    (Int8(chunk=256, feedback=False), TopK(share=0.1, feedback=True), None)
    """
    codec = choose("compression", value, CODECS) if isinstance(value, str) else value
    if codec is not None and not isinstance(codec, BFloat16 | Int8 | TopK):
        raise TypeError(
            f"compression={value!r} is none. Give None, 'bf16', 'int8', 'topk', or one of: "
            "BFloat16(stochastic), Int8(chunk), TopK(share)."
        )
    if isinstance(codec, Int8):
        whole_number("chunk", codec.chunk, 1)
    if isinstance(codec, TopK) and not 0.0 < float_of(codec.share) <= 1.0:
        raise ValueError(
            f"share must be above 0 and at most 1, got {codec.share!r}. Give the part of the "
            "entries that is sent."
        )
    return codec


def seed_of(seed: int, block: Block, group: int) -> Seed:
    """What the rounding of a block's gradient is drawn from, for one range of keys."""
    a, b = np.random.SeedSequence([seed, block.epoch, block.number, group]).generate_state(2)
    return a, b


def encode(codec: Codec, update: Update, start: int, seed: Seed) -> Encoded:
    """C(g), for the shard whose keys begin with `start`.

    Values are rounded to float32 first, but by TopK, which sends them as they are. Raises Diverged
    where the gradient is not finite.

    >>> g = Update(None, np.array([[1.0], [-3.0], [0.5]], np.float32), 8)
    >>> sent = encode(TopK(0.3), g, 10, seed_of(0, Block(0, 0), 0))
    >>> sent.keys.tolist(), sent.values.tolist()
    ([11], [[-3.0]])
    """
    match codec:
        case BFloat16():
            return _halves(codec, update, seed)
        case Int8():
            return _bytes(codec, update, seed)
        case TopK():
            return _largest(codec, update, start)


def decode(sent: Encoded) -> Update:
    """ĝ; an update that is not encoded is its own.

    >>> g = Update(None, np.array([[1.0], [-3.0], [0.5]], np.float32), 8)
    >>> decode(encode(BFloat16(), g, 0, seed_of(0, Block(0, 0), 0))).values.tolist()
    [[1.0], [-3.0], [0.5]]
    """
    if not isinstance(sent, Halves | Bytes):
        return sent
    values = np.empty(sent.codes.shape, np.float32)
    codes = sent.codes.reshape(-1)
    if isinstance(sent, Halves):
        widened(codes, values.reshape(-1).view(np.uint32))
    else:
        scaled_back(codes, sent.chunk, sent.scales, values.reshape(-1))
    return Update(sent.keys, values.astype(sent.dtype, copy=False), sent.n)


def _flat(values: Array) -> Array:
    """The entries in the order of memory, float32; what lies beyond becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32).reshape(-1)


def _halves(codec: BFloat16, update: Update, seed: Seed) -> Halves:
    bits, codes = _flat(update.values).view(np.uint32), np.empty(update.values.shape, np.uint16)
    if codec.stochastic:
        bad = rounded_at_random(bits, *seed, codes.reshape(-1))
    else:
        bad = rounded(bits, codes.reshape(-1))
    _refuse(bad > 0, codec)
    return Halves(update.keys, codes, update.n, update.values.dtype.str)


def _bytes(codec: Int8, update: Update, seed: Seed) -> Bytes:
    g, codes = _flat(update.values), np.empty(update.values.shape, np.int8)
    largest = np.empty(-(-g.size // codec.chunk), np.uint32)
    tops(g.view(np.uint32), codec.chunk, largest)
    _refuse(bool((largest >= INFINITE).any()), codec)
    scales = np.clip(largest.view(np.float32) / np.float32(127.0), SMALLEST, LARGEST)
    quantised(g, codec.chunk, np.float32(1.0) / scales, *seed, codes.reshape(-1))
    return Bytes(update.keys, codes, scales, update.n, codec.chunk, update.values.dtype.str)


def _largest(codec: TopK, update: Update, start: int) -> Update:
    values = update.values
    if values.shape[1] == 1:
        bits = _flat(values).view(np.uint32)
    else:
        wide = values.astype(np.float64, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            bits = _flat(np.sqrt(np.einsum("ij,ij->i", wide, wide))).view(np.uint32)
    if not len(values):
        return update
    at = largest_at(bits, math.ceil(codec.share * len(values)))
    _refuse(bool((bits[at] & INFINITE == INFINITE).any()), codec)
    if update.keys is not None:
        return Update(update.keys[at], values[at], update.n)
    short = start + len(values) <= SHORT_KEYS
    keys = np.add(at, start, dtype=np.int64).astype(np.uint32 if short else np.int64)
    return Update(keys, values[at], update.n)


def largest_at(bits: Array, k: int) -> Array:
    """The places, in order, of the k numbers of largest magnitude; of equals the first come first.

    Counts the magnitudes by their upper 11 bits, then among those at the border by the next 11,
    then by the last 9: O(n), whatever the order.
    """
    counts, prefix, left = np.empty(BINS, np.int64), np.uint32(0), k
    for shift, width in ((20, 11), (9, 11), (0, 9)):
        counted(bits, prefix, shift, width, counts)
        above = np.cumsum(counts[: 1 << width][::-1])
        steps = int(np.searchsorted(above, left))
        left -= int(above[steps - 1]) if steps else 0
        prefix = np.uint32((int(prefix) << width) | ((1 << width) - 1 - steps))
    at = np.empty(k, np.int64)
    found(bits, prefix, left, at)
    return at


def _refuse(bad: bool, codec: Codec) -> None:
    if bad:
        raise Diverged(
            f"the gradient has NaN or infinity, or float32 does not hold it, so {codec} cannot "
            "encode it. Lower eta0, or scale the data."
        )
