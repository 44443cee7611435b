"""A small real job: least squares by gradients, in NumPy alone."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from widemargin.ps.messages import Block
from widemargin.ps.optimizers import Momentum
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import InvScaling

ROWS, KEYS = 480, 12


class Squares(NamedTuple):
    """½ mean (xᵀθ − y)², its rows in `n_blocks` blocks."""

    n_blocks: int = 24
    seed: int = 0
    eta0: float = 0.1
    momentum: float = 0.5
    slowly: str = ""  # while this file is there, a gradient is computed again for 40 ms
    fails: int = -1  # this block raises an error
    rows: int = ROWS
    keys: int = KEYS

    @property
    def rule(self) -> Rule:
        return Rule(Momentum(self.momentum), InvScaling(self.eta0, 0.5), lam=1e-3, decay=0.9)

    @property
    def n_keys(self) -> int:
        return self.keys

    @property
    def sparse(self) -> bool:
        return False

    def first(self, keys):
        return np.zeros((keys.stop - keys.start, 1))

    def data(self):
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.rows, self.keys))
        return X, X @ rng.normal(size=(self.keys, 1)) + 0.1 * rng.normal(size=(self.rows, 1))

    def open(self):
        return SquaresTask(self)

    def objective(self, theta):
        X, y = self.data()
        return float(0.5 * np.mean((X @ theta - y) ** 2) + 0.5e-3 * np.sum(theta**2))


class SquaresTask:
    def __init__(self, job):
        self.job = job
        self.X, self.y = job.data()
        if job.slowly:
            os.nice(10)  # computing again must not keep what recovers from its turn

    def touch(self, block):
        return None

    def compute(self, block, parts, keys):
        if block.number == self.job.fails:
            raise ArithmeticError(f"block {block.number} cannot be computed")
        rows = slice(block.number, None, self.job.n_blocks)
        X, y, theta = self.X[rows], self.y[rows], np.concatenate(parts)
        until = time.monotonic() + 0.04
        while True:
            g = X.T @ (X @ theta - y) / len(X)
            if (
                not self.job.slowly
                or time.monotonic() > until
                or not Path(self.job.slowly).exists()
            ):
                break
        return Update(None, g, float(len(X)))

    def prefetch(self, block):
        pass

    def close(self):
        pass


def path_of(events):
    """The commits that lead to the last snapshot, in order."""
    tree, last = {}, (0, 0)
    for event in events:
        if event.kind == "commit":
            assert event.what["stamp"] not in tree
            tree[event.what["stamp"]] = event.what
        if event.kind == "snapshot":
            last = tuple(int(part) for part in event.what["key"].split("-"))
    path = []
    while last != (0, 0):
        path.append(tree[last])
        last = tree[last]["after"]
    return path[::-1]


def blocks_of(path):
    """For each epoch its blocks, in the order of their commits."""
    blocks = {}
    for what in path:
        for _, (epoch, index) in what["parts"]:
            blocks.setdefault(epoch, []).append(index)
    return blocks


def replay(job, path):
    """One process that averages the gradients of each commit."""
    task, serial = (
        SquaresTask(job._replace(slowly="")),
        Parameters.create(job.rule, job.first(slice(0, job.keys)), 0),
    )
    for what in path:
        theta = serial.read()
        serial.apply([task.compute(Block(*block), [theta], None) for _, block in what["parts"]])
    return serial


def serial(job, epochs, seed):
    """The loop over all blocks without any of the parameter server but its optimizer."""
    task, shard = job.open(), Parameters.create(job.rule, job.first(slice(0, job.keys)), 0)
    for epoch in range(epochs):
        for index in np.random.default_rng([seed, epoch]).permutation(job.n_blocks):
            shard.apply([task.compute(Block(epoch, int(index)), [shard.read()], None)])
    return shard
