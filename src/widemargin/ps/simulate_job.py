"""Small real problems for the simulator: least squares with all keys, logistic loss with few.

    ℓ(p; y) = (p − y)² / 2    or    log(1 + exp(−y p)),       p = xᵀθ

A block is every n_blocks-th sample, so that blocks differ in size by one and averages have weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.optimizers import Optimizer, Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.schedules import InvScaling

SPARSITY = 0.25  # of the keys a sample of the sparse problem touches this share


class Samples(NamedTuple):
    """X, (n, d); y, (n,), real or ±1."""

    X: Array
    y: Array


@cache
def samples(n: int, d: int, sparse: bool) -> Samples:
    """The same for every run."""
    rng = np.random.default_rng(17)
    X = rng.normal(size=(n, d))
    if sparse:
        X *= rng.random(X.shape) < SPARSITY
    p = X @ rng.normal(size=d)
    return Samples(X, np.where(p > 0, 1.0, -1.0) if sparse else p + 0.1 * rng.normal(size=n))


class Problem(NamedTuple):
    """A `Job` of n samples and d keys."""

    rule: Rule = Rule(Sgd(), InvScaling(0.1))
    n_blocks: int = 12
    n_keys: int = 12
    sparse: bool = False
    n: int = 100

    def first(self, keys: Range) -> Array:
        return np.zeros((keys.stop - keys.start, 1))

    def open(self) -> Reader:
        return Reader(self)


class Reader:
    """The `Task`: gradients of blocks."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.samples = samples(problem.n, problem.n_keys, problem.sparse)

    def rows(self, block: m.Block) -> slice:
        return slice(block.number, None, self.problem.n_blocks)

    def touch(self, block: m.Block) -> Any:
        return np.flatnonzero(self.samples.X[self.rows(block)].any(axis=0))

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        X, y = self.samples.X[self.rows(block)], self.samples.y[self.rows(block)]
        if keys is not None:
            X = X[:, keys]
        p = X @ np.concatenate(parts)[:, 0]
        s = -y / (1.0 + np.exp(y * p)) if self.problem.sparse else p - y
        loss = mean_loss(self.problem, p, y)
        return Update(keys, (s @ X / len(y))[:, None], len(y), loss)

    def prefetch(self, block: m.Block) -> None:
        pass

    def close(self) -> None:
        pass


def loss(problem: Problem, theta: Array) -> float:
    """The mean loss over all samples; θ (d, 1)."""
    X, y = samples(problem.n, problem.n_keys, problem.sparse)
    return mean_loss(problem, X @ theta[:, 0], y)


def mean_loss(problem: Problem, p: Array, y: Array) -> float:
    return float(np.logaddexp(0.0, -y * p).mean() if problem.sparse else ((p - y) ** 2).mean() / 2)


def rule_of(optimizer: Optimizer, eta0: float) -> Rule:
    return Rule(optimizer, InvScaling(eta0, 0.25), lam=1e-3)
