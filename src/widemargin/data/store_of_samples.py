"""A packed store of samples that are in memory, for processes that cannot see it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array, Dense, Rows, Sparse
from widemargin.data.samples import Samples
from widemargin.data.store import BLOCK_ROWS, write_meta, write_rows
from widemargin.data.svmlight import Svmlight
from widemargin.errors import InputError

PREFIX = "widemargin-data-"


class Kept(NamedTuple):
    """Where the samples are."""

    store: str  # the folder of the packed store
    weights: str | None  # the .npy file of their weights; None: all are 1


@contextmanager
def kept_store(
    samples: Samples, folder: str | os.PathLike[str] | None, seed: int | None
) -> Iterator[Kept]:
    """A store of the samples, its rows shuffled by `seed` if one is given, until the block ends.

    It lies in a new folder within `folder`, or where TMPDIR says; what processes that were killed
    left there goes.
    """
    home = Path(tempfile.gettempdir() if folder is None else folder).absolute()
    home.mkdir(parents=True, exist_ok=True)
    forget_dead(home)
    draft = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.uname().nodename}-{os.getpid()}-", dir=home))
    try:
        yield write(samples, draft, seed)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def forget_dead(home: Path) -> None:
    """Remove the folders of processes of this machine that live no longer."""
    start = f"{PREFIX}{os.uname().nodename}-"
    for old in home.glob(f"{start}*"):
        owner = old.name[len(start) :].split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(old, ignore_errors=True)


def write(samples: Samples, draft: Path, seed: int | None) -> Kept:
    store, n = draft / "store", len(samples.codes)
    store.mkdir()
    rows = as_sparse(samples.rows)
    names = tuple(str(code) for code in range(int(samples.codes.max(initial=1)) + 1))
    data = Svmlight(rows, samples.codes, names, rows.n_features, False)
    met = write_rows(store, data, seed)
    write_meta(store, met, {"block_rows": BLOCK_ROWS, "seed": seed, "sources": []})
    if (samples.weight == 1.0).all():
        return Kept(str(store), None)
    weights = draft / "weights.npy"
    order = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
    np.save(weights, samples.weight[order])  # in the order of the store's rows
    return Kept(str(store), str(weights))


def as_sparse(rows: Rows) -> Sparse:
    """The rows with uint32 indices; of a dense matrix the entries that are not 0."""
    if isinstance(rows, Dense):
        found: Array = rows.X != 0.0
        indptr = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int64)
        rows = Sparse(rows.X[found], np.nonzero(found)[1], indptr, rows.X.shape[1])
    if rows.n_features > 2**32 - 2:
        raise InputError(
            f"found {rows.n_features} features; accepted: up to {2**32 - 2}, as a packed store "
            "counts them in 32 bits; hash or select features."
        )
    return rows._replace(indices=rows.indices.astype(np.uint32, copy=False))
