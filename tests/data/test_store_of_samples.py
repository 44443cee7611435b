"""A store of samples in memory: the same rows in another order, and nothing left behind."""

import os

import numpy as np
import pytest

from widemargin.data.rows import Dense, Sparse
from widemargin.data.samples import make_samples
from widemargin.data.store import open_store, verify
from widemargin.data.store_of_samples import PREFIX, kept_store
from widemargin.errors import InputError


def samples(weight=None):
    X = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0], [0.0, 0.0, 0.0], [4.0, 5.0, 6.0]])
    return make_samples(Dense(X), np.array([0, 1, 0, 2]), 3, weight)


def matrix(rows):
    X = np.zeros((len(rows.indptr) - 1, rows.n_features))
    X[np.repeat(np.arange(len(X)), np.diff(rows.indptr)), rows.indices] = rows.values
    return X


@pytest.mark.parametrize("seed", [None, 3])
def test_rows_labels_and_weights_move_together(seed, tmp_path):
    some = samples(np.array([1.0, 2.0, 3.0, 4.0]))
    with kept_store(some, tmp_path, seed) as kept:
        verify(kept.store)
        store, weight = open_store(kept.store), np.load(kept.weights)
        order = weight.astype(int) - 1
        assert sorted(order) == [0, 1, 2, 3]
        assert (order == np.arange(4)).all() == (seed is None)
        assert np.array_equal(matrix(store.rows), some.rows.X[order])
        assert np.array_equal(store.codes, some.codes[order])
        assert len(store.label_names) == 3
    assert list(tmp_path.iterdir()) == []


def test_weights_of_one_need_no_file(tmp_path):
    with kept_store(samples(), tmp_path, 0) as kept:
        assert kept.weights is None


def test_what_a_killed_process_left_goes(tmp_path):
    host = os.uname().nodename
    dead, alive = tmp_path / f"{PREFIX}{host}-99999999-x", tmp_path / f"{PREFIX}{host}-1-x"
    other = tmp_path / f"{PREFIX}elsewhere-99999999-x"
    for folder in (dead, alive, other):
        folder.mkdir()
    with kept_store(samples(), tmp_path, 0):
        assert not dead.exists() and alive.exists() and other.exists()


def test_too_many_features_are_refused(tmp_path):
    rows = Sparse(np.ones(1), np.zeros(1, np.uint64), np.array([0, 1]), 2**32)
    with pytest.raises(InputError, match="found 4294967296 features"):
        with kept_store(make_samples(rows, np.zeros(1), 2), tmp_path, 0):
            pass
