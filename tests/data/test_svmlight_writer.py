"""The writer: what it spells is what C's %g spells, and what other readers read back."""

import numpy as np
import pytest
from sklearn.datasets import load_svmlight_file

from widemargin.data.rows import Sparse
from widemargin.data.svmlight_writer import BLOCK, write_svmlight
from widemargin.data.synthetic import rcv1_like

EDGES = [
    0,
    1,
    10,
    100,
    123456,
    1234567,
    12345678,
    9.9999999,
    0.99999999,
    99999.999,
    1e-4,
    9.9999999e-5,
    1e30,
    1e-30,
    1e-38,
    1e-44,
    1e38,
    0.5,
    0.25,
    -0.75,
    -1e-7,
    1000000,
]


def one_row(values, dtype):
    values = np.asarray(values, dtype)
    indices = np.arange(values.size, dtype=np.uint32)
    return Sparse(values, indices, np.array([0, values.size]), values.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("digits", range(1, 10))
def test_numbers_are_spelt_as_by_printf(tmp_path, dtype, digits):
    rng = np.random.default_rng(digits)
    wide = 10.0 ** rng.uniform(-14, 14, 3000) * rng.choice([-1, 1], 3000)
    rows = one_row(np.concatenate([EDGES, wide, rng.random(3000)]), dtype)
    write_svmlight(tmp_path / "a", rows, ["x"], digits=digits)
    wanted = [f"{k}:{float(value):.{digits}g}" for k, value in enumerate(rows.values, start=1)]
    assert (tmp_path / "a").read_text() == "x " + " ".join(wanted) + "\n"


def test_a_corpus_of_several_blocks_is_read_back(tmp_path):
    split = rcv1_like(2 * BLOCK + 77, 1, 3000, seed=5).train
    labels = np.array([-1, 1])[split.codes]
    write_svmlight(tmp_path / "a", split.rows, labels, digits=9, n_jobs=3)
    X, y = load_svmlight_file(tmp_path / "a", n_features=3000, dtype=np.float32, zero_based=False)
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_array_equal(X.indptr, split.rows.indptr)
    np.testing.assert_array_equal(X.indices, split.rows.indices)
    np.testing.assert_array_equal(X.data, split.rows.values)


def test_seven_digits_by_default(tmp_path):
    rows = one_row([1 / 3, 2 / 3e5], np.float64)
    write_svmlight(tmp_path / "a", rows, [1])
    assert (tmp_path / "a").read_text() == "1 1:0.3333333 2:6.666667e-06\n"


def test_threads_do_not_change_the_file(tmp_path):
    split = rcv1_like(2 * BLOCK, 1, 500).train
    for n_jobs in (1, 3):
        write_svmlight(tmp_path / str(n_jobs), split.rows, split.codes, n_jobs=n_jobs)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


def test_empty_rows_labels_of_any_spelling_and_wide_columns(tmp_path):
    columns = np.array([2**32, 2**63], np.uint64)
    rows = Sparse(np.array([0.5, 2.0]), columns, np.array([0, 0, 1, 1, 2]), 2**63 + 1)
    write_svmlight(tmp_path / "a", rows, ["ham", "spam", "ham", "né"])
    wanted = f"ham\nspam {2**32 + 1}:0.5\nham\nné {2**63 + 1}:2\n"
    assert (tmp_path / "a").read_text(encoding="utf-8") == wanted


@pytest.mark.parametrize("digits", [0, 10])
def test_digits_out_of_range(tmp_path, digits):
    with pytest.raises(ValueError, match=f"digits={digits} .* Choose 1 to 9"):
        write_svmlight(tmp_path / "a", one_row([1.0], float), [1], digits=digits)


def test_a_label_a_row(tmp_path):
    with pytest.raises(ValueError, match=r"labels has shape \(2,\) for 1 rows. Give one label"):
        write_svmlight(tmp_path / "a", one_row([1.0], float), [1, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_without_a_spelling_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match="NaN or an infinity"):
        write_svmlight(tmp_path / "a", one_row([1.0, bad], float), [1])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("widemargin.data.svmlight_writer._format_rows", broken)
    with pytest.raises(OSError, match="No space"):
        write_svmlight(tmp_path / "a", one_row([1.0], float), [1])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
