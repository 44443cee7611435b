"""The RCV1-shaped corpus, made once and memory-mapped from then on.

A corpus is a folder of `.npy` files, named by the generator's version, the sizes and the seed,
so that a change of the generator never meets the numbers of an older one. It is written under
a temporary name and renamed when whole: a folder that exists is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from widemargin.data.rows import Array, Sparse
from widemargin.data.synthetic import (
    LABELS,
    N_FEATURES,
    N_TEST,
    N_TRAIN,
    VERSION,
    Corpus,
    Split,
    check_sizes,
    rcv1_like,
)


def cached_corpus(
    folder: str | os.PathLike[str] | None = None,
    *,
    n_train: int = N_TRAIN,
    n_test: int = N_TEST,
    n_features: int = N_FEATURES,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Corpus:
    """`rcv1_like`, from its files under `folder`; made and written there first if need be.

    `folder` defaults to `corpora` in the user's cache. Where nothing can be written, the corpus
    is made anew and stays in memory.
    """
    check_sizes(n_train=n_train, n_test=n_test, n_features=n_features)
    name = f"rcv1-like-v{VERSION}-{n_train}-{n_test}-{n_features}-seed{seed}"
    place = (corpora_folder() if folder is None else Path(folder)) / name
    if not place.is_dir():
        corpus = rcv1_like(n_train, n_test, n_features, seed=seed, n_jobs=n_jobs)
        if not _store(corpus, place):
            return corpus
    return Corpus(_load(place, "train", n_features), _load(place, "test", n_features), LABELS)


def corpora_folder() -> Path:
    """Where corpora are kept: below $XDG_CACHE_HOME, or ~/.cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "widemargin" / "corpora"


def _store(corpus: Corpus, place: Path) -> bool:
    """Write the corpus whole or not at all; says whether it now stands at `place`."""
    draft: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        _save(corpus.train, draft, "train")
        _save(corpus.test, draft, "test")
        draft.rename(place)
    except OSError:  # a full or read-only disk, or another process that was first
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
    return place.is_dir()


def _save(split: Split, folder: Path, name: str) -> None:
    for part, array in _parts(split).items():
        np.save(folder / f"{name}_{part}.npy", array)


def _parts(split: Split) -> dict[str, Array]:
    rows = split.rows
    return {
        "values": rows.values,
        "indices": rows.indices,
        "indptr": rows.indptr,
        "codes": split.codes,
    }


def _load(folder: Path, name: str, n_features: int) -> Split:
    values, indices, indptr, codes = (
        np.asarray(np.load(folder / f"{name}_{part}.npy", mmap_mode="r"))
        for part in ("values", "indices", "indptr", "codes")
    )
    return Split(Sparse(values, indices, indptr, n_features), codes)
