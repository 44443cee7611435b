"""The svmlight format once more, in plain Python: slow, short, and written from the grammar."""

import re
from typing import NamedTuple

import numpy as np

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LARGEST = 2**32 - 2


class Rejected(Exception):
    """Line and column, from 1, of the first fault."""


class Document(NamedTuple):
    labels: list  # bytes, or None where the row has no label
    rows: list  # lists of (index as written, float)
    high: int
    zero: bool


def read(text, *, zero_based="auto", n_features=None, unlabelled=False, dtype=np.float32):
    """The document, or Rejected(line, column)."""
    document = _read(text, zero_based, n_features, unlabelled, dtype)
    if zero_based == "auto" and document.zero and document.high == n_features:
        _read(text, True, n_features, unlabelled, dtype)
    if not document.rows:
        raise Rejected(1, 1)
    return document


def _read(text, zero_based, n_features, unlabelled, dtype):
    below = 0 if zero_based is False else -1
    last = LARGEST
    if n_features is not None:
        last = min(last, n_features - (zero_based is True))
    labels, rows = [], []
    for number, line in enumerate(text.split(b"\n"), 1):
        skip = 3 if number == 1 and line.startswith(b"\xef\xbb\xbf") else 0
        body = line[skip:].partition(b"#")[0]
        tokens = [(m.start() + skip + 1, m[0]) for m in re.finditer(rb"[^ \t\r]+", body)]
        if tokens:
            labels.append(_label(number, tokens, unlabelled))
            rows.append(_row(number, tokens, below, last, dtype))
    indices = [j for row in rows for j, _ in row]
    return Document(labels, rows, max(indices, default=-1), 0 in indices)


def _label(number, tokens, unlabelled):
    """The row's label, taken off the tokens."""
    column, token = tokens[0]
    colon = token.find(b":")
    control = re.search(rb"[\x00-\x1f\x7f]", token[: colon if colon >= 0 else None])
    if control or (colon >= 0 and not unlabelled):
        raise Rejected(number, column)
    if colon >= 0:
        return None
    try:
        token.decode()
    except UnicodeDecodeError:
        raise Rejected(number, column) from None
    return tokens.pop(0)[1]


def _row(number, tokens, below, last, dtype):
    if tokens and tokens[0][1].startswith(b"qid:"):
        if not re.fullmatch(rb"qid:\d+", tokens[0][1]):
            raise Rejected(number, tokens[0][0])
        tokens = tokens[1:]
    row = []
    for column, token in tokens:
        head, colon, tail = token.partition(b":")
        index = int(head) if head.isdigit() else -1
        if not colon or not below < index <= last:
            raise Rejected(number, column)
        with np.errstate(over="ignore"):
            good = NUMBER.fullmatch(tail) and np.isfinite(dtype(float(tail)))
        if not good:
            raise Rejected(number, column + len(head) + 1)
        row.append((index, float(tail)))
        below = index
    return row
