"""One thread: epoch after epoch, each over a fresh order of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from widemargin.data.rows import block_order, n_rows
from widemargin.data.samples import Samples
from widemargin.objective import Objective

S = TypeVar("S")
BLOCK_ROWS = 1024  # rows walked in memory order between two jumps, each of which costs a stall
SMALL = 100_000  # up to this many rows the full shuffle costs nothing


class Solver(Protocol[S]):
    """One algorithm: its first state, and a state one epoch on."""

    def init(self, objective: Objective, samples: Samples) -> S: ...

    def epoch(
        self, objective: Objective, samples: Samples, order: NDArray[np.int64], state: S
    ) -> S: ...


def serial(
    solver: Solver[S],
    objective: Objective,
    samples: Samples,
    rng: np.random.Generator,
    *,
    start: S | None = None,
    shuffle: bool = True,
    among: NDArray[np.int64] | None = None,
) -> Iterator[S]:
    """Yield the state after each epoch; the caller decides when to stop.

    An epoch visits every row, or those `among` lists.
    """
    n = n_rows(samples.rows) if among is None else len(among)
    state = solver.init(objective, samples) if start is None else start
    while True:
        order = block_order(n, 1 if n <= SMALL else BLOCK_ROWS, rng) if shuffle else np.arange(n)
        order = order if among is None else among[order]
        state = solver.epoch(objective, samples, order, state)
        yield state
