"""A parameter server's job in this process, alone: the serial solver of the shared steps.

The same blocks in the same order, the same gradients, the same server's rule, and no messages:
what one worker computes on a cluster, through whatever policy, is this, bit for bit.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps.job import Job, Range
from widemargin.ps.ledger import block_order
from widemargin.ps.messages import Block, Event
from widemargin.ps.parameters import Parameters
from widemargin.ps.policy import Sync


class Made(NamedTuple):
    """What a run made; as `Outcome` of a cluster."""

    parameters: Array  # (n, width)
    average: Array  # the decayed average; the same where the rule keeps none
    version: int  # commits
    events: list[Event]


class Serial:
    """One process, no messages; an engine as `Cluster` is one."""

    policy, workers = Sync(), 1

    def run(self, job: Job, epochs: int, *, seed: int = 0, shuffle: bool = True) -> Made:
        with self.start(job, epochs, seed=seed, shuffle=shuffle) as run:
            return run.result()

    def start(self, job: Job, epochs: int, *, seed: int = 0, shuffle: bool = True) -> SerialRun:
        return SerialRun(job, epochs, seed, shuffle)


class SerialRun:
    """A run of `Serial`; it goes on while it is waited for."""

    def __init__(self, job: Job, epochs: int, seed: int, shuffle: bool) -> None:
        self.job, self.epochs, self.seed, self.shuffle = job, epochs, seed, shuffle
        self.task, self.began, self.known = job.open(), time.perf_counter(), list[Event]()
        self.server = Parameters.create(job.rule, job.first(Range(0, job.n_keys)), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.task.close()

    def events(self) -> list[Event]:
        return self.known

    def wait(self, timeout: float | None = None) -> bool:
        """Run an epoch, or all without a timeout; whether that was the last one."""
        while len(self.known) < self.epochs:
            self.epoch(len(self.known))
            if timeout is not None:
                break
        return len(self.known) >= self.epochs

    def epoch(self, number: int) -> None:
        order = block_order(self.job.n_blocks, number, self.seed, self.shuffle)
        for here, after in zip(order, [*order[1:], None], strict=True):
            if after is not None:
                self.task.prefetch(Block(number, after))
            step(self.task, self.server, Block(number, here))
        what: dict[str, Any] = {"epoch": number, "version": self.server.t}
        self.known.append(Event("epoch", time.perf_counter() - self.began, what))

    def result(self) -> Made:
        self.wait()
        return self.newest()

    def newest(self) -> Made:
        """What it has made so far."""
        server = self.server
        return Made(server.read(), server.read_average(), server.t, self.known)


def step(task: Any, server: Parameters, block: Block) -> None:
    """One block's gradient, committed."""
    keys = task.touch(block)
    server.apply([task.compute(block, [np.asarray(server.read(keys))], keys)])
