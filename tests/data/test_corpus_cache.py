"""The cached corpus: made once, mapped afterwards, whole or absent."""

import numpy as np
import pytest

from widemargin.data import corpus_cache
from widemargin.data.corpus_cache import cached_corpus, corpora_folder
from widemargin.data.synthetic import VERSION, rcv1_like

SIZE = {"n_train": 300, "n_test": 50, "n_features": 900}


def same(one, other):
    return all(
        np.array_equal(a, b)
        for x, y in zip(one[:2], other[:2], strict=True)
        for a, b in zip((*x.rows, x.codes), (*y.rows, y.codes), strict=True)
    )


def test_made_once_and_mapped_afterwards(tmp_path, monkeypatch):
    first = cached_corpus(tmp_path, seed=2, **SIZE)
    monkeypatch.setattr(corpus_cache, "rcv1_like", None)  # a second call makes nothing
    second = cached_corpus(tmp_path, seed=2, **SIZE)
    assert same(first, second)
    assert same(first, rcv1_like(300, 50, 900, seed=2))
    assert isinstance(second.train.rows.values.base, np.memmap)
    assert not second.train.rows.values.flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == [f"rcv1-like-v{VERSION}-300-50-900-seed2"]


def test_each_seed_size_and_version_has_its_own_folder(tmp_path, monkeypatch):
    cached_corpus(tmp_path, seed=2, **SIZE)
    cached_corpus(tmp_path, seed=3, **SIZE)
    cached_corpus(tmp_path, seed=2, **{**SIZE, "n_train": 301})
    monkeypatch.setattr(corpus_cache, "VERSION", VERSION + 1)
    cached_corpus(tmp_path, seed=2, **SIZE)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_failed_write_leaves_nothing_and_gives_the_corpus(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus_cache.np, "save", full)
    corpus = cached_corpus(tmp_path / "deep", **SIZE)
    assert same(corpus, rcv1_like(300, 50, 900))
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_folder_that_cannot_be_made_gives_the_corpus(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert same(cached_corpus(tmp_path / "file", **SIZE), rcv1_like(300, 50, 900))


def test_the_process_that_comes_second_takes_what_stands_there(tmp_path, monkeypatch):
    def beaten(*args, **kwargs):
        monkeypatch.setattr(corpus_cache, "rcv1_like", rcv1_like)
        cached_corpus(tmp_path, **SIZE)  # the other process
        return rcv1_like(*args, **kwargs)

    monkeypatch.setattr(corpus_cache, "rcv1_like", beaten)
    corpus = cached_corpus(tmp_path, **SIZE)
    assert isinstance(corpus.train.rows.values.base, np.memmap)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert corpora_folder() == tmp_path / "widemargin" / "corpora"
    cached_corpus(**SIZE)
    assert len(list(corpora_folder().iterdir())) == 1


def test_an_empty_corpus_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="n_test must be at least 1, got 0"):
        cached_corpus(tmp_path, **{**SIZE, "n_test": 0})
    assert list(tmp_path.iterdir()) == []
