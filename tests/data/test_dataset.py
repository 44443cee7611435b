"""`widemargin.open`: the same data set from text and from a store."""

import subprocess
import sys

import numpy as np
import pytest

import widemargin as wm
from widemargin.data.store import pack
from widemargin.errors import InputError

TEXT = b"spam 1:0.5 3:2\nham 2:1\nspam\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.svm"
    path.write_bytes(TEXT)
    return path


def test_text_and_store_are_one_data_set(tmp_path, path):
    pack([path], tmp_path / "s", shuffle=False)
    for source in (path, tmp_path / "s"):
        data = wm.open(source)
        assert data.X.toarray().tolist() == [[0.5, 0, 2], [0, 1, 0], [0, 0, 0]]
        assert data.y.tolist() == ["spam", "ham", "spam"]
        assert (data.n_samples, data.n_features, data.n_nonzeros) == (3, 3, 3)
        assert data.source == str(source) and not data.zero_based
        assert data.label_names == ("ham", "spam") and data.codes.tolist() == [1, 0, 1]


def test_the_matrix_shares_the_memory(tmp_path, path):
    pack([path], tmp_path / "s")
    for source in (path, tmp_path / "s"):
        data = wm.open(source)
        assert np.shares_memory(data.X.data, data.rows.values)
        assert np.shares_memory(data.X.indices, data.rows.indices)
        assert data.X.indices.dtype == data.X.indptr.dtype == np.int32
        assert data.X is data.X
        data.X.check_format(full_check=True)


def test_indices_beyond_int32(tmp_path):
    path = tmp_path / "wide.svm"
    path.write_bytes(b"1 5:1 4294967294:2\n")
    X = wm.open(path).X
    assert X.indices.tolist() == [4, 2**32 - 3] and X.shape == (1, 2**32 - 2)


def test_scikit_learn_takes_it(shared_data):
    from sklearn.linear_model import SGDClassifier

    data = wm.open(shared_data("mushrooms/mushrooms"))
    assert SGDClassifier(random_state=0).fit(data.X, data.y).score(data.X, data.y) == 1.0


def test_rows_without_labels_have_no_y(path):
    path.write_bytes(b"1:1\n")
    data = wm.open(path, unlabelled=True)
    assert data.X.shape == (1, 1)
    with pytest.raises(ValueError, match="a.svm: some rows have no label; accepted: .*X alone"):
        _ = data.y


def test_a_store_must_fit_what_is_asked(tmp_path, path):
    pack([path], tmp_path / "s")
    assert wm.open(tmp_path / "s", n_features=9).X.shape == (3, 9)
    with pytest.raises(InputError, match="found 3 features, but the model or caller has 2"):
        wm.open(tmp_path / "s", n_features=2)
    with pytest.raises(InputError, match="values of float32; accepted: dtype=float64"):
        wm.open(tmp_path / "s", dtype=np.float64)


def test_names_are_imported_on_first_use():
    code = "import sys, widemargin; assert 'numpy' not in sys.modules; widemargin.open"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "open" in dir(wm)
    with pytest.raises(AttributeError, match="'widemargin' has no attribute 'close'"):
        _ = wm.close
