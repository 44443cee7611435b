"""The same run in virtual time: many workers and servers in one process, gradients for real.

What a policy does to the result can be seen without a cluster, and again and again from a seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from widemargin.nets.engines import parts_of
from widemargin.ps import messages as m
from widemargin.ps.compression import Codec, codec_of
from widemargin.ps.job import Job, Range, Task
from widemargin.ps.kept import Kept, of_arrays
from widemargin.ps.local import Rounds, cadence_of
from widemargin.ps.parameters import Rule
from widemargin.ps.policy import Policy, Sync
from widemargin.ps.settings import Settings, refuse_rounds
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_pace import Pace

UNEVEN = Pace(mean=0.03, spread=0.3)


class Virtual(NamedTuple):
    """Workers and servers that exist in virtual time; `pace` says how long a gradient takes."""

    workers: int = 1
    servers: int = 1
    replicas: int = 1
    policy: Policy = Sync(0)
    pace: Pace = UNEVEN
    compression: Codec | str | None = None

    def start(self, job: Job, epochs: int, seed: int) -> VirtualRun:
        return VirtualRun(self, job, epochs, seed)


@dataclass(frozen=True)
class Shared:
    """A job whose task all workers of this process share."""

    job: Job
    task: Task

    @property
    def rule(self) -> Rule:
        return self.job.rule

    @property
    def n_blocks(self) -> int:
        return self.job.n_blocks

    @property
    def n_keys(self) -> int:
        return self.job.n_keys

    @property
    def sparse(self) -> bool:
        return self.job.sparse

    def first(self, keys: Range) -> Any:
        return self.job.first(keys)

    def open(self) -> Task:
        return self.task


class VirtualRun:
    """A run of `Virtual`: that of the simulator."""

    def __init__(self, engine: Virtual, job: Job, epochs: int, seed: int) -> None:
        groups = tuple(
            tuple(f"shard-{g}.{r}" for r in range(engine.replicas)) for g in range(engine.servers)
        )
        shuffle = getattr(job, "shuffle", True)
        codec = codec_of(engine.compression)
        settings = Settings(
            job.n_blocks, epochs, engine.policy, groups, seed, shuffle, compression=codec
        )
        settings = settings._replace(cadence=cadence_of(job), workers=engine.workers)
        refuse_rounds(settings)
        self.job, self.groups, self.key, self.told = job, engine.servers, "", 0
        batches = job.job if isinstance(job, Rounds) else job
        self.task: Task | None = batches.open()
        names = tuple(f"worker-{i}" for i in range(engine.workers))
        shared: Job = Shared(batches, self.task)
        if isinstance(job, Rounds):  # what workers keep between rounds is each one's own
            shared = job._replace(job=shared)
        self.simulation = Simulation(Setup(settings, shared, names, pace=engine.pace, seed=seed))

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
        """What was observed since the last call; what the simulator keeps for checks goes."""
        simulation = self.simulation
        while self.told < len(simulation.events):
            event = simulation.events[self.told]
            self.told += 1
            if event.kind == "snapshot":
                self.key = event.what["key"]
                simulation.storage.snapshots.clear()
            if event.kind == "commit":
                for lease, _ in event.what["parts"]:
                    simulation.gradients.pop(lease, None)
            yield event

    def kept(self, key: str | None = None) -> Kept:
        parts = parts_of(self.simulation.storage, key or self.key, self.groups)
        return of_arrays(self.job.rule, parts)

    def stop(self) -> None:
        if self.task is not None:
            self.task.close()
        self.task = None
