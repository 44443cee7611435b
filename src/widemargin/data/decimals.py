"""Decimal digits to numbers: eight at a time where they are plain, exactly where they are not.

A decimal m 10^e with m < 2⁵³ and 0 ≤ −e ≤ 22 is one correctly rounded division. Any other goes
through double-double arithmetic, an unevaluated sum hi + lo of about 106 bits, whose error is
some 2⁻¹⁰⁰: after the last rounding the result is float()'s own, but for ties nobody writes and
for digits beyond the 19th, which are dropped (at most one unit in the last place).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import kernel
from widemargin.data.bits import fma

POWERS = np.array([float(10**i) for i in range(23)])  # every one is exact
FULL = 10**18  # a mantissa below it takes one more digit in an uint64
FAR = 100_000  # exponents beyond it are zero or infinite whatever the digits


@kernel
def eight_digits(word: Any, n: int) -> Any:
    """The number in the first n of eight bytes, 1 ≤ n ≤ 8, all of them digits.

    Neighbours are joined three times: 8 digits → 4 pairs → 2 fours → 1 number.
    """
    word = (word << np.uint64(64 - 8 * n)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = (word * np.uint64(10 * 2**8 + 1)) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(100 * 2**16 + 1) >> np.uint64(16)
    return (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(10000 * 2**32 + 1) >> np.uint64(32)


@kernel
def number(text: Any, p: int, stop: int) -> tuple[int, float]:
    """The decimal number at p, as (its end, value); end = −1 if there is none."""
    negative = p < stop and text[p] == 45
    if p < stop and (text[p] == 45 or text[p] == 43):
        p += 1
    mantissa, power, seen, point = np.uint64(0), 0, 0, 0
    while p < stop and (48 <= text[p] <= 57 or (text[p] == 46 and point == 0)):
        if text[p] == 46:
            point = 1
        else:
            seen += 1
            if mantissa < np.uint64(FULL):
                mantissa = mantissa * np.uint64(10) + np.uint64(text[p] - 48)
                power -= point
            else:
                power += 1 - point
        p += 1
    if seen == 0:
        return -1, 0.0
    if p < stop and (text[p] == 101 or text[p] == 69):
        p, more = exponent(text, p + 1, stop)
        power += more
    value = scaled(mantissa, power)
    return p, -value if negative else value


@kernel
def exponent(text: Any, p: int, stop: int) -> tuple[int, int]:
    """The whole number at p, with a sign or none, as (its end, value); end = −1 if none."""
    negative = p < stop and text[p] == 45
    if p < stop and (text[p] == 45 or text[p] == 43):
        p += 1
    first, e = p, 0
    while p < stop and 48 <= text[p] <= 57:
        e = min(10 * e + text[p] - 48, FAR)
        p += 1
    return (p if p > first else -1), (-e if negative else e)


@kernel
def scaled(mantissa: Any, power: int) -> float:
    """mantissa · 10^power; mantissa < 2⁶⁴."""
    high = np.float64(mantissa >> np.uint64(11)) * 2048.0
    low = np.float64(mantissa & np.uint64(2047))
    power = min(max(power, -400), 400) if high + low > 0.0 else 0
    while power < 0:
        high, low = divided(high, low, POWERS[min(-power, 22)])
        power += min(-power, 22)
    while power > 0:
        high, low = multiplied(high, low, POWERS[min(power, 22)])
        power -= min(power, 22)
    return high + low


@kernel
def divided(high: float, low: float, d: float) -> tuple[float, float]:
    """(high + low) / d as a normalised double-double."""
    q = (high + low) / d
    rest = (fma(-q, d, high) + low) / d
    return two_sum(q, rest)


@kernel
def multiplied(high: float, low: float, d: float) -> tuple[float, float]:
    """(high + low) d as a normalised double-double."""
    q = high * d
    if np.isinf(q):
        return q, 0.0
    return two_sum(q, fma(high, d, -q) + low * d)


@kernel
def two_sum(q: float, rest: float) -> tuple[float, float]:
    total = q + rest
    return total, rest - (total - q)
