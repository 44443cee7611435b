"""The RCV1-shaped corpus: drawn from the seed alone, shaped as it says, learnable, calibrated."""

import numpy as np
import pytest
from numba import njit
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score

from widemargin.data.synthetic import LONGEST, Split, rcv1_like
from widemargin.data.topic_model import Shape, _topic_codes, alias_table

D = 8000


@pytest.fixture(scope="module")
def corpus():
    return rcv1_like(12_000, 3_000, D, seed=3, n_jobs=2)


def parts(split):
    return {**split.rows._asdict(), "codes": split.codes}


def assert_same(one: Split, other: Split):
    for name, array in parts(one).items():
        np.testing.assert_array_equal(array, parts(other)[name], err_msg=name)


@pytest.mark.parametrize("n_jobs", [1, 3, None])
def test_threads_do_not_change_the_corpus(corpus, n_jobs):
    again = rcv1_like(12_000, 3_000, D, seed=3, n_jobs=n_jobs)
    assert_same(corpus.train, again.train)
    assert_same(corpus.test, again.test)


def test_seeds_draw_other_documents(corpus):
    other = rcv1_like(12_000, 3_000, D, seed=4)
    assert not np.array_equal(corpus.train.codes, other.train.codes)
    assert not np.array_equal(corpus.train.rows.indptr, other.train.rows.indptr)


def test_train_and_test_share_no_document(corpus):
    n = 3000
    assert not np.array_equal(corpus.train.rows.indptr[: n + 1], corpus.test.rows.indptr)
    assert (corpus.train.codes[:n] == corpus.test.codes).mean() < 0.6


def test_words_of_a_document_do_not_depend_on_the_size_of_the_corpus(corpus):
    """Only the weights do, through the document frequencies."""
    small = rcv1_like(500, 10, D, seed=3).train
    nnz = small.rows.values.size
    np.testing.assert_array_equal(small.rows.indices, corpus.train.rows.indices[:nnz])
    np.testing.assert_array_equal(small.codes, corpus.train.codes[:500])


@pytest.mark.parametrize("name", ["train", "test"])
def test_rows_are_well_formed(corpus, name):
    rows, codes = getattr(corpus, name)
    types = rows.values.dtype, rows.indices.dtype, rows.indptr.dtype, codes.dtype
    assert types == (np.float32, np.uint32, np.int64, np.int32)
    assert rows.indptr[0] == 0 and rows.indptr[-1] == rows.values.size == rows.indices.size
    assert len(codes) == len(rows.indptr) - 1
    sizes = np.diff(rows.indptr)
    assert 1 <= sizes.min() and sizes.max() <= LONGEST
    assert rows.indices.max() < rows.n_features == D
    rises = np.diff(rows.indices.astype(np.int64)) > 0
    starts = rows.indptr[1:-1] - 1  # a step from one row into the next may go down
    assert np.delete(rises, starts).all()
    assert (rows.values > 0).all()
    norms = np.add.reduceat(rows.values.astype(np.float64) ** 2, rows.indptr[:-1])
    np.testing.assert_allclose(norms, 1.0, atol=1e-6)


def share_of_whole_counts(rows, df, n):
    """exp(x_w / idf_w ÷ least in the row − 1) is tf_w in rows that have a word only once."""
    ratio = rows.values / np.log1p(n / np.maximum(df, 1))[rows.indices]  # (1 + log tf) / norm
    least = np.repeat(np.minimum.reduceat(ratio, rows.indptr[:-1]), np.diff(rows.indptr))
    tf = np.exp(ratio / least - 1.0)
    return (np.abs(tf - np.round(tf)) < 1e-3).mean()


def test_idf_comes_from_the_training_rows_alone(corpus):
    train, test = (np.bincount(part.rows.indices, minlength=D) for part in corpus[:2])
    assert share_of_whole_counts(corpus.train.rows, train, 12_000) > 0.99
    assert share_of_whole_counts(corpus.test.rows, train, 12_000) > 0.99
    assert share_of_whole_counts(corpus.test.rows, test, 3_000) < 0.2


def test_shape_of_the_text(corpus):
    rows, codes = corpus.train
    assert codes.mean() == pytest.approx(0.47, abs=0.015)
    assert 60 < np.diff(rows.indptr).mean() < 90
    df = np.sort(np.bincount(rows.indices, minlength=D))[::-1] / len(codes)
    assert 0.15 < df[0] < 0.6
    slopes = np.diff(np.log(df[[9, 99, 999, 4999]])) / np.diff(np.log([10, 100, 1000, 5000]))
    assert (np.diff(slopes) < 0).all()  # ever steeper, as in RCV1
    assert (df > 0).mean() > 0.95


def test_topic_classes_have_the_balance():
    share = 1.0 / (np.arange(Shape().topics) + 5.0)
    share /= share.sum()
    assert share @ _topic_codes(share, 0.47) == pytest.approx(0.47, abs=0.005)


def test_alias_table_gives_the_probabilities_back():
    p = np.random.default_rng(0).pareto(1.0, size=1000) + 1e-9
    threshold, alias = alias_table(p)
    keep = (threshold + 1.0) / 2**32
    got = (keep + np.bincount(alias, weights=1.0 - keep, minlength=p.size)) / p.size
    np.testing.assert_allclose(got, p / p.sum(), atol=1e-9)


def test_learnable_but_not_separable(corpus):
    import scipy.sparse as sp

    def matrix(split):
        rows = split.rows
        return sp.csr_matrix(
            (rows.values, rows.indices.astype(np.int32), rows.indptr), (len(split.codes), D)
        )

    clf = SGDClassifier(alpha=1e-4, average=True, random_state=0)
    clf.fit(matrix(corpus.train), corpus.train.codes)
    score = accuracy_score(corpus.test.codes, clf.predict(matrix(corpus.test)))
    assert 0.85 < score < 0.97


def test_a_corpus_of_one_document_and_one_word():
    corpus = rcv1_like(1, 1, 1)
    np.testing.assert_array_equal(corpus.train.rows.values, [1.0])
    np.testing.assert_array_equal(corpus.test.rows.indices, [0])


@pytest.mark.parametrize("name", ["n_train", "n_test", "n_features"])
def test_an_empty_corpus_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        rcv1_like(**{"n_train": 5, "n_test": 5, "n_features": 5, name: 0})


# -- the published figures, from a solver of the test's own ------------------------------------


@njit(nogil=True, error_model="numpy", fastmath=True)
def scores(values, indices, indptr, w, out):
    for i in range(out.size):
        p = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            p += values[k] * w[indices[k]]
        out[i] = p


@njit(nogil=True, error_model="numpy")
def add_rows(values, indices, indptr, weights, w):
    for i in range(weights.size):
        for k in range(indptr[i], indptr[i + 1]):
            w[indices[k]] += weights[i] * values[k]


@njit(nogil=True, error_model="numpy", fastmath=True)
def ascend(values, indices, indptr, y, b, C, alpha, w):
    """One pass of dual coordinate ascent for a fixed intercept b (Hsieh et al., 2008)."""
    for i in range(y.size):
        xs, js = values[indptr[i] : indptr[i + 1]], indices[indptr[i] : indptr[i + 1]]
        p = b
        for k in range(xs.size):
            p += xs[k] * w[js[k]]
        new = min(max(alpha[i] + 1.0 - y[i] * p, 0.0), C)
        step = (new - alpha[i]) * y[i]
        alpha[i] = new
        if step != 0.0:
            for k in range(xs.size):
                w[js[k]] += step * xs[k]


def bounds(arrays, y, lam, alpha, w):
    """(upper, lower) bound of min f and the intercept; alpha is first made to balance."""
    p = np.empty(y.size)
    scores(*arrays, w, p)
    b = np.partition(y - p, (y > 0).sum() - 1)[(y > 0).sum() - 1]
    upper = np.maximum(0.0, 1.0 - y * (p + b)).mean() + lam / 2 * w @ w
    excess = alpha @ y
    side = y * excess > 0
    feasible = np.where(side, alpha * (1.0 - abs(excess) / alpha[side].sum()), alpha)
    v = np.zeros_like(w)
    add_rows(*arrays, feasible * y, v)
    return upper, lam * (feasible.sum() - v @ v / 2), b


@pytest.mark.slow
def test_the_optimum_on_the_full_corpus_is_the_published_one():
    """min (1/n) Σ max(0, 1 − yᵢ(w·xᵢ + b)) + (λ/2)‖w‖², λ = 1e-4: 0.2275 and 6.02 %."""
    corpus, lam = rcv1_like(), 1e-4
    arrays = corpus.train.rows[:3]
    y = 2.0 * corpus.train.codes - 1.0
    alpha, w, b = np.zeros(y.size), np.zeros(corpus.train.rows.n_features), 0.0
    for _ in range(36):
        ascend(*arrays, y, b, 1.0 / (lam * y.size), alpha, w)
        b += 5.0 * lam * (alpha @ y)  # at the optimum the two classes weigh the same
    upper, lower, b = bounds(arrays, y, lam, alpha, w)
    assert (upper - lower) / upper < 1e-3
    assert upper == pytest.approx(0.2275, abs=0.001)
    p = np.empty(corpus.test.codes.size)
    scores(*corpus.test.rows[:3], w, p)
    error = 100 * ((p + b > 0) != (corpus.test.codes == 1)).mean()
    assert error == pytest.approx(6.02, abs=0.10)
    assert corpus.train.rows.values.size / y.size == pytest.approx(76.6, abs=0.3)
    assert np.bincount(corpus.train.rows.indices, minlength=47_153).min() > 0
