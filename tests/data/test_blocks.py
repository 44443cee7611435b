"""Blocks of a store: cut to fit, each row once, errors of the reader thread, pages given back."""

import os
import threading

import numpy as np
import pytest

from widemargin.data import windows
from widemargin.data.blocks import block_at, make_blocks, through, visit
from widemargin.data.dataset import open as open_data
from widemargin.data.rows import Sparse
from widemargin.data.store import write_meta
from widemargin.data.store_stream import Facts
from widemargin.data.store_writer import StoreWriter
from widemargin.data.windows import bring_in, give_back, row_array, span_of
from widemargin.errors import InputError

N, D = 5000, 40


@pytest.fixture
def store(tmp_path):
    """Row i holds the value i in its first entry."""
    rng, folder = np.random.default_rng(0), tmp_path / "s"
    folder.mkdir()
    lengths = rng.integers(1, 12, N)
    values = rng.random(lengths.sum()).astype(np.float32)
    values[np.cumsum(lengths) - lengths] = np.arange(N)
    indices = np.concatenate([np.sort(rng.permutation(D)[:k]) for k in lengths])
    with StoreWriter(folder, "float32") as out:
        for a in range(0, N, 700):
            part = slice(lengths[:a].sum(), lengths[: a + 700].sum())
            codes = np.arange(a, min(a + 700, N)) % 2
            out.append(values[part], indices[part], lengths[a : a + 700], codes)
    write_meta(folder, Facts(("a", "b"), D, D - 1, False), {"seed": 0})
    return folder


def ids(block):
    rows = block.samples.rows
    return rows.values[rows.indptr[:-1]].astype(int)


@pytest.mark.parametrize("window", [1, 5000, 40_000, 10**9])
def test_blocks_fit_the_window_and_cover_every_row(store, window):
    data = open_data(store)
    blocks = make_blocks(data, window, beside=16)
    assert blocks.edges[0] == 0 and blocks.edges[-1] == N and (np.diff(blocks.edges) > 0).all()
    assert np.array_equal(blocks.entries, data.rows.indptr[blocks.edges])
    sizes = np.diff(blocks.entries) * 8 + np.diff(blocks.edges) * (8 + 4 + 8 + 16)
    assert window == 1 or sizes.max() <= window
    assert blocks.many == (N if window == 1 else blocks.many)
    assert window != 10**9 or blocks.many == 1


def test_each_row_is_seen_once_in_the_order_asked_for(store):
    blocks = make_blocks(open_data(store), 5000)
    order = np.random.default_rng(1).permutation(blocks.many)
    seen = [(block.start, ids(block)) for block in visit(blocks, order)]
    assert [start for start, _ in seen] == blocks.edges[order].tolist()
    assert np.array_equal(np.sort(np.concatenate([found for _, found in seen])), np.arange(N))
    again = [ids(block) for block in through(blocks)]
    assert np.array_equal(np.concatenate(again), np.arange(N))
    assert list(visit(blocks, [])) == []


def test_samples_of_a_block(store):
    data = open_data(store)
    blocks = make_blocks(data, 5000, class_weight=np.array([1.0, 3.0]))
    block = block_at(blocks, 3)
    assert block.samples.codes.tolist() == data.codes[block.start : block.stop].tolist()
    assert len(block.samples.weight) == block.stop - block.start and block.samples.weight.all()
    assert block.samples.factor.tolist() == [[1.0], [3.0]]
    assert isinstance(block.samples.rows, Sparse) and block.samples.first == 1


def test_a_store_cut_short_while_it_is_read(store):
    blocks = make_blocks(open_data(store), 5000)
    os.truncate(store / "values.npy", 9000)
    with pytest.raises(InputError, match=r"rows \d+ to \d+ cannot be read .*; accepted: .*again"):
        for _ in visit(blocks, range(blocks.many)):
            pass
    assert not [t for t in threading.enumerate() if t.name.startswith("widemargin-blocks")]


def test_who_leaves_early_leaves_no_thread(store):
    blocks = make_blocks(open_data(store), 5000)
    for _ in visit(blocks, range(blocks.many)):
        break
    with pytest.raises(KeyboardInterrupt):
        for _ in visit(blocks, range(blocks.many)):
            raise KeyboardInterrupt
    assert not [t for t in threading.enumerate() if t.name.startswith("widemargin-blocks")]


def test_pages_count_only_while_they_are_used(tmp_path):
    size = 1 << 25
    np.save(tmp_path / "a.npy", np.ones(size, np.uint8))
    array = np.asarray(np.load(tmp_path / "a.npy", mmap_mode="r"))

    def mapped():
        with open("/proc/self/statm", "rb") as file:  # pages of files, the third number
            return int(file.read().split()[2]) * windows.PAGE

    before = mapped()
    for _ in bring_in(span_of(array)):
        pass
    assert mapped() - before >= size
    assert array.sum() == size
    give_back([array])
    assert mapped() - before < size / 4
    assert array[::5000].all()  # the contents stay


def test_a_system_without_the_call_touches_every_page(tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "POPULATE_READ", 9999)
    np.save(tmp_path / "a.npy", np.ones(10**6, np.uint8))
    touched, touch = [], windows.touch

    def noted(span):
        touched.append(span.stop - span.start)
        touch(span)

    monkeypatch.setattr(windows, "touch", noted)
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    for _ in bring_in(span_of(array)):
        pass
    assert sum(touched) >= 10**6


def test_ordinary_memory_is_left_alone():
    array = np.arange(10.0)
    assert span_of(array) is None
    give_back([array])
    assert array.tolist() == list(range(10))


def test_rows_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = row_array(1000, 3, mapped=True)
    assert os.listdir(tmp_path) == [] and not array.any() and span_of(array) is not None
    array[500] = 7.0
    give_back([array])
    assert array.sum() == 21.0 and row_array(5, 2, mapped=False).shape == (5, 2)
