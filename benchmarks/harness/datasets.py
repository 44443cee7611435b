"""Data sets: rows as our kernels see them, labels as codes, and the C of the comparison."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.corpus_cache import cached_corpus
from widemargin.data.dataset import open as open_data
from widemargin.data.rows import Sparse, take_rows
from widemargin.data.samples import Samples, make_samples
from widemargin.errors import choose
from widemargin.losses import Hinge
from widemargin.objective import Objective

LAM = 1e-4
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


class Problem(NamedTuple):
    """min ½‖w‖² + C Σ max(0, 1 − yᵢ(wᵀxᵢ + b)), one against all for more than two classes."""

    name: str
    rows: Sparse
    codes: Any  # (n,) int32
    n_classes: int
    C: float


class Kind(NamedTuple):
    file: str | None  # what must exist below ../shared/data, if anything
    make: Callable[[int | None], Problem]


def load(name: str, rows: int | None = None) -> Problem:
    """The data set of that name; `rows` asks for a smaller one where it is generated, and takes
    the first rows where it is read."""
    return choose("data", name, DATASETS).make(rows)


def skip(name: str) -> tuple[bool, str]:
    """(True, why) where the data set is not to be had here."""
    file = choose("data", name, DATASETS).file
    if file is None or (SHARED / file).exists():
        return False, ""
    return True, f"{file} is not in ../shared/data"


def samples_of(problem: Problem) -> Samples:
    return make_samples(problem.rows, problem.codes, problem.n_classes)


def objective_of(problem: Problem) -> Objective:
    return Objective(Hinge(), problem.C)


def head(problem: Problem, n: int) -> Problem:
    """The first n rows, copied: what a fit warms up on."""
    rows = take_rows(problem.rows, 0, n)
    e = int(rows.indptr[-1])
    rows = Sparse(
        rows.values[:e].copy(), rows.indices[:e].copy(), rows.indptr.copy(), rows.n_features
    )
    return problem._replace(rows=rows, codes=problem.codes[:n].copy())


def thinned(problem: Problem) -> Problem:
    """Every second nonzero: the same n and d, half of the nonzeros."""
    rows = problem.rows
    indptr = (rows.indptr + 1) // 2
    thin = Sparse(rows.values[::2].copy(), rows.indices[::2].copy(), indptr, rows.n_features)
    return problem._replace(rows=thin)


def in_memory(problem: Problem) -> Problem:
    """The same arrays, read into memory of their own."""
    values, indices, indptr, d = problem.rows
    rows = Sparse(np.array(values), np.array(indices), np.array(indptr), d)
    return problem._replace(rows=rows, codes=np.array(problem.codes))


def _rcv1_like(rows: int | None) -> Problem:
    """The RCV1-shaped corpus, 781,265 rows, λ = 1e-4."""
    train = (cached_corpus() if rows is None else cached_corpus(n_train=rows, n_test=100)).train
    return Problem("rcv1_like", train.rows, train.codes, 2, 1.0 / (LAM * len(train.codes)))


def _random(rows: int | None) -> Problem:
    """Random sparse rows, for tests of the benchmarks themselves."""
    rng, n, d, each = np.random.default_rng(0), rows or 2000, 300, 20
    indices = np.argsort(rng.random((n, d)), axis=1)[:, :each]
    values = rng.random((n, each)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    scores = (values * rng.normal(size=d)[indices]).sum(axis=1) + 0.3 * rng.normal(size=n)
    order = np.argsort(indices, axis=1)
    sparse = Sparse(
        np.take_along_axis(values, order, 1).ravel(),
        np.take_along_axis(indices, order, 1).ravel().astype(np.uint32),
        np.arange(n + 1, dtype=np.int64) * each,
        d,
    )
    return Problem("random", sparse, (scores > 0).astype(np.int32), 2, 1.0)


def _read(name: str, file: str, C: float) -> Callable[[int | None], Problem]:
    def make(rows: int | None) -> Problem:
        data = open_data(os.fspath(SHARED / file))
        whole = Problem(name, data.rows, data.codes, len(data.label_names), C)
        return whole if rows is None else head(whole, min(rows, len(data.codes)))

    return make


def _entry(name: str, file: str, C: float) -> Kind:
    return Kind(file, _read(name, file, C))


DATASETS: dict[str, Kind] = {
    "rcv1_like": Kind(None, _rcv1_like),
    "rcv1_topics": _entry("rcv1_topics", "rcv1_topics/binary.svm.gz", 1.0),
    "a9a": _entry("a9a", "a9a/a9a", 0.1),
    "news20": _entry("news20", "news20/news20.svm.gz", 0.01),
    "random": Kind(None, _random),
}
