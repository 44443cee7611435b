"""The packed store: what goes in comes out, whole or not at all."""

import json
import os

import numpy as np
import pytest

from widemargin.data import store
from widemargin.data.store import open_store, pack, verify
from widemargin.data.svmlight import read
from widemargin.errors import InputError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.svm"
    rng = np.random.default_rng(0)
    lines = []
    for i in range(200):
        columns = np.flatnonzero(rng.random(30) < 0.3) + 1
        lines.append(f"c{i % 3} " + " ".join(f"{j}:{rng.random():.4f}" for j in columns))
    path.write_text("\n".join(lines))
    return path


def row_list(rows, codes, names):
    """Rows as tuples that can be compared: label, indices, values."""
    return [
        (names[c], tuple(rows.indices[a:e].tolist()), tuple(rows.values[a:e].tolist()))
        for c, a, e in zip(codes, rows.indptr, rows.indptr[1:], strict=False)
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_shuffled_once_by_the_seed(tmp_path, source, dtype):
    text = read(source, dtype=dtype)
    kept = pack([source], tmp_path / "s", seed=7, dtype=dtype, block_rows=16)
    expected = row_list(text.rows, text.codes, text.label_names)
    order = np.random.default_rng(7).permutation(200)
    assert row_list(kept.rows, kept.codes, kept.label_names) == [expected[i] for i in order]
    assert kept.meta["seed"] == 7 and kept.meta["block_rows"] == 16
    assert kept.rows.values.dtype == dtype and not kept.rows.values.flags.writeable
    verify(tmp_path / "s")


def test_several_sources_unshuffled(tmp_path, source):
    other = tmp_path / "b.svm"
    other.write_bytes(b"new 0:1 40:2\nc1\n")
    kept = pack([source, other], tmp_path / "s", shuffle=False)
    assert kept.meta["seed"] is None and kept.meta["shape"] == [202, 41]
    assert kept.label_names == ("c0", "c1", "c2", "new") and kept.meta["zero_based"]
    first = read(source)
    assert np.array_equal(kept.rows.indices[: len(first.rows.indices)], first.rows.indices + 1)
    assert kept.codes[-2:].tolist() == [3, 1]
    assert row_list(kept.rows, kept.codes, kept.label_names)[-2:] == [
        ("new", (0, 40), (1.0, 2.0)),
        ("c1", (), ()),
    ]


def test_the_files_need_numpy_alone(tmp_path, source):
    kept = pack([source], tmp_path / "s")
    assert sorted(os.listdir(tmp_path / "s")) == [
        "indices.npy",
        "indptr.npy",
        "labels.npy",
        "meta.json",
        "values.npy",
    ]
    assert np.array_equal(np.load(tmp_path / "s" / "values.npy"), kept.rows.values)
    assert json.loads((tmp_path / "s" / "meta.json").read_text())["format"] == "widemargin-store"


def test_a_store_without_entries(tmp_path):
    (tmp_path / "a.svm").write_text("1\n2\n")
    kept = pack([tmp_path / "a.svm"], tmp_path / "s")
    assert kept.meta["shape"] == [2, 0] and kept.meta["max_index"] == -1
    verify(tmp_path / "s")


def test_nothing_is_lost_unasked(tmp_path, source):
    pack([source], tmp_path / "s", seed=1)
    before = (tmp_path / "s" / "meta.json").read_bytes()
    with pytest.raises(InputError, match="something of that name.*overwrite=True"):
        pack([source], tmp_path / "s", seed=2)
    assert (tmp_path / "s" / "meta.json").read_bytes() == before
    assert pack([source], tmp_path / "s", seed=2, overwrite=True).meta["seed"] == 2
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="not a packed store"):
        pack([source], tmp_path / "mine", overwrite=True)
    with pytest.raises(InputError, match="no folder .*make it first"):
        pack([source], tmp_path / "absent" / "s")
    with pytest.raises(ValueError, match="block_rows=0"):
        pack([source], tmp_path / "t", block_rows=0)


STEPS = ["write_rows", "digest_of", "write_meta", "_flush", "gather_rows", "os.rename"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, OSError(28, "No space left")])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_half_way_leaves_nothing(tmp_path, source, monkeypatch, step, failure, existing):
    if existing:
        pack([source], tmp_path / "s", seed=1)
    before = sorted(os.listdir(tmp_path))
    calls = []

    def fail(*args, **kwargs):
        calls.append(step)
        raise failure

    expected = InputError if isinstance(failure, OSError) else failure
    with monkeypatch.context() as patch, pytest.raises(expected):
        patch.setattr(f"widemargin.data.store.{step}", fail)
        pack([source], tmp_path / "s", seed=2, overwrite=True)
    assert calls and sorted(os.listdir(tmp_path)) == before
    if existing:
        verify(tmp_path / "s")
        assert open_store(tmp_path / "s").meta["seed"] == 1


def test_an_interrupted_replacement_puts_the_old_one_back(tmp_path, source, monkeypatch):
    pack([source], tmp_path / "s", seed=1)
    rename, calls = os.rename, []

    def second_fails(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("widemargin.data.store.os.rename", second_fails)
        pack([source], tmp_path / "s", seed=2, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["a.svm", "s"]
    assert open_store(tmp_path / "s").meta["seed"] == 1


def edited(**changes):
    def edit(folder):
        meta = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps({**meta, **changes}))

    return edit


def cut(name):
    return lambda folder: os.truncate(folder / name, 140)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "meta.json").write_text("{"), "no readable JSON"),
        (lambda folder: (folder / "meta.json").write_text("[]"), "another program's format"),
        (edited(format="other"), "another program's format"),
        (edited(version=2), "found version 2; accepted: up to 1; update widemargin"),
        (edited(version="x"), "version 'x'"),
        (edited(shape=[3]), "no shape"),
        (edited(shape=[199, 30]), "of shape"),
        (edited(nnz=-1), "of shape"),
        (edited(max_index=30), "a highest index"),
        (lambda folder: os.remove(folder / "values.npy"), "values.npy: found no readable array"),
        (cut("indices.npy"), "indices.npy: found no readable array"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros(200)), "float64 of shape"),
        (lambda folder: np.save(folder / "indptr.npy", np.ones(201, np.int64)), "ends or a high"),
    ],
)
def test_damaged_stores_are_refused(tmp_path, source, damage, message):
    pack([source], tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(InputError, match=message) as caught:
        open_store(tmp_path / "s")
    assert "; accepted: " in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("name", list(store.ARRAYS))
def test_verify_sees_one_changed_entry(tmp_path, source, name):
    pack([source], tmp_path / "s")
    array = np.load(tmp_path / "s" / f"{name}.npy")
    array[3] += 1
    np.save(tmp_path / "s" / f"{name}.npy", array)
    open_store(tmp_path / "s")
    with pytest.raises(InputError, match="the digest sha256:.*pack the data again"):
        verify(tmp_path / "s")
