"""Kernels of the svmlight reader: from bytes to rows, without a copy in between.

    LABEL [qid:N] INDEX:VALUE INDEX:VALUE ...  # comment

`parse` walks one chunk of whole lines. Inside a row it tries the fast path, which looks at 64
bytes at once: the positions of the bytes that are no digits end the numbers, and eight digits
become a number by three multiplications. Whatever is unusual (exponents, long numbers, the last
bytes of the text) goes byte by byte. A kernel never raises: it returns a code and a position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import inlined, lean_kernel
from widemargin.data.bits import WIDTH, byte, first_digits, load64, mask64, popcount, trailing_zeros
from widemargin.data.decimals import POWERS, TENS, number

OK, LABEL, QID, INDEX, COLON, ORDER, RANGE, VALUE, CHANGED = range(9)  # what is at fault

LOOKAHEAD = 128  # bytes the fast path may read beyond the start of an entry
WRAPPED = 2**32 - 1  # index 0, less one
LARGEST_INDEX = 2**32 - 2  # as written in the file, so that the count of columns fits uint32
EXACT = np.uint64(2**53)  # whole numbers below it are exact in float64
ONE, BYTE, ZERO = np.uint64(1), np.uint64(255), np.uint64(48)
SPACE, TAB, NEWLINE, RETURN, HASH, COLON_SIGN, POINT, MINUS = 32, 9, 10, 13, 35, 58, 46, 45
QID_SIGN = np.frombuffer(b"qid:", np.uint8)
HASH_START, HASH_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)  # FNV-1a


class Rule(NamedTuple):
    """What a chunk may hold."""

    below: int  # every index lies above this: 0 in a 1-based file, −1 where 0 may come
    last: int  # and is at most this
    base: int  # what is taken off an index: 1 in a 1-based file
    unlabelled: bool  # a row may start with its first entry


class Target(NamedTuple):
    """Where rows go; arrays of the whole file, or of one block."""

    values: Any  # float32 or float64
    indices: Any  # uint32, as written less the base
    indptr: Any  # int64
    codes: Any  # int32: position among the chunk's own labels, −1 where a row has none


class Labels(NamedTuple):
    """The distinct labels of a chunk, as an open hash table."""

    slots: Any  # int32, a power of two; −1 is free
    spans: Any  # (·, 2) int64: first and last position of the first spelling


class Room(NamedTuple):
    """The part of a target that one chunk may fill."""

    k: int
    k_end: int
    r: int
    r_end: int


class Place(NamedTuple):
    """Where a parse ended, and what it saw."""

    code: int
    p: int  # the first byte not parsed: the end, or the byte at fault
    k: int  # the next free entry
    r: int  # the next free row
    labels: int  # distinct labels
    high: int  # highest index as written
    zero: bool  # an index 0 was seen


@lean_kernel
def count(text: Any, start: int, stop: int) -> tuple[int, int]:
    """How many ':' and newlines lie in text[start:stop]: bounds on entries and rows."""
    colons = lines = 0
    p = start
    while p + WIDTH <= stop:
        colons += popcount(mask64(text, p, COLON_SIGN, 0))
        lines += popcount(mask64(text, p, NEWLINE, 0))
        p += WIDTH
    for q in range(p, stop):
        colons += text[q] == COLON_SIGN
        lines += text[q] == NEWLINE
    return colons, lines


@lean_kernel
def ends_token(byte: int) -> bool:
    return byte == SPACE or byte == NEWLINE or byte == TAB or byte == RETURN or byte == HASH


@lean_kernel
def skip_spaces(text: Any, p: int, stop: int) -> int:
    while p < stop and (text[p] == SPACE or text[p] == TAB or text[p] == RETURN):
        p += 1
    return p


@lean_kernel
def line_end(text: Any, p: int, stop: int) -> int:
    while p < stop and text[p] != NEWLINE:
        p += 1
    return p


@lean_kernel
def simple_entries(
    text: Any, p: int, limit: int, rule: Rule, out: Target, room: int, j: Any, k: int
) -> tuple[int, Any, int]:
    """Entries of the plain form `12:-3.45 `, as many as follow; stops before any other.

    Returns the next position (the newline, if the row ends there), index and entry. One mask
    serves up to four entries: its latency is what an entry would otherwise cost. Longer than
    other kernels, because a call would cost as much as an entry does.
    """
    first, after = k - 1, SPACE
    while p <= limit and first < k <= room - 4 and after == SPACE:
        ends, s, first = ~mask64(text, p, 48, 9), 0, k  # bits of the bytes that are no digits
        for _ in range(4):
            a, ends = trailing_zeros(ends), ends & (ends - ONE)
            negative = byte(text, p + a + 1) == MINUS
            ends = ends & (ends - ONE) if negative else ends
            q, b, e = a + 1 + negative, trailing_zeros(ends), trailing_zeros(ends)
            if byte(text, p + b) == POINT:
                ends = ends & (ends - ONE)
                e = trailing_zeros(ends)
            mantissa, digits = decimal(
                load64(text, p + q),
                b - q,
                load64(text, p + b + 1),
                load64(text, p + b + 9),
                e - b - 1,
            )
            after = byte(text, p + e)
            index = np.int64(first_digits(load64(text, p + s), a - s))
            if (
                a - s < 1
                or a - s > 8
                or byte(text, p + a) != COLON_SIGN
                or digits < 0
                or e > 63
                or index <= j
                or index > rule.last
                or (after != SPACE and after != NEWLINE)
            ):
                break
            value = np.float64(np.int64(mantissa)) / POWERS[np.uint64(digits)]
            out.indices[np.uint64(k)] = index - rule.base
            out.values[np.uint64(k)] = -value if negative else value
            ends, j, k, s = ends & (ends - ONE), index, k + 1, e + 1
            if after == NEWLINE:
                return p + e, j, k
        p, after = p + s, SPACE
    return p, j, k


@inlined
def decimal(head: Any, whole: int, part: Any, more: Any, digits: int) -> tuple[Any, int]:
    """The number of `whole` digits in head, a point, `digits` (−1: no point) in part and more.

    Returns the mantissa and the count of digits after the point, −1 where the number is not of
    this form or not exact in float64.
    """
    mantissa = (head & BYTE) - ZERO if whole == 1 else first_digits(head, whole)
    good = whole >= 1 and whole <= 8
    if digits < 0:
        return mantissa, 0 if good else -1
    if digits <= 8:
        mantissa = mantissa * TENS[np.uint64(digits)] + first_digits(part, digits)
        return mantissa, digits if good and digits > 0 else -1
    if digits <= 16:
        mantissa = mantissa * TENS[8] + first_digits(part, 8)
        mantissa = mantissa * TENS[np.uint64(digits - 8)] + first_digits(more, digits - 8)
        good = good and whole <= 3 and mantissa < EXACT
    return mantissa, digits if good and digits <= 16 else -1


@lean_kernel
def any_entry(
    text: Any, p: int, stop: int, rule: Rule, j: int, out: Target, k: int
) -> tuple[int, int, int]:
    """One entry byte by byte: (code, next position or place of the fault, index)."""
    index, q = 0, p
    while q < stop and 48 <= text[q] <= 57 and index <= LARGEST_INDEX:
        index = 10 * index + text[q] - 48
        q += 1
    if index > LARGEST_INDEX:
        return RANGE, p, j
    if q == p or (q < stop and text[q] != COLON_SIGN and not ends_token(text[q])):
        return INDEX, p, j
    if q == stop or text[q] != COLON_SIGN:
        return COLON, p, j
    if index <= j:
        return ORDER, p, j
    if index > rule.last:
        return RANGE, p, j
    e, value = number(text, q + 1, stop)
    if e < 0 or (e < stop and not ends_token(text[e])):
        return VALUE, q + 1, j
    out.indices[k], out.values[k] = index - rule.base, value
    if np.isinf(out.values[k]):  # also when only float32 overflows
        return VALUE, q + 1, j
    return OK, e, index


@lean_kernel
def skip_qid(text: Any, p: int, stop: int) -> tuple[int, int]:
    """Past `qid:N` if one stands at p: (code, position)."""
    q = p
    while q < stop and q < p + 4 and text[q] == QID_SIGN[q - p]:
        q += 1
    if q < p + 4:
        return OK, p
    while q < stop and 48 <= text[q] <= 57:
        q += 1
    good = q > p + 4 and (q == stop or ends_token(text[q]))
    return (OK, q) if good else (QID, p)


@lean_kernel
def entries(
    text: Any, p: int, stop: int, rule: Rule, out: Target, k: int, room: int
) -> tuple[int, int, int, int]:
    """The entries of one row, up to its newline or comment: (code, position, k, last index)."""
    code, p = skip_qid(text, skip_spaces(text, p, stop), stop)
    j = rule.below
    while code == OK:
        p = skip_spaces(text, p, stop)
        if p == stop or text[p] == NEWLINE or text[p] == HASH:
            break
        first = k
        p, j, k = simple_entries(text, p, len(text) - LOOKAHEAD, rule, out, room, j, k)
        if k == first and k == room:
            code = CHANGED
        elif k == first:
            code, p, j = any_entry(text, p, stop, rule, j, out, k)
            k += code == OK
    return code, p, k, j


@lean_kernel
def label(text: Any, p: int, stop: int, rule: Rule) -> tuple[int, int]:
    """The label at p: (code, its end); its end is p where the row has none."""
    e = p
    while e < stop and not ends_token(text[e]):
        if text[e] == COLON_SIGN:
            return (OK if rule.unlabelled else LABEL), p
        if text[e] < SPACE or text[e] == 127:
            return LABEL, p
        e += 1
    return OK, e


@lean_kernel
def label_code(text: Any, p: int, e: int, labels: Labels, n: Any) -> Any:
    """The code of the label text[p:e]; n, if it is new, is its code from now on."""
    h = HASH_START
    for i in range(p, e):
        h = (h ^ np.uint64(text[i])) * HASH_PRIME
    mask = len(labels.slots) - 1
    slot = np.int64(h >> np.uint64(32)) & mask
    while labels.slots[slot] >= 0:
        c = labels.slots[slot]
        q, i = labels.spans[c, 0], p
        if labels.spans[c, 1] - q == e - p:
            while i < e and text[i] == text[q + i - p]:
                i += 1
            if i == e:
                return np.int64(c)
        slot = (slot + 1) & mask
    labels.slots[slot] = n
    labels.spans[n, 0], labels.spans[n, 1] = p, e
    return n


@lean_kernel
def next_row(text: Any, p: int, stop: int) -> int:
    """The first byte of the next line that is neither blank nor only a comment, or stop."""
    while p < stop:
        p = skip_spaces(text, p, stop)
        if p < stop and text[p] == HASH:
            p = line_end(text, p, stop)
        if p < stop and text[p] != NEWLINE:
            break
        p += p < stop
    return p


@lean_kernel
def parse(
    text: Any, start: int, stop: int, rule: Rule, out: Target, labels: Labels, room: Room
) -> Place:
    """The rows of the whole lines text[start:stop], written into the room they have in out."""
    n: Any = np.int64(0)  # typed: a literal 0 would have label_code compiled twice
    code, high, zero = OK, -1, False
    k, r, p = room.k, room.r, next_row(text, start, stop)
    while code == OK and p < stop:
        first = k
        code, e = label(text, p, stop, rule)
        if code == OK and r == room.r_end:
            code = CHANGED
        if code == OK:
            out.codes[r] = label_code(text, p, e, labels, n) if e > p else -1
            n += out.codes[r] == n
            code, e, k, j = entries(text, e, stop, rule, out, k, room.k_end)
            r += 1
            out.indptr[r], high = k, j if j > high else high
            zero |= k > first and out.indices[first] == WRAPPED
        p = next_row(text, e, stop) if code == OK else e
    return Place(code, p, k, r, n, high, zero)
