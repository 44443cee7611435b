"""One question: do the compiled reader and the reference say the same of a text?"""

import re

import numpy as np
import reference_reader

from widemargin.data.svmlight import read_text
from widemargin.errors import InputError

LONGEST = 400  # characters of an error message


def check(text, **how):
    """Both accept with equal contents, or both reject at the same line and column.

    Returns whether the text was accepted; chunk_bytes and threads are for the compiled one.
    """
    grammar = {key: how[key] for key in how if key not in ("chunk_bytes", "threads")}
    try:
        expected = reference_reader.read(text, **grammar)
    except reference_reader.Rejected as rejected:
        check_message(rejection(text, how), rejected.args)
        return False
    check_contents(read_text(text, **how), expected)
    return True


def rejection(text, how):
    try:
        read_text(text, **how)
    except InputError as error:
        return str(error)
    raise AssertionError(f"accepted, though the reference rejects it: {text!r} {how}")


def check_message(message, place):
    line, column = place
    assert message.startswith(f"<text>:{line}:{column}: found "), (message, place)
    assert message.isprintable() and len(message) < LONGEST, message
    assert re.search(r"; accepted: .*; ", message), message


def check_contents(found, expected):
    rows = found.rows
    assert np.array_equal(np.diff(rows.indptr), [len(row) for row in expected.rows])
    indices = [j for row in expected.rows for j, _ in row]
    values = np.array([x for row in expected.rows for _, x in row])
    assert np.array_equal(rows.indices.astype(np.int64) + (not found.zero_based), indices)
    rounded = values.astype(rows.values.dtype)
    assert np.all(np.abs(rows.values - rounded) <= np.spacing(np.abs(rounded))), (values, rows)
    same = (rows.values == rounded).mean() if len(values) else 1.0
    assert same == 1.0 or rows.values.dtype == np.float64, (rows.values, rounded)
    assert len(indices) == 0 or indices[0] < 2**32 and found.n_features >= max(rows.indices) + 1
    check_labels(found, [None if label is None else label.decode() for label in expected.labels])


def check_labels(found, labels):
    """Every row has its spelling, or a number equal to it."""
    names = [None if code < 0 else found.label_names[code] for code in found.codes]
    for name, label in zip(names, labels, strict=True):
        assert name == label or float(name) == float(label), (name, label)
    assert sorted(set(found.codes[found.codes >= 0])) == list(range(len(found.label_names)))
