"""Sparse rows as svmlight text, `label column:value …`, columns counted from 1.

Numbers look as C's `%.7g` writes them: `digits` significant ones, trailing zeros dropped, an
exponent where the point would be far away. Nine digits give every float32 back exactly.
Threads format blocks of rows into byte buffers, which are written in order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from widemargin._jit import kernel
from widemargin.data.rows import Array, Sparse, n_rows

BLOCK = 4096  # rows a task
WIDEST = 42  # bytes of one nonzero: space, 20 digits, colon, sign, point, 9 digits, e-308, spare
MOST_DIGITS = 9
ZERO, POINT, MINUS, SPACE, COLON, NEWLINE = b"0.- :\n"
EXPONENT, PLUS = b"e+"


def write_svmlight(
    path: str | os.PathLike[str],
    rows: Sparse,
    labels: Any,
    *,
    digits: int = 7,
    n_jobs: int | None = None,
) -> None:
    """Write one line a row; the file appears under `path` when it is whole."""
    _check(rows, np.asarray(labels), digits)
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    spelt = [str(name).encode() for name in names]
    text = np.frombuffer(b"".join(spelt), np.uint8)
    lengths = np.array([len(name) for name in spelt], np.int64)
    ends = np.cumsum(lengths)
    starts, longest = ends - lengths, int(lengths.max(initial=0))

    def block(a: int) -> Array:
        e = min(a + BLOCK, codes.size)
        out = np.empty(_room(rows, range(a, e), longest), np.uint8)
        bounds = np.stack([starts[codes[a:e]], ends[codes[a:e]]], axis=1)
        indptr = rows.indptr[a : e + 1]
        size = _format_rows(rows.values, rows.indices, indptr, (text, bounds), digits, out)
        return out[:size]

    draft = Path(f"{os.fspath(path)}.part")
    try:
        with draft.open("wb") as file, ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
            for batch in _batches(codes.size):
                for done in pool.map(block, batch):
                    file.write(done.data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check(rows: Sparse, labels: Array, digits: int) -> None:
    if labels.shape != (n_rows(rows),):
        raise ValueError(
            f"labels has shape {labels.shape} for {n_rows(rows)} rows. Give one label a row."
        )
    if not 1 <= digits <= MOST_DIGITS:
        raise ValueError(
            f"digits={digits} is out of range. Choose 1 to {MOST_DIGITS}; "
            f"{MOST_DIGITS} keep a float32 exactly."
        )
    if not np.isfinite(rows.values).all():
        raise ValueError("values hold a NaN or an infinity, which svmlight text cannot spell.")


def _room(rows: Sparse, part: range, longest_label: int) -> int:
    """Bytes that the rows of this part can fill at most."""
    nonzeros = int(rows.indptr[part.stop]) - int(rows.indptr[part.start])
    return nonzeros * WIDEST + (part.stop - part.start) * (longest_label + 1)


def _batches(n: int) -> Iterator[range]:
    """The first rows of the blocks, a few blocks at a time, so that few wait to be written."""
    step = 16 * BLOCK
    for a in range(0, n, step):
        yield range(a, min(a + step, n), BLOCK)


@kernel
def _format_rows(
    values: Array, indices: Array, indptr: Array, labels: Any, digits: int, out: Array
) -> int:
    """Write the lines of some rows into `out`; returns how many bytes they fill."""
    text, bounds = labels
    powers = 10.0 ** np.arange(MOST_DIGITS + 1)
    at = 0
    for i in range(indptr.size - 1):
        for k in range(bounds[i, 0], bounds[i, 1]):
            out[at] = text[k]
            at += 1
        for k in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = _put_integer(np.uint64(indices[k]) + np.uint64(1), out, at + 1)
            out[at] = COLON
            at = _put_number(np.float64(values[k]), digits, powers, out, at + 1)
        out[at] = NEWLINE
        at += 1
    return at


@kernel
def _put_integer(n: Any, out: Array, at: int) -> int:
    """Decimal digits of n at out[at]; returns the place behind them."""
    width, rest = 1, n // np.uint64(10)
    while rest > 0:
        width += 1
        rest //= np.uint64(10)
    for k in range(at + width - 1, at - 1, -1):
        out[k] = ZERO + n % np.uint64(10)
        n //= np.uint64(10)
    return at + width


@kernel
def _put_number(x: float, digits: int, powers: Array, out: Array, at: int) -> int:
    """x = ± m · 10^(e − digits + 1) with an integer m of `digits` digits, spelt as %g does."""
    if x < 0.0:
        out[at] = MINUS
        at, x = at + 1, -x
    if x == 0.0:
        out[at] = ZERO
        return at + 1
    e = int(math.floor(math.log10(x)))
    m = _scaled(x, digits - 1 - e, powers)
    if m >= powers[digits]:  # 9.9999… rounds up to 10
        e += 1
        m = _scaled(x, digits - 1 - e, powers)
    kept = digits
    while kept > 1 and m % 10 == 0:
        m //= 10
        kept -= 1
    if e < -4 or e >= digits:
        at = _put_digits(m, kept, 1, out, at)
        return _put_exponent(e, out, at)
    if e < 0:
        out[at], out[at + 1] = ZERO, POINT
        out[at + 2 : at + 1 - e] = ZERO
        return _put_digits(m, kept, kept, out, at + 1 - e)
    if kept <= e:  # zeros before the point that were dropped as trailing ones
        m, kept = m * int(powers[e + 1 - kept]), e + 1
    return _put_digits(m, kept, e + 1, out, at)


@kernel
def _scaled(x: float, power: int, powers: Array) -> int:
    """x · 10^power, rounded to an integer."""
    if 0 <= power < powers.size:
        return int(np.rint(x * powers[power]))
    half = power // 2  # two factors, for 10^power itself may overflow
    return int(np.rint(x * 10.0**half * 10.0 ** (power - half)))


@kernel
def _put_digits(m: int, width: int, whole: int, out: Array, at: int) -> int:
    """The `width` digits of m, a point after the first `whole` of them unless it ends there."""
    end = at + width + (1 if whole < width else 0)
    for k in range(end - 1, at - 1, -1):
        if k == at + whole:
            out[k] = POINT
            continue
        out[k] = ZERO + m % 10
        m //= 10
    return end


@kernel
def _put_exponent(e: int, out: Array, at: int) -> int:
    out[at], out[at + 1] = EXPONENT, (MINUS if e < 0 else PLUS)
    e = abs(e)
    if e < 10:
        out[at + 2] = ZERO
        at += 1
    return _put_integer(np.uint64(e), out, at + 2)
