"""A run's history done again, in one process, from the gradients as they were computed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.compression import decode
from widemargin.ps.job import Job, Range
from widemargin.ps.parameters import Parameters
from widemargin.ps.settings import Settings
from widemargin.ps.simulate_job import Problem, loss
from widemargin.ps.simulate_process import Computation


class Replay:
    """θ of each version: `reads[version][group]`; all of a store, by stamp: `arrays`."""

    def __init__(self, job: Job, parts: Sequence[Range]) -> None:
        self.stores = [Parameters.create(job.rule, job.first(p), p.start) for p in parts]
        self.reads: list[tuple[Array, ...]] = []
        self.arrays: dict[m.Stamp, tuple[dict[str, Array], ...]] = {}
        self.keep((0, 0))

    def keep(self, stamp: m.Stamp) -> None:
        self.reads.append(tuple(store.read() for store in self.stores))
        self.arrays[stamp] = tuple(store.arrays() for store in self.stores)

    def step(
        self,
        stamp: m.Stamp,
        parts: Sequence[tuple[m.LeaseId, m.Block]],
        gradients: Mapping[m.LeaseId, Sequence[Computation]],
    ) -> bool:
        """The average of these gradients, in this order, makes the next version."""
        made = [gradients[lease] for lease, _ in parts]
        if not all(one.updates for several in made for one in several):
            return False
        for g, store in enumerate(self.stores):
            updates = [decode(several[0].updates[g]) for several in made]
            if updates[0] is not None:
                store.apply(updates)
        self.keep(stamp)
        return True


def read_at(
    replay: Replay, parts: Sequence[Range], made: Computation, oldest: int, newest: int
) -> bool:
    """Is what each group gave the θ of a version from `oldest` to `newest`?"""
    return all(
        any(
            np.array_equal(values, rows(replay.reads[version][g], made.keys[g], parts[g]))
            for version in range(newest, oldest - 1, -1)
        )
        for g, values in enumerate(made.values)
        if values is not None  # what it keeps itself is judged by `oracle_rounds`
    )


def rows(theta: Array, keys: Any, part: Range) -> Array:
    return theta if keys is None else theta[keys - part.start]


def equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(
        one[name].tobytes() == other[name].tobytes() for name in one
    )


def learned(problem: Problem, replay: Replay) -> list[str]:
    """The loss is lower than at the beginning."""
    first, last = (loss(problem, np.concatenate(replay.reads[i])) for i in (0, -1))
    return [] if last < first else [f"the loss went from {first:.4g} to {last:.4g}"]


def ledger_told(settings: Settings, record: Mapping[str, Any]) -> tuple[int, set[int]]:
    """Epoch and committed blocks, as a snapshot has them."""
    bits = np.frombuffer(base64.b64decode(record["committed"]), np.uint8)
    done = np.unpackbits(bits, count=settings.n_blocks)
    return int(record["epoch"]), {int(i) for i in np.flatnonzero(done)}
