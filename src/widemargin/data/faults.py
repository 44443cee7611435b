"""From a byte at fault to the one line that tells the user: where, what, and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from widemargin.data import svmlight_kernels as kernels
from widemargin.data.labels import NUMBER
from widemargin.errors import InputError

SHOWN = 32  # bytes of a token that a message quotes
STRETCH = 1 << 16  # bytes searched at once for the start of a line
LARGEST = kernels.LARGEST_INDEX


class Fault(Exception):
    """Bytes that are no rows; becomes an InputError once the line is known."""

    def __init__(self, code: int, position: int) -> None:
        super().__init__(code, position)
        self.code, self.position = code, position


def explain(
    fault: Fault, text: NDArray[np.uint8], path: str, line: int, rule: kernels.Rule
) -> InputError:
    """FILE:LINE:COLUMN: found …; accepted …; do …; line is the count of lines before the text."""
    p = fault.position
    token = token_at(text, p)
    found = FOUND[fault.code](token, rule)
    lines = kernels.count(text, 0, p)[1]
    return InputError(f"{path}:{line + lines + 1}:{column(text, p)}: found {found}.")


def column(text: NDArray[np.uint8], p: int) -> int:
    """The place of byte p in its line, from 1."""
    stop = p
    while stop > 0:
        start = max(0, stop - STRETCH)
        cut = text[start:stop].tobytes().rfind(b"\n")
        if cut >= 0:
            return p - start - cut
        stop = start
    return p + 1


def token_at(text: NDArray[np.uint8], p: int) -> bytes:
    """The bytes from p to the next blank, at most a few more than a message shows."""
    piece = text[p : p + SHOWN + 1].tobytes()
    return re.split(rb"[ \t\r\n#]", piece, maxsplit=1)[0]


def shown(token: bytes) -> str:
    """A token as one short, quoted, printable piece of a line."""
    text = token[:SHOWN].decode("utf-8", "backslashreplace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{safe}{'…' if len(token) > SHOWN else ''}'"


def _label(token: bytes, rule: kernels.Rule) -> str:
    if b":" in token and not any(byte < 32 for byte in token.split(b":")[0]):
        return (
            f"{shown(token)} where the row's label belongs; accepted: LABEL INDEX:VALUE ...; "
            "start the line with a label"
        )
    if any(byte < 32 or byte == 127 for byte in token):
        return (
            f"the control byte in {shown(token)}; accepted: svmlight text, plain or compressed "
            "with gzip, bzip2, xz or zstd; give a text file, this looks like a binary one"
        )
    return f"the label {shown(token)}, which is not UTF-8; accepted: UTF-8; convert the file"


def _qid(token: bytes, rule: kernels.Rule) -> str:
    return f"{shown(token)}; accepted: qid: and a whole number; correct or remove it"


def _index(token: bytes, rule: kernels.Rule) -> str:
    first = 1 if rule.below == 0 else 0
    if token.startswith(b"qid:"):
        return (
            f"{shown(token)} after the row's first entry; accepted: one qid:N, straight after "
            "the label; move or remove it"
        )
    if re.match(rb"-\d", token):
        return (
            f"the negative index in {shown(token)}; accepted: whole numbers from {first} to "
            f"{LARGEST}; renumber the features"
        )
    return (
        f"{shown(token)} where an index belongs; accepted: INDEX:VALUE with whole numbers from "
        f"{first} to {LARGEST} as index; correct the line"
    )


def _colon(token: bytes, rule: kernels.Rule) -> str:
    return (
        f"{shown(token)} without a colon; accepted: INDEX:VALUE entries after the label; write "
        "the entry with its value, with no blank around the colon"
    )


def _order(token: bytes, rule: kernels.Rule) -> str:
    index = int(token.partition(b":")[0])
    if index == 0 and rule.below == 0:
        return (
            "index 0 in a file read as 1-based; accepted: indices from 1; read it with "
            "zero_based=True (--zero-based) if it counts from 0"
        )
    return (
        f"index {index} after an index as large or larger; accepted: indices that rise along "
        "the row; sort each row and join repeated indices"
    )


def _range(token: bytes, rule: kernels.Rule) -> str:
    digits = token.partition(b":")[0]
    if len(digits) > 10 or int(digits) > LARGEST:
        return (
            f"the index in {shown(token)}; accepted: indices up to {LARGEST} (2**32 - 2); hash or "
            "renumber the features"
        )
    width = rule.last + 1 - rule.base
    return (
        f"index {int(digits)}, but the model or caller has {width} features; accepted: indices "
        f"up to {rule.last}; give data with the same features, or train again"
    )


def _value(token: bytes, rule: kernels.Rule) -> str:
    text = token.decode("latin-1")
    accepted = "finite decimal numbers such as 3, -0.5 or 1.2e-5"
    if re.fullmatch(r"[+-]?(nan(\(.*\))?|inf(inity)?)", text, re.IGNORECASE):
        return f"the value {shown(token)}; accepted: {accepted}; remove or replace the entry"
    if NUMBER.fullmatch(text) and len(token) <= SHOWN:
        kind = "float64" if math.isinf(float(text)) else "float32"
        return (
            f"the value {shown(token)}, beyond the range of {kind}; accepted: {accepted} in "
            f"range; rescale the feature{' or read it as float64' if kind == 'float32' else ''}"
        )
    what = f"{shown(token)} where a value belongs" if token else "nothing where a value belongs"
    return f"{what}; accepted: {accepted}; correct the line"


def _changed(token: bytes, rule: kernels.Rule) -> str:
    return (
        "more rows or entries than a moment ago; accepted: a file that nobody writes to; wait "
        "until it is whole and read it again"
    )


FOUND: dict[int, Callable[[bytes, kernels.Rule], str]] = {
    kernels.LABEL: _label,
    kernels.QID: _qid,
    kernels.INDEX: _index,
    kernels.COLON: _colon,
    kernels.ORDER: _order,
    kernels.RANGE: _range,
    kernels.VALUE: _value,
    kernels.CHANGED: _changed,
}
