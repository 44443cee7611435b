"""The same run in virtual time: many workers and servers in one process, gradients for real.

What a policy does to the result can be seen without a cluster, and again and again from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from widemargin.data.rows import Array
from widemargin.errors import TrainingError
from widemargin.nets.engines import parts_of, vector_of
from widemargin.ps import messages as m
from widemargin.ps.job import Job, Task, ranges, split_update
from widemargin.ps.keys import manifest_key, part_key, snapshot_key
from widemargin.ps.ledger import Ledger
from widemargin.ps.parameters import Parameters
from widemargin.ps.policy import Policy, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Net, Simulation

FOREVER = 1e12


def uneven(worker: str, rng: random.Random) -> float:
    """Seconds of a gradient: between 20 and 40 ms."""
    return 0.02 * (1.0 + rng.random())


class Virtual(NamedTuple):
    """Workers and servers that exist in virtual time; `pace` draws how long a gradient takes."""

    workers: int = 1
    servers: int = 1
    replicas: int = 1
    policy: Policy = Sync(0)
    pace: Callable[[str, random.Random], float] = uneven

    def start(self, job: Job, epochs: int, seed: int) -> VirtualRun:
        return VirtualRun(self, job, epochs, seed)


class VirtualRun:
    """A run of `Virtual`: the simulator's, one task computing for all workers."""

    def __init__(self, engine: Virtual, job: Job, epochs: int, seed: int) -> None:
        groups = tuple(
            tuple(f"shard-{g}.{r}" for r in range(engine.replicas)) for g in range(engine.servers)
        )
        shuffle = getattr(job, "shuffle", True)
        settings = Settings(job.n_blocks, epochs, engine.policy, groups, seed, shuffle)
        self.job, self.parts = job, ranges(job.n_keys, engine.servers)
        self.key, self.told = "", 0
        self.task: Task | None = job.open()
        names = [f"worker-{i}" for i in range(engine.workers)]
        restore = partial(_restored, job)
        records = self._records(settings)
        self.simulation = Simulation(
            settings, names, restore, records, self._compute, engine.pace, Net(), seed
        )

    def _records(self, settings: Settings) -> dict[str, Any]:
        """Storage at the beginning: a snapshot of version 0."""
        key, ledger = snapshot_key((0, 0)), Ledger(settings.n_blocks, settings.epochs, 0, False)
        manifest = {"key": key, "stamp": [0, 0], "ledger": ledger.record()}
        records: dict[str, Any] = {manifest_key(key): manifest, "latest": manifest}
        for g, part in enumerate(self.parts):
            shard = Parameters.create(self.job.rule, self.job.first(part), 0)
            records[part_key(key, g)] = shard.arrays()
        return records

    def _compute(self, ask: m.Compute) -> Any:
        assert self.task is not None
        try:
            update = self.task.compute(ask.block, ask.values, None)
        except Exception as error:
            raise TrainingError(
                f"the gradient of block {ask.block.number} of epoch {ask.block.epoch} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        return split_update(update, self.parts)

    def events(self) -> Iterator[m.Event]:
        simulation = self.simulation
        try:
            while simulation.heap and not simulation.ended:
                simulation.now, _, action = heapq.heappop(simulation.heap)
                action()
                yield from self._new()
        finally:
            self.stop()

    def _new(self) -> Iterator[m.Event]:
        events = self.simulation.events
        while self.told < len(events):
            event = events[self.told]
            self.told += 1
            if event.kind == "snapshot":
                self._forget(self.key)
                self.key = event.what["key"]
            yield event

    def _forget(self, key: str) -> None:
        for g in range(len(self.parts)):
            self.simulation.storage.records.pop(part_key(key, g), None)

    def vector(self, key: str | None = None) -> Array:
        parts = parts_of(self.simulation.storage, key or self.key, len(self.parts))
        return vector_of(self.job.rule, parts)

    def stop(self) -> None:
        if self.task is not None:
            self.task.close()
        self.task = None


def _restored(job: Job, arrays: Any) -> Parameters:
    """A store of the simulator; dense updates need not know where its keys start."""
    return Parameters.restore(job.rule, arrays, 0)
