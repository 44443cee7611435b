"""One thread: epoch after epoch, each over a fresh order of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np

from widemargin.data.rows import Array, block_order, n_nonzeros, n_rows, order_type
from widemargin.data.samples import Samples
from widemargin.objective import Objective

S = TypeVar("S")
LARGEST_BLOCK = 1024  # rows walked in memory order between two jumps
FEWEST_BLOCKS = 512  # of them, so that their order is a shuffle worth the name
IN_CACHE = 2_000_000  # up to this many entries the full shuffle costs nothing


class Solver(Protocol[S]):
    """One algorithm: its first state, and a state one epoch on."""

    def init(self, objective: Objective, samples: Samples) -> S: ...

    def epoch(self, objective: Objective, samples: Samples, order: Array, state: S) -> S: ...


def serial(
    solver: Solver[S],
    objective: Objective,
    samples: Samples,
    rng: np.random.Generator,
    *,
    start: S | None = None,
    shuffle: bool = True,
    among: Array | None = None,
) -> Iterator[S]:
    """Yield the state after each epoch; the caller decides when to stop.

    An epoch visits every row, or what `among` lists: some of the rows, or the features for a
    solver that walks features.
    """
    n = n_rows(samples.rows) if among is None else len(among)
    far = n_nonzeros(samples.rows) > IN_CACHE
    block = min(LARGEST_BLOCK, n // FEWEST_BLOCKS) if far else 1
    state = solver.init(objective, samples) if start is None else start
    while True:
        order = block_order(n, block, rng) if shuffle else np.arange(n, dtype=order_type(n))
        order = order if among is None else among[order]
        state = solver.epoch(objective, samples, order, state)
        yield state
