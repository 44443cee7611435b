"""A small real job: least squares by gradients, in NumPy alone."""

from typing import NamedTuple

import numpy as np

from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import Constant

ROWS, KEYS = 480, 12


class Squares(NamedTuple):
    """½ mean (xᵀθ − y)², its rows in `n_blocks` blocks."""

    n_blocks: int = 24
    seed: int = 0
    eta0: float = 0.05
    momentum: float = 0.5
    repeat: int = 1  # the gradient is computed so many times: a longer step
    fails: int = -1  # this block raises an error
    rows: int = ROWS
    keys: int = KEYS

    @property
    def rule(self) -> Rule:
        return Rule(Sgd(self.momentum), Constant(self.eta0), lam=1e-3, decay=0.9)

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

    def touch(self, block):
        return None

    def compute(self, block, parts, keys):
        if block.index == self.job.fails:
            raise ArithmeticError(f"block {block.index} cannot be computed")
        rows = slice(block.index, None, self.job.n_blocks)
        X, y, theta = self.X[rows], self.y[rows], np.concatenate(parts)
        for _ in range(self.job.repeat):
            g = X.T @ (X @ theta - y) / len(X)
        return Update(None, g, float(len(X)))

    def prefetch(self, block):
        pass

    def close(self):
        pass


def replay(job, events, servers=1):
    """The serial loop over the commits that `events` tell: θ, and the blocks of each epoch."""
    tree, last = {}, None
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
    task, serial, blocks = (
        job.open(),
        Parameters.create(job.rule, job.first(slice(0, job.keys)), 0),
        {},
    )
    for what in reversed(path):
        theta, updates = serial.read(), []
        for _, (epoch, index) in what["parts"]:
            blocks.setdefault(epoch, []).append(index)
            updates.append(task.compute(BlockLike(epoch, index), [theta], None))
        serial.apply(updates)
    return serial, blocks


class BlockLike(NamedTuple):
    epoch: int
    index: int
