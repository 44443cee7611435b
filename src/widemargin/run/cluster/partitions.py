"""Workers of several processes on Ray: their ranges of keys, and what such a process does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, cast

from widemargin.ps import messages as m
from widemargin.ps.compression import codec_of
from widemargin.ps.job import Job, PartitionedJob, Range, ranges
from widemargin.ps.partition_work import LOST, PartitionCarrier
from widemargin.ps.settings import owned
from widemargin.run.cluster.plan import Plan

PATIENCE = 10.0  # deadlines that partners wait for each other: who computes long is not lost


def partitioned(job: Job, compression: Any = None) -> PartitionedJob | None:
    """The job, if its workers are several processes."""
    several = getattr(job, "partitions", 1) > 1
    if several and codec_of(compression) is not None:
        raise ValueError(
            f"compression={compression!r} and partitions do not go together: error feedback is "
            "kept by workers of one process. Leave one out."
        )
    return cast(PartitionedJob, job) if several else None


def processes(job: Job) -> int:
    """Of a worker."""
    of = partitioned(job)
    return 1 if of is None else of.partitions


def parts_of(job: Job, servers: int) -> tuple[Range, ...]:
    """The keys of each group: `servers`, or more where each partition needs its own."""
    of = partitioned(job)
    return ranges(job.n_keys, servers) if of is None else of.ranges(servers)


class PartitionComputing:
    """What `compute.Computing` is for a worker alone; `flush` sends what is to be said at the end.

    Partners await each other while they open their parts and while they compute, on a thread of its
    own: the role goes on to say that it lives, and hears who does not.
    """

    def __init__(
        self,
        load: Callable[[], Job],
        plan: Plan,
        tell: Callable[[Any], None],
        flush: Callable[[], None],
    ) -> None:
        self.load, self.plan, self.tell, self.flush = load, plan, tell, flush
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.carrier: PartitionCarrier | None = None
        self.job: Job | None = None  # until it is opened
        self.errors: dict[m.Block, str] = {}  # of `touch`: told when the gradient is asked for
        threading.Thread(target=self.run, name="compute", daemon=True).start()

    def on(self, message: Any) -> None:
        match message:
            case m.Quit():
                self.flush()
                os._exit(1)  # Ray begins it again
            case m.Meet():
                self.tell(m.Place(free_place()))
            case _:
                self.queue.put(message)

    def run(self) -> None:
        with suppress(Exception):  # which is raised again, and told, where it is to be opened
            self.job = self.load()  # takes seconds, in which partners find each other
        while True:
            message = self.queue.get()
            answer = self.open(message) if isinstance(message, m.Open) else self.answer(message)
            if answer is not None:
                self.tell(answer)
            del message, answer  # an array must not wait here for the next message

    def open(self, ask: m.Open) -> Any:
        settings = self.plan.settings
        try:
            job, self.job = partitioned(self.job or self.load()), None
            assert job is not None
            task = job.open_partition(ask.partition, ask.place, PATIENCE * settings.deadline_s)
        except LOST as error:
            return m.Severed(f"{type(error).__name__}: {error}")
        except Exception as error:
            return m.Opened(f"{type(error).__name__}: {error}")
        self.carrier = PartitionCarrier(task, self.plan.parts, owned(settings, ask.partition))
        return m.Opened("")

    def answer(self, message: Any) -> Any:
        """What the role awaits, also where the user's code raises: this thread goes on."""
        if self.carrier is None:
            return None
        if isinstance(message, m.Compute) and message.block in self.errors:
            return m.Broken(message.lease, self.errors.pop(message.block))
        try:
            return self.carrier.on(message)
        except Exception as error:
            return self.broken(message, error)

    def broken(self, message: Any, error: Exception) -> Any:
        """A block that cannot be touched breaks when its gradient is asked for."""
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, LOST):
            return m.Severed(told)
        match message:
            case m.Compute(lease):
                return m.Broken(lease, told)
            case m.Touch(block):
                self.errors[block] = told
                return m.Touched(block, (None,) * len(self.plan.parts))
        return None


def free_place() -> str:
    """A "host:port" of this node that nothing listens at."""
    import ray

    host = ray.util.get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"
