"""Every accepted form of svmlight text."""

import gzip

import numpy as np
import pytest

import widemargin as wm
from widemargin.data import svmlight
from widemargin.data.svmlight import read, read_blocks, read_text
from widemargin.errors import InputError


def dense(data):
    """The rows as lists of (index, value), for exact comparison."""
    rows = data.rows
    return [
        list(zip(rows.indices[a:e].tolist(), rows.values[a:e].tolist(), strict=True))
        for a, e in zip(rows.indptr, rows.indptr[1:], strict=False)
    ]


PLAIN = [[(0, 0.5), (2, -2.0)], [(1, 3.0)]]


@pytest.mark.parametrize(
    "text",
    [
        b"1 1:0.5 3:-2\n-1 2:3\n",
        b"1 1:0.5 3:-2\n-1 2:3",  # no final newline
        b"1 1:0.5 3:-2\r\n-1 2:3\r\n",
        b"1\t1:0.5   3:-2 \t\n\n  \n-1 2:3  \n",  # blanks and blank lines
        b"# head\n1 1:0.5 3:-2 # 7:7\n-1 2:3#\n   # tail",
        b"1 qid:3 1:0.5 3:-2\n-1 qid:4 2:3\n",
        b"1 1:.5 3:-2.\n-1 2:+3\n",
        b"1 1:5e-1 3:-0.2E+1\n-1 2:300e-2\n",
        b"1 001:0.50000000000000000000000 3:-2.000000000000000000000\n-1 2:3.0\n",
        b"\xef\xbb\xbf1 1:0.5 3:-2\n-1 2:3\n",  # a byte order mark
        b"  1 1:0.5 3:-2\n\t-1 2:3\n",
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [b"", b"\n" * 200])  # the slow and the fast path
def test_the_same_rows_in_many_forms(text, dtype, padding):
    data = read_text(text + padding, dtype=dtype)
    assert dense(data) == PLAIN
    assert data.rows.values.dtype == dtype
    assert data.rows.indices.dtype == np.uint32 and data.rows.indptr.dtype == np.int64
    assert not any(array.flags.writeable for array in data.rows[:3])
    assert data.label_names == ("-1", "1") and data.codes.tolist() == [1, 0]
    assert (data.n_features, data.zero_based) == (3, False)


def test_rows_without_entries_are_rows():
    data = read_text(b"1\n-1 2:3\n1\n")
    assert dense(data) == [[], [(1, 3.0)], []]
    assert read_text(b"1\n2\n").n_features == 0


@pytest.mark.parametrize("zero_based", [True, "auto"])
def test_an_index_zero_makes_the_file_zero_based(zero_based):
    data = read_text(b"1 1:1 3:2\n1 0:3 2:4\n", zero_based=zero_based)
    assert dense(data) == [[(1, 1.0), (3, 2.0)], [(0, 3.0), (2, 4.0)]]
    assert data.zero_based and data.n_features == 4


def test_zero_based_on_request_without_an_index_zero():
    data = read_text(b"1 1:1\n", zero_based=True)
    assert dense(data) == [[(1, 1.0)]] and data.n_features == 2 and data.zero_based


def test_n_features_widens():
    assert read_text(b"1 2:1\n", n_features=7).rows.n_features == 7
    assert read_text(b"1 7:1\n", n_features=7).rows.n_features == 7
    assert read_text(b"1 0:1 6:1\n", n_features=7).rows.n_features == 7


def test_the_largest_index():
    data = read_text(b"1 4294967294:1\n")
    assert data.rows.indices.tolist() == [2**32 - 3] and data.n_features == 2**32 - 2
    zero = read_text(b"1 0:1 4294967294:1\n")
    assert zero.rows.indices.tolist() == [0, 2**32 - 2] and zero.n_features == 2**32 - 1


def test_rows_without_labels():
    data = read_text(b"1:2 2:3\nspam 1:1\nqid:1 2:2\n", unlabelled=True)
    assert data.codes.tolist() == [-1, 0, -1]
    assert dense(data) == [[(0, 2.0), (1, 3.0)], [(0, 1.0)], [(1, 2.0)]]


@pytest.mark.parametrize("zero_based", [True, False, "auto"])
@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_blocks_are_the_file_in_order(tmp_path, zero_based, block_bytes):
    path = tmp_path / "a.svm"
    path.write_bytes(b"".join(b"%d %d:%d # c\n" % (i % 3, i % 7 + 1, i) for i in range(300)))
    whole = read(path, zero_based=zero_based)
    blocks = list(read_blocks(path, zero_based=zero_based, block_bytes=block_bytes, threads=2))
    assert [row for block in blocks for row in dense(block)] == dense(whole)
    labels = [block.label_names[code] for block in blocks for code in block.codes]
    assert labels == [whole.label_names[code] for code in whole.codes]
    assert (len(blocks) > 1) == (block_bytes < 1 << 20)


def with_a_zero_at(row, n=300):
    """Rows of the features 3 and 7, one of them of feature 0 too."""
    return b"".join(b"1 %s3:%d 7:0.5\n" % (b"0:2 " * (i == row), i) for i in range(n))


@pytest.mark.parametrize("row", [0, 150, 299, None])
@pytest.mark.parametrize("n_features", [None, 8, 9])
def test_compressed_text_read_in_parts_is_the_text(tmp_path, monkeypatch, row, n_features):
    """The base belongs to the whole file, wherever in it an index 0 appears."""
    monkeypatch.setattr(svmlight, "BLOCK", 500)
    (tmp_path / "a.gz").write_bytes(gzip.compress(with_a_zero_at(row)))
    whole = read_text(with_a_zero_at(row), n_features=n_features)
    data = read(tmp_path / "a.gz", n_features=n_features)
    assert dense(data) == dense(whole)
    assert (data.n_features, data.zero_based) == (whole.n_features, whole.zero_based)
    assert data.zero_based == (row is not None)


@pytest.mark.parametrize(
    "text, named",
    [
        (with_a_zero_at(0), "1:11: found index 7"),
        (with_a_zero_at(150), "151:13: found index 7"),
        (b"1 7:1\n" + b"1 6:1\n" * 300 + b"1 0:1\n", "302:3: found index 0"),
    ],
)
def test_an_index_too_high_once_a_zero_was_met(tmp_path, monkeypatch, text, named):
    monkeypatch.setattr(svmlight, "BLOCK", 500)
    (tmp_path / "a.gz").write_bytes(gzip.compress(text))
    with pytest.raises(InputError, match=f":{named}"):
        read(tmp_path / "a.gz", n_features=7)


def test_blocks_after_a_zero_are_zero_based_too(tmp_path):
    (tmp_path / "a.svm").write_bytes(with_a_zero_at(0))
    whole = read_text(with_a_zero_at(0))
    blocks = list(read_blocks(tmp_path / "a.svm", block_bytes=500))
    assert [row for block in blocks for row in dense(block)] == dense(whole)
    assert {(block.zero_based, block.rows.n_features) for block in blocks} == {(True, 8)}
    assert len(blocks) > 3


@pytest.mark.parametrize("chunk_bytes", [1, 7, 50, 1000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_chunks_and_threads_change_nothing(chunk_bytes, threads):
    lines = [b"l%d qid:1 %d:%d.5 %d:1e-3 # a:b\n\n" % (i % 9, i % 5, i, i + 9) for i in range(99)]
    text = b"".join(lines)
    whole = read_text(text)
    data = read_text(text, chunk_bytes=chunk_bytes, threads=threads)
    assert dense(data) == dense(whole) and whole.zero_based and data.zero_based
    assert data.label_names == whole.label_names
    assert np.array_equal(data.codes, whole.codes)


def test_the_same_from_scikit_learn(shared_data):
    from sklearn.datasets import load_svmlight_file

    names = ["a9a/a9a", "mushrooms/mushrooms", "rcv1_topics/binary.svm.gz", "news20/news20.svm.gz"]
    for name in names:
        path = shared_data(name)
        X, y = load_svmlight_file(path)
        data = wm.open(path, dtype=np.float64)
        assert data.X.shape == X.shape
        assert np.array_equal(data.X.indices, X.indices)
        assert np.array_equal(data.X.indptr, X.indptr)
        assert np.array_equal(data.X.data, X.data)
        assert np.array_equal(data.y, y)


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"zero_based": "yes"}, "zero_based='yes'"),
        ({"dtype": np.int32}, "int32"),
        ({"n_features": -1}, "n_features=-1"),
        ({"threads": -2}, "threads=-2"),
    ],
)
def test_wrong_options_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        read_text(b"1 1:1\n", **wrong)
