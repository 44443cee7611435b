"""Round trips and mutations: the compiled reader and the plain-Python twin say the same."""

import random

import agreement
import mutations
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from widemargin.data.svmlight import read_text

HOW = {
    "zero_based": st.sampled_from(["auto", True, False]),
    "n_features": st.sampled_from([None, None, 5, 5000]),
    "unlabelled": st.booleans(),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "chunk_bytes": st.sampled_from([1, 13, 64, 1 << 20]),
    "threads": st.sampled_from([1, 1, 3]),
}
patient = settings(max_examples=200, deadline=None, derandomize=True)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)
entries = st.dictionaries(st.integers(1, 2**32 - 2), finite, max_size=6)
names = st.text(st.characters(categories=["L", "N", "P"], exclude_characters="#:"), min_size=1)


@patient
@given(st.lists(st.tuples(names, entries), min_size=1, max_size=9), st.sampled_from([1, 50, 9999]))
def test_what_is_written_is_read(rows, chunk_bytes):
    lines = [
        " ".join([label, *(f"{j}:{x!r}" for j, x in sorted(row.items()))]) for label, row in rows
    ]
    data = read_text("\n".join(lines).encode(), chunk_bytes=chunk_bytes, threads=2)
    assert data.rows.indptr.tolist() == [0, *np.cumsum([len(row) for _, row in rows])]
    pairs = [pair for _, row in rows for pair in sorted(row.items())]
    assert (data.rows.indices.astype(np.int64) + 1).tolist() == [j for j, _ in pairs]
    assert data.rows.values.tolist() == [x for _, x in pairs]
    spelt = [data.label_names[code] for code in data.codes]
    assert all(a == b or float(a) == float(b) for a, (b, _) in zip(spelt, rows, strict=True))


@patient
@given(st.binary(max_size=200), st.fixed_dictionaries(HOW))
def test_noise(text, how):
    agreement.check(text, **how)


@patient
@given(st.text("01259:.-+e# \t\n\rqidnaf", max_size=80).map(str.encode), st.fixed_dictionaries(HOW))
def test_letters_of_the_grammar(text, how):
    agreement.check(text, **how)


@patient
@given(st.integers(0, 2**40), st.fixed_dictionaries(HOW))
def test_mutated_files(seed, how):
    agreement.check(mutations.any_text(random.Random(seed)), **how)


def test_both_answers_occur():
    """The generator of the tests above makes texts of both kinds, enough of each."""
    accepted = [agreement.check(mutations.any_text(random.Random(seed))) for seed in range(300)]
    assert 50 < sum(accepted) < 250
