"""Decimal digits to numbers: eight at a time where they are plain, exactly where they are not.

A decimal m 10^e with m < 2⁵³ and 0 ≤ −e ≤ 22 is one correctly rounded division. Any other goes
through double-double arithmetic, an unevaluated sum hi + lo of about 106 bits, whose error is
some 2⁻¹⁰⁰: after the last rounding the result is float()'s own, but for ties nobody writes and
for digits beyond the 19th, which are dropped (at most one unit in the last place).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.bits import fma

POWERS = np.array([float(10**i) for i in range(23)])  # every one is exact
TENS = np.array([10**i for i in range(20)], dtype=np.uint64)
FULL = 10**18  # a mantissa below it takes one more digit in an uint64
FAR = 100_000  # exponents beyond it are zero or infinite whatever the digits


@lean_kernel
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


@lean_kernel
def exponent(text: Any, p: int, stop: int) -> tuple[int, int]:
    """The whole number at p, with a sign or none, as (its end, value); end = −1 if none."""
    negative = p < stop and text[p] == 45
    if p < stop and (text[p] == 45 or text[p] == 43):
        p += 1
    first, e = p, 0
    while p < stop and 48 <= text[p] <= 57:
        e = 10 * e + text[p] - 48 if e < FAR else e
        p += 1
    return (p if p > first else -1), (-e if negative else e)


@lean_kernel
def scaled(mantissa: Any, power: int) -> Any:
    """mantissa · 10^power for mantissa < 2⁶⁴, as a double-double until the last rounding."""
    upper, lower = mantissa >> np.uint64(11), mantissa & np.uint64(2047)
    high, low = two_sum(np.float64(upper) * 2048.0, np.float64(lower))
    if high == 0.0 or power == 0:
        return high
    shift = 2.0**-200 if power > 0 else 2.0**200  # clear of overflow and underflow on the way
    high, low = high * shift, low * shift
    while power != 0 and 0.0 < high < np.inf:
        step = abs(power) if abs(power) < 22 else 22
        d = POWERS[step]
        if power < 0:
            q = (high + low) / d
            rest = (fma(-q, d, high) + low) / d
            power += step
        else:
            q = high * d
            rest = fma(high, d, -q) + low * d
            power -= step
        if q == np.inf:
            return q
        high, low = two_sum(q, rest)
    return (high + low) / shift


@lean_kernel
def two_sum(q: float, rest: float) -> tuple[float, float]:
    """q + rest as a rounded sum and its error; |q| ≥ |rest|, or q = 0."""
    total = q + rest
    return total, rest - (total - q)
