"""Words to rows: bit for bit what scikit-learn's vectorisers make, however many processes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from corpora import documents
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from widemargin.errors import InputError, WidemarginError
from widemargin.features.processes import in_order
from widemargin.features.text import Weighing, fit_text
from widemargin.features.vocabulary import Limits
from widemargin.features.words import WordRule, count, english, stop_words, terms_of

DOCUMENTS = documents(300)
PIECES = [DOCUMENTS[i : i + 40] for i in range(0, len(DOCUMENTS), 40)]


PLAIN, WEIGHED, ALL = WordRule(), Weighing(), Limits()


def fitted(rule=PLAIN, weighing=WEIGHED, limits=ALL, train=None, pieces=PIECES):
    counted = [count(rule, piece) for piece in pieces]
    return fit_text(("text",), rule, weighing, limits, counted, train, "mail")


def equal(X, expected):
    """Every bit: values, columns, rows."""
    expected.sort_indices()
    assert X.shape == expected.shape
    assert np.array_equal(X.indptr, expected.indptr)
    assert np.array_equal(X.indices, expected.indices)
    assert np.array_equal(X.data, expected.data)


CASES = [
    (WordRule(), Weighing(), Limits()),
    (WordRule(ngram_range=(1, 2)), Weighing(sublinear_tf=True), Limits(2, 0.5)),
    (WordRule(analyzer="char", ngram_range=(2, 4)), Weighing(), Limits(0.01, 1.0, 50)),
    (WordRule(analyzer="char_wb", ngram_range=(3, 3)), Weighing(norm="l1"), Limits(3)),
    (WordRule(lowercase=False, token_pattern=r"\S+"), Weighing(use_idf=False), Limits(1, 200)),
    (WordRule(strip_accents="unicode"), Weighing(norm=None, smooth_idf=False), Limits(1, 1.0, 9)),
    (WordRule(stop_words=("the", "home", "you"), binary=True), Weighing(), Limits(2, 1.0, 12)),
]


@pytest.mark.parametrize(("rule", "weighing", "limits"), CASES)
def test_the_matrix_is_scikit_learns_bit_for_bit(rule, weighing, limits):
    options = rule._asdict()
    del options["n_hashed"], options["alternate_sign"]
    options["stop_words"] = list(rule.stop_words) or None
    theirs = TfidfVectorizer(**options, **weighing._asdict(), **limits._asdict()).fit(DOCUMENTS)
    features, X = fitted(rule, weighing, limits)
    assert list(features.terms) == theirs.get_feature_names_out().tolist()
    equal(X, theirs.transform(DOCUMENTS))
    equal(
        features.transform([count(rule, ["lunch unheard now", ""])]),
        theirs.transform(["lunch unheard now", ""]),
    )


def test_terms_hashed_are_scikit_learns_bit_for_bit():
    rule = WordRule(n_hashed=64, ngram_range=(1, 2))
    theirs = make_pipeline(
        HashingVectorizer(n_features=64, ngram_range=(1, 2), norm=None, alternate_sign=False),
        TfidfTransformer(sublinear_tf=True),
    )
    expected = theirs.fit_transform(DOCUMENTS)
    _, X = fitted(rule, Weighing(sublinear_tf=True))
    equal(X, expected)


def test_a_split_fits_on_the_rows_for_training_alone():
    train = np.arange(0, len(DOCUMENTS), 3)
    theirs = TfidfVectorizer(min_df=2).fit([DOCUMENTS[i] for i in train])
    features, X = fitted(limits=Limits(2), train=train)
    assert list(features.terms) == theirs.get_feature_names_out().tolist()
    equal(X, theirs.transform([DOCUMENTS[i] for i in train]))
    rest = features.transform([count(WordRule(), piece) for piece in PIECES])
    equal(rest, theirs.transform(DOCUMENTS))


def test_two_processes_give_the_same_pieces_in_the_same_order():
    import functools

    work = functools.partial(count, WordRule(ngram_range=(1, 2)))
    for one, other in zip(in_order(work, PIECES * 4, 2), map(work, PIECES * 4), strict=True):
        assert one.terms == other.terms
        assert all(np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))


def test_a_failure_in_a_process_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(in_order((1).__floordiv__, [1, 1, 1, 0, 0, 0, 0, 0], 2))


def test_a_process_that_is_killed_is_said_in_one_sentence():
    with pytest.raises(WidemarginError, match=r"was killed.*--n-jobs 1"):
        list(in_order(die_elsewhere, [os.getpid()] * 9, 2))


def die_elsewhere(parent):
    if os.getpid() != parent:
        os._exit(9)


def test_kept_features_transform_alike_in_a_new_process(tmp_path):
    import widemargin as wm
    from widemargin.data.records import Reading
    from widemargin.features.fitted import Features
    from widemargin.model import Model

    rule = WordRule(analyzer="char", ngram_range=(1, 3))
    features, X = fitted(rule, Weighing(sublinear_tf=True))
    model = Model(np.arange(features.n_features, dtype=float), np.zeros(1), ("a", "b"))
    wm.save(model, tmp_path / "m", features=Features(features, None, Reading("jsonl")))
    np.save(tmp_path / "documents.npy", np.array(DOCUMENTS))
    code = (
        "import sys, numpy as np, widemargin as wm\n"
        "from widemargin.features.words import count\n"
        "model = wm.load(sys.argv[1])\n"
        "text = model.features.text\n"
        "X = text.transform([count(text.rule, np.load(sys.argv[2]).tolist())])\n"
        "np.savez(sys.argv[3], data=X.data, indices=X.indices, indptr=X.indptr)\n"
    )
    paths = [str(tmp_path / name) for name in ("m", "documents.npy", "X.npz")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
    with np.load(paths[2]) as found:
        for name in ("data", "indices", "indptr"):
            assert np.array_equal(found[name], getattr(X, name)), name


@pytest.mark.parametrize(
    ("pieces", "limits", "words"),
    [
        ([["", "!"], ["?"]], Limits(), ("no word in 3 documents", "--tokens", "--text")),
        ([["one two"], ["three"]], Limits(2), ("none of 3 words", "min_df=2", "1 of 2 documents")),
        ([["one"], ["one"]], Limits(1, 0.5), ("none of 1 words", "max_df=0.5", "2 of 2")),
    ],
)
def test_no_words_left_says_what_was_asked_and_what_there_is(pieces, limits, words):
    with pytest.raises(InputError) as caught:
        fitted(limits=limits, pieces=pieces)
    assert all(word in str(caught.value) for word in words), caught.value
    if limits == ALL:
        with pytest.raises(InputError, match="no word in 3 documents"):
            fitted(WordRule(n_hashed=8), pieces=pieces)


def test_stop_words_are_spelt_as_the_tokens_are():
    assert stop_words(["Don't", "THE", "a"], WordRule()) == ("don", "the")
    assert {"the", "and"} <= set(english())
    assert terms_of(WordRule(stop_words=("the",)), "The cat, the hat") == ["cat", "hat"]
