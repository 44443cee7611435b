"""Compression of gradients, entry by entry: rounding to 16 bits, to 8 bits, the largest entries.

Floats are handled by their bits where that is faster: of two finite numbers the one with the larger
bits, less the sign, is the larger; NaN and the infinities are all that reach INFINITE.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import jitable, lean_kernel
from widemargin.data.rows import Array

MAGNITUDE, INFINITE = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
MIX_A, MIX_B = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
LIMIT = np.int32(127)
UNIT = np.float32(2.0**-24)
BINS = 2048


@jitable
def drawn(j: Any, a: Any, b: Any) -> Any:
    """32 random bits that depend on j and the seed (a, b) alone.

    A bijection of j for each seed: Wellons' `lowbias32` with b put in half-way (nullprogram.com,
    Prospecting for hash functions, 2018).
    """
    x = np.uint32(np.uint32(j) + a)
    x = np.uint32((x ^ (x >> np.uint32(16))) * MIX_A)
    x = np.uint32((x ^ (x >> np.uint32(15)) ^ b) * MIX_B)
    return np.uint32(x ^ (x >> np.uint32(16)))


@jitable
def half(x: Any) -> Any:
    """The upper half of bits; what rounding made infinite goes to the largest finite number."""
    y = np.uint32(x >> np.uint32(16))
    top = np.uint32(y & np.uint32(0x7FFF)) == np.uint32(0x7F80)
    return np.uint16(np.uint32(y - np.uint32(top)))


@lean_kernel
def rounded(bits: Array, codes: Array) -> int:
    """codesⱼ ← bfloat16 of gⱼ, to nearest, ties to even; returns how many gⱼ are not finite."""
    bad: Any = np.int32(0)
    for j in range(bits.size):
        x = bits[j]
        bad += np.int32(np.uint32(x & INFINITE) == INFINITE)
        even = np.uint32((x >> np.uint32(16)) & np.uint32(1))
        codes[j] = half(np.uint32(x + np.uint32(0x7FFF) + even))
    return bad  # type: ignore[no-any-return]


@lean_kernel
def rounded_at_random(bits: Array, a: Any, b: Any, codes: Array) -> int:
    """`rounded`, but up with the probability of the part cut off: E[code] = g."""
    bad: Any = np.int32(0)
    for j in range(bits.size):
        x = bits[j]
        bad += np.int32(np.uint32(x & INFINITE) == INFINITE)
        noise = np.uint32(drawn(j, a, b) >> np.uint32(16))
        codes[j] = half(np.uint32(x + noise))
    return bad  # type: ignore[no-any-return]


@lean_kernel
def widened(codes: Array, bits: Array) -> None:
    """The bits of the float32 that bfloat16 codes stand for."""
    for j in range(codes.size):
        bits[j] = np.uint32(np.uint32(codes[j]) << np.uint32(16))


@lean_kernel
def tops(bits: Array, chunk: int, out: Array) -> None:
    """out_c ← the bits of max |gⱼ| over chunk c."""
    for c in range(out.size):
        top = np.uint32(0)
        for x in bits[c * chunk : min((c + 1) * chunk, bits.size)]:
            top = max(top, np.uint32(x & MAGNITUDE))
        out[c] = top


@lean_kernel
def quantised(g: Array, chunk: int, inverse: Array, a: Any, b: Any, codes: Array) -> None:
    """codesⱼ ← ⌊gⱼ / s_c + u⌋, u uniform on [0, 1): E[s_c codesⱼ] = gⱼ; |codesⱼ| ≤ 127.

    Chunks are slices, and all is 32 bits wide, so that a loop does eight entries at a time.
    """
    for c in range(inverse.size):
        by, first = inverse[c], c * chunk
        x = g[first : min(first + chunk, g.size)]
        code = codes[first : min(first + chunk, g.size)]
        for i in range(x.size):
            bits = drawn(np.uint32(np.uint32(first) + np.uint32(i)), a, b)
            u = np.float32(np.int32(bits >> np.uint32(8))) * UNIT
            q = np.int32(np.floor(x[i] * by + u))
            code[i] = np.int8(min(max(q, -LIMIT), LIMIT))


@lean_kernel
def scaled_back(codes: Array, chunk: int, scales: Array, out: Array) -> None:
    """outⱼ ← s_c codesⱼ."""
    for c in range(scales.size):
        scale, first = scales[c], c * chunk
        code = codes[first : min(first + chunk, codes.size)]
        x = out[first : min(first + chunk, codes.size)]
        for i in range(x.size):
            x[i] = scale * np.float32(code[i])


@lean_kernel
def counted(bits: Array, prefix: Any, shift: int, width: int, counts: Array) -> None:
    """counts_i ← how many magnitudes begin with `prefix` and go on with the `width` bits of i."""
    mask = np.uint32((1 << width) - 1)
    counts[:] = 0
    for j in range(bits.size):
        x = np.uint32(bits[j] & MAGNITUDE)
        if np.uint32(x >> np.uint32(shift + width)) == prefix:
            counts[np.uint32(x >> np.uint32(shift)) & mask] += 1


@lean_kernel
def found(bits: Array, least: Any, ties: int, at: Array) -> None:
    """at ← the places, in order, of magnitudes above `least` and of the first `ties` equal it."""
    i = 0
    for j in range(bits.size):
        x = np.uint32(bits[j] & MAGNITUDE)
        if x >= least:
            if x == least:
                if ties == 0:
                    continue
                ties -= 1
            at[i] = j
            i += 1
