"""Codecs: kernels against NumPy, error bounds, no bias, the same bits from whoever encodes."""

import math

import numpy as np
import pytest

from widemargin.errors import Diverged
from widemargin.ps.compression import (
    CODECS,
    BFloat16,
    Bytes,
    Halves,
    Int8,
    TopK,
    codec_of,
    decode,
    encode,
    largest_at,
    seed_of,
)
from widemargin.ps.compression_kernels import drawn
from widemargin.ps.gradients import Update
from widemargin.ps.messages import Block

SEED = seed_of(3, Block(1, 5), 0)
EVERY = [BFloat16(), BFloat16(stochastic=True), Int8(), Int8(chunk=7), TopK(0.1)]


def gradient(n=1000, width=1, dtype=np.float32, seed=0, keys=False):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, width)) * 10.0 ** rng.uniform(-6, 3, (n, 1))
    named = np.sort(rng.choice(5 * n, n, replace=False)).astype(np.uint32) + 100 if keys else None
    return Update(named, values.astype(dtype), 32.0)


def noise(n, seed=SEED):
    """What the kernels draw, in NumPy."""
    x = np.arange(n, dtype=np.uint32) + seed[0]
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15)) ^ seed[1]) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def widened(upper):
    return (upper.astype(np.uint32) << np.uint32(16)).view(np.float32)


@pytest.mark.parametrize("stochastic", [False, True])
def test_bfloat16_is_its_twin(stochastic):
    g = gradient(3001)
    bits = g.values.ravel().view(np.uint32)
    if stochastic:
        upper = (bits + (noise(3001) >> np.uint32(16))) >> np.uint32(16)
    else:
        low, high = bits & np.uint32(0xFFFF), bits >> np.uint32(16)
        half = np.uint32(0x8000)
        upper = high + ((low > half) | ((low == half) & (high % 2 == 1)))
    sent = encode(BFloat16(stochastic), g, 0, SEED)
    np.testing.assert_array_equal(decode(sent).values.ravel(), widened(upper))
    assert isinstance(sent, Halves) and sent.codes.nbytes == 2 * 3001


@pytest.mark.parametrize("chunk", [1, 7, 256, 10**6])
def test_int8_is_its_twin(chunk):
    g = gradient(1500)
    x, expected = g.values.ravel(), np.empty(1500, np.float32)
    u = (noise(1500) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    for begin in range(0, 1500, chunk):
        part = slice(begin, begin + chunk)
        s = np.abs(x[part]).max() / np.float32(127)
        q = np.floor(x[part] * (np.float32(1) / s) + u[part])
        expected[part] = s * np.clip(q, -127, 127)
    sent = encode(Int8(chunk), g, 0, SEED)
    np.testing.assert_allclose(decode(sent).values.ravel(), expected, rtol=1e-6)
    assert isinstance(sent, Bytes)
    assert sent.codes.nbytes + sent.scales.nbytes == 1500 + 4 * math.ceil(1500 / chunk)


@pytest.mark.parametrize("k", [1, 2, 37, 999, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_the_largest_are_found_as_by_a_stable_sort(k, ties):
    x = gradient(1000, seed=k).values.ravel()
    x = np.round(np.clip(x, -2, 2)).astype(np.float32) if ties else x
    expected = np.sort(np.argsort(-np.abs(x), kind="stable")[:k])
    np.testing.assert_array_equal(largest_at(x.view(np.uint32), k), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_keep_their_bounds(dtype):
    for seed in range(5):
        g = gradient(2000, dtype=dtype, seed=seed)
        x = np.abs(g.values.ravel())
        error = {
            c: np.abs(decode(encode(c, g, 0, SEED)).values - g.values).ravel() for c in EVERY[:4]
        }
        assert (error[BFloat16()] <= 2.0**-8 * x * 1.001).all()
        assert (error[BFloat16(stochastic=True)] < 2.0**-7 * x * 1.001).all()
        for chunk in (7, 256):
            tops = np.maximum.reduceat(x, np.arange(0, 2000, chunk))
            bound = np.repeat(tops / 127, chunk)[:2000]
            assert (error[Int8(chunk)] <= bound * 1.001).all()


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_top_k_contracts(share, width):
    g = gradient(700, width)
    sent = encode(TopK(share), g, 50, SEED)
    k = math.ceil(share * 700)
    assert len(sent.keys) == k and sent.keys.dtype == np.uint32
    rest = g.values.copy()
    rest[sent.keys.astype(np.int64) - 50] -= sent.values
    assert (rest**2).sum() <= (1 - k / 700) * (g.values**2).sum() * (1 + 1e-6)
    norms = np.linalg.norm(g.values.astype(np.float64), axis=1)
    assert norms[sent.keys - 50].sum() == pytest.approx(np.sort(norms)[-k:].sum())


@pytest.mark.parametrize("codec", [BFloat16(stochastic=True), Int8(chunk=64)], ids=repr)
def test_rounding_at_random_has_no_bias(codec):
    values = np.random.default_rng(1).normal(size=(200, 1)).astype(np.float32)
    g, times = Update(None, values, 1.0), 4000  # of one size: else a chance of 1e-9 does not come
    x = values.ravel().astype(np.float64)
    total, squares = np.zeros(200), np.zeros(200)
    for i in range(times):
        y = decode(encode(codec, g, 0, seed_of(0, Block(i, 0), 0))).values.ravel().astype(float)
        total += y - x
        squares += (y - x) ** 2
    deviation = np.sqrt(squares / times / times)
    z = total / times / np.where(deviation > 0, deviation, 1.0)
    assert np.abs(z).max() < 4.5 and np.abs(z).mean() < 1.0
    assert (deviation > 0).mean() > 0.95  # it is at random


def test_what_is_drawn_is_uniform_and_differs_by_seed_block_and_group():
    where = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    seeds = [seed_of(s, Block(0, number), group) for s, number, group in where]
    columns = [noise(20000, seed) / 2.0**32 for seed in seeds]
    counts = [np.histogram(column, 16, (0, 1))[0] for column in columns]
    assert max(((c - 1250) ** 2 / 1250).sum() for c in counts) < 40  # χ² of 15 degrees
    assert np.abs(np.corrcoef(columns) - np.eye(4)).max() < 0.03
    assert np.abs(np.corrcoef(columns[0][:-1], columns[0][1:])[0, 1]) < 0.03
    with np.errstate(over="ignore"):
        assert drawn(np.uint32(7), *SEED) == noise(8)[7]


@pytest.mark.parametrize("codec", EVERY, ids=repr)
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keys", [False, True])
def test_the_form_comes_back(codec, width, dtype, keys):
    g = gradient(301, width, dtype, keys=keys)
    one, two = (decode(encode(codec, g._replace(), 100, SEED)) for _ in range(2))
    assert one.values.tobytes() == two.values.tobytes()
    assert (one.values.dtype, one.n) == (np.dtype(dtype), 32.0)
    if isinstance(codec, TopK):
        places = np.arange(100, 401) if g.keys is None else g.keys
        assert np.isin(one.keys, places).all() and (np.diff(one.keys.astype(int)) > 0).all()
        at = np.searchsorted(places, one.keys)
        assert one.values.tobytes() == g.values[at].tobytes()
    else:
        assert one.keys is g.keys and one.values.shape == g.values.shape
        assert np.abs(one.values - g.values).max() <= np.abs(g.values).max() / 100


@pytest.mark.parametrize("codec", EVERY, ids=repr)
def test_ends_of_the_numbers(codec):
    largest = np.finfo(np.float32).max
    values = np.array([[largest], [-largest], [0.0], [1e-45], [2.0**-126]], np.float32)
    back = decode(encode(codec, Update(None, values, 1.0), 0, SEED))
    assert np.isfinite(back.values).all() and back.values[0] >= 0.99 * largest
    tiny = Update(None, np.full((300, 1), 1e-44, np.float32), 1.0)
    assert np.abs(decode(encode(codec, tiny, 0, SEED)).values).max() <= 2.0**-126
    none = Update(np.empty(0, np.uint32), np.empty((0, 2), np.float32), 1.0)
    assert decode(encode(codec, none, 0, SEED)).values.shape == (0, 2)


@pytest.mark.parametrize("codec", EVERY, ids=repr)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused(codec, bad):
    values = gradient(50, dtype=np.float64).values
    values[17] = bad
    with pytest.raises(Diverged, match="has NaN or infinity.*cannot encode it.*Lower eta0"):
        encode(codec, Update(None, values, 1.0), 0, SEED)


def test_codecs_by_name_and_what_is_refused():
    assert codec_of("topk") == TopK(0.01, feedback=True) and codec_of(None) is None
    assert [codec_of(name) for name in CODECS] == list(CODECS.values())
    with pytest.raises(ValueError, match="compression='zip' is unknown. Choose from: 'bf16'"):
        codec_of("zip")
    with pytest.raises(TypeError, match="compression=8 is none. Give None, 'bf16'"):
        codec_of(8)
    with pytest.raises(ValueError, match="chunk must be a whole number of at least 1, got 0"):
        codec_of(Int8(chunk=0))
    with pytest.raises(ValueError, match="share must be above 0 and at most 1, got 1.5"):
        codec_of(TopK(1.5))
