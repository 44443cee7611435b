"""`pack` in bounded memory: the same rows, a random order, nothing left behind."""

import os

import numpy as np
import pytest

from widemargin.data import store_stream
from widemargin.data.store import open_store, pack, verify
from widemargin.data.store_writer import ArrayFile
from widemargin.errors import InputError

PLENTY = 2**36  # for the process of all tests, whatever it holds


@pytest.fixture
def source(tmp_path):
    path, rng = tmp_path / "a.svm", np.random.default_rng(0)
    lines = []
    for i in range(3000):
        columns = np.flatnonzero(rng.random(30) < 0.3) + 1
        lines.append(f"c{i % 3} " + " ".join(f"{j}:{rng.random():.4f}" for j in columns))
    path.write_text("\n".join(lines))
    return path


def row_list(kept):
    rows, names = kept.rows, kept.label_names
    return [
        (names[c], tuple(rows.indices[a:e].tolist()), tuple(rows.values[a:e].tolist()))
        for c, a, e in zip(kept.codes, rows.indptr, rows.indptr[1:], strict=False)
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_rows_in_an_order_that_the_seed_gives(tmp_path, source, dtype):
    plain = pack([source], tmp_path / "p", shuffle=False, dtype=dtype)
    kept = pack([source], tmp_path / "s", seed=7, dtype=dtype, max_memory=PLENTY)
    assert sorted(row_list(kept)) == sorted(row_list(plain)) and row_list(kept) != row_list(plain)
    assert kept.meta["seed"] == 7 and kept.rows.values.dtype == dtype
    assert sorted(os.listdir(tmp_path / "s")) == sorted(os.listdir(tmp_path / "p"))
    verify(tmp_path / "s")
    again = pack([source], tmp_path / "t", seed=7, dtype=dtype, max_memory=PLENTY)
    other = pack([source], tmp_path / "u", seed=8, dtype=dtype, max_memory=PLENTY)
    assert again.meta["digest"] == kept.meta["digest"] != other.meta["digest"]


def test_unshuffled_it_is_what_pack_writes_in_memory(tmp_path, source):
    other = tmp_path / "b.svm"
    other.write_bytes(b"new 0:1 40:2\nc1\n")
    how = {"shuffle": False, "threads": 2}
    plain = pack([source, other], tmp_path / "p", **how)
    kept = pack([source, other], tmp_path / "s", max_memory=PLENTY, **how)
    assert kept.meta == plain.meta  # digest, shape, names, zero-based: all


def test_small_blocks_of_text_and_an_index_0_that_comes_late(tmp_path, monkeypatch):
    monkeypatch.setattr(store_stream, "MOST_TEXT", 1 << 12)
    text = "".join(f"{i % 2} 1:{i} 5:1\n" for i in range(2000)) + "+1 0:3 7:1\n"
    (tmp_path / "a.svm").write_text(text)
    plain = pack([tmp_path / "a.svm"], tmp_path / "p", shuffle=False)
    kept = pack([tmp_path / "a.svm"], tmp_path / "s", shuffle=False, max_memory=PLENTY)
    assert kept.meta == plain.meta and kept.meta["zero_based"]


def test_piles_too_large_are_dealt_again(tmp_path, source, monkeypatch):
    monkeypatch.setattr(store_stream, "PILES", 2)
    monkeypatch.setattr(store_stream, "MOST_TEXT", 1 << 12)
    monkeypatch.setattr(store_stream, "AT_ONCE", 100)
    plain = pack([source], tmp_path / "p", shuffle=False)
    few = pack([source], tmp_path / "s", max_memory=PLENTY)
    monkeypatch.setattr(store_stream, "PILE_SHARE", PLENTY // 20_000)
    deals, deal = [], store_stream.Piles.deal

    def noted(self, parts, path, count):
        deals.append(path)
        return deal(self, parts, path, count)

    monkeypatch.setattr(store_stream.Piles, "deal", noted)
    kept = pack([source], tmp_path / "t", max_memory=PLENTY)
    assert len(deals) > 3 and len(set(deals)) == len(deals) and max(map(len, deals)) > 2
    assert sorted(row_list(kept)) == sorted(row_list(few)) == sorted(row_list(plain))


def test_every_order_is_as_likely():
    """Where each of 6 rows ends up, over many seeds: χ² with 25 degrees of freedom."""
    n, times, counts = 6, 3000, np.zeros((6, 6))
    rows = store_stream.Rows(
        np.arange(n, dtype=np.float32), np.zeros(n, np.uint32), np.ones(n, np.int64),
        np.zeros(n, np.int32),
    )  # fmt: skip
    for seed in range(times):
        where = (np.random.default_rng((seed, 0)).random(n) * 3).astype(np.int64)
        out = []
        for j, pile in enumerate(store_stream.split(rows, where, 3)):
            order = np.random.default_rng((seed, 1 + j)).permutation(len(pile.codes))
            out += [v for part in store_stream.in_order(pile, order) for v in part.values.tolist()]
        counts[np.array(out, int), np.arange(n)] += 1
    assert ((counts - times / n) ** 2 / (times / n)).sum() < 60.0


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, OSError(28, "No space left")])
@pytest.mark.parametrize("step", ["store_stream.in_order", "store_writer.ArrayFile._flush"])
def test_a_failure_half_way_leaves_nothing(tmp_path, source, monkeypatch, failure, step):
    def fail(*args):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(f"widemargin.data.{step}", fail)
        with pytest.raises(InputError if isinstance(failure, OSError) else failure):
            pack([source], tmp_path / "s", max_memory=PLENTY)
    assert os.listdir(tmp_path) == ["a.svm"]


def test_what_is_refused(tmp_path, source):
    with pytest.raises(ValueError, match=r"max_memory=1M is too small: .* Give \d+M or more"):
        pack([source], tmp_path / "s", max_memory=2**20)
    with pytest.raises(InputError, match="found 30 features; accepted: at most 29"):
        pack([source], tmp_path / "s", max_memory=PLENTY, n_features=29)
    (tmp_path / "e.svm").write_text("")
    with pytest.raises(InputError, match="no sample in the whole file"):
        pack([tmp_path / "e.svm"], tmp_path / "s", max_memory=PLENTY)
    assert sorted(os.listdir(tmp_path)) == ["a.svm", "e.svm"]
    assert pack([source], tmp_path / "s", max_memory=PLENTY, n_features=99).meta["shape"][1] == 99
    (tmp_path / "n.svm").write_text("1\n2\n")
    none = pack([tmp_path / "n.svm"], tmp_path / "n", max_memory=PLENTY)
    assert none.meta["shape"] == [2, 0] and none.meta["max_index"] == -1
    assert open_store(tmp_path / "n").label_names == ("1", "2")


@pytest.mark.parametrize("n", [0, 1, 999, 5000])
def test_an_array_file_is_what_numpy_writes(tmp_path, monkeypatch, n):
    monkeypatch.setattr("widemargin.data.store_writer.STRETCH", 4096)
    array = np.random.default_rng(0).integers(0, 2**31, n)
    out = ArrayFile(tmp_path / "a.npy", np.int64)
    for part in np.array_split(array, 7):
        out.append(part)
    out.finish()
    out.file.close()
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
