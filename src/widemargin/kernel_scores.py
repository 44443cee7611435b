"""Scores of rows from support vectors alone, one against one, in blocks of bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array, Rows, n_rows, take_rows
from widemargin.kernels import Kernel
from widemargin.solvers.gram import Crew, Matrix, Source, features_of, size, weigh

BLOCK_BYTES = 1 << 25  # of sums for the rows of a block


class Machine(NamedTuple):
    """K (K − 1)/2 classifiers of pairs that share their support vectors, in LIBSVM's order.

    Support vectors are grouped by class. One of class i has K − 1 coefficients αy: row j − 1 of
    `coef` for the pair with class j > i, row j for a class j < i. The scores of pair (i, j), i < j,
    are positive for class i; with two classes, there is one row, and they are positive for class 1.
    """

    coef: Array  # (K − 1, n_support) float64
    counts: Array  # (K,) support vectors of each class
    intercept: Array  # (K (K − 1)/2,)


def pairs_of(n_classes: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n_classes) for j in range(i + 1, n_classes)]


def pair_scores(
    machine: Machine,
    support: Source,
    samples: Source,
    crew: Crew = Crew(),  # noqa: B008
) -> Array:
    """(n, pairs) Σₛ coefₛ K(xₛ, x) + b."""
    n, K, M = size(samples), len(machine.counts), len(machine.coef)
    edges = np.concatenate([[0], np.cumsum(machine.counts)])
    sums = np.zeros((K, n, M))
    for k in range(K):
        own = np.arange(edges[k], edges[k + 1])
        weigh(samples, support, own, machine.coef[:, own], sums[k], crew)
    if K == 2:
        return np.asarray(sums[0] + sums[1] + machine.intercept)
    found = [sums[i, :, j - 1] + sums[j, :, i] for i, j in pairs_of(K)]
    return np.asarray(np.stack(found, axis=1) + machine.intercept)


def row_scores(
    machine: Machine, kernel: Kernel, support: Rows, rows: Rows, threads: int = 1
) -> Array:
    """Pair scores of rows of features of any number."""
    held = features_of(kernel, support)
    height = max(1024, BLOCK_BYTES // (8 * len(machine.counts) * max(len(machine.coef), 1)))
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        crew = Crew(pool, threads)
        blocks = [
            pair_scores(machine, held, features_of(kernel, take_rows(rows, a, a + height)), crew)
            for a in range(0, n_rows(rows), height)
        ]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(machine.intercept)))


def matrix_scores(machine: Machine, K: Array, support: Array) -> Array:
    """Pair scores where kernel values K (n, n_train) are given; `support` are columns of it."""
    return pair_scores(machine, Matrix(K, support), Matrix(K, np.arange(len(K))))


def votes(scores: Array, n_classes: int) -> Array:
    """(n, K) pairs won by each class, and a share of ±1/3 by how clearly, which breaks ties."""
    won, sure = np.zeros((2, len(scores), n_classes))
    for p, (i, j) in enumerate(pairs_of(n_classes)):
        first = scores[:, p] >= 0.0
        won[:, i] += first
        won[:, j] += ~first
        sure[:, i] += scores[:, p]
        sure[:, j] -= scores[:, p]
    result: Array = won + sure / (3.0 * (np.abs(sure) + 1.0))
    return result
