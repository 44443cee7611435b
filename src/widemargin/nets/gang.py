"""The partitions of a net in processes of their own on this machine, as one task.

Parameters and gradients lie in memory that all processes share. The processes are spawned, so
`build` and `loss` must be functions of a module, and a script that trains needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import torch

from widemargin.errors import Diverged, PartitionLost, TrainingError
from widemargin.ps import messages as m
from widemargin.ps.job import PartitionedJob, Range
from widemargin.ps.parameters import Update

END_S = 5.0
DEADLINE_S = 60.0
ERRORS: dict[str, type[Exception]] = {
    e.__name__: e for e in (ArithmeticError, Diverged, PartitionLost, TimeoutError, TrainingError)
}


class Opened(NamedTuple):
    """What a process is told when a job begins."""

    job: PartitionedJob
    k: int
    rendezvous: str
    deadline_s: float
    theta: torch.Tensor  # of all keys, shared
    gradient: torch.Tensor


class Processes:
    """Spawned processes that open partitions, of one job after the other."""

    def __init__(self, count: int) -> None:
        context: Any = torch.multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def tell(self, told: Sequence[Any]) -> None:
        """Something to each of the first processes."""
        for pipe, what in zip(self.pipes, told, strict=False):
            with suppress(OSError):  # whose end is seen when its answer does not come
                pipe.send(what)

    def answers(self, count: int) -> list[Any]:
        """What each of the first gives back, or the error of one; a lost process ends all."""
        pipes = self.pipes[:count]
        told: dict[Any, Any] = {}
        while len(told) < len(pipes):
            for pipe in wait([p for p in pipes if p not in told]):
                assert isinstance(pipe, Connection)
                k = pipes.index(pipe)
                try:
                    told[pipe] = pipe.recv()
                except (EOFError, OSError):
                    told[pipe] = ("PartitionLost", f"the process of partition {k} is gone")
                if told[pipe][0] in ("PartitionLost", "TimeoutError"):
                    self.close(now=True)
                    raise ERRORS[told[pipe][0]](told[pipe][1])
        for kind, *what in told.values():
            if kind != "done":
                raise ERRORS.get(kind, TrainingError)(what[0])
        return [told[pipe][1:] for pipe in pipes]

    def close(self, now: bool = False) -> None:
        """End all processes; `now`: whatever they are doing."""
        for process in self.processes if now else []:
            process.kill()
        for pipe in self.pipes:
            pipe.close()  # which ends the process
        for process in self.processes:
            process.join(END_S)
            if process.is_alive():
                process.kill()
                process.join(END_S)
        self.pipes, self.processes = [], []


class Gang:
    """K processes on a job: a task of all keys. `processes`: of which it takes the first K."""

    def __init__(
        self,
        job: PartitionedJob,
        processes: Processes | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.job, self.count, self.loss = job, job.partitions, float("nan")
        self.times: list[tuple[float, float]] = []  # on layers, and in all, of the last block
        self.theta = torch.empty(job.n_keys).share_memory_()
        self.gradient = torch.empty(job.n_keys).share_memory_()
        self.owned = processes is None
        self.processes = Processes(job.partitions) if processes is None else processes
        place = f"127.0.0.1:{_free_port()}"
        try:
            self.processes.tell(
                [
                    ("open", Opened(job, k, place, deadline_s, self.theta, self.gradient))
                    for k in range(self.count)
                ]
            )
            self.processes.answers(self.count)
        except (pickle.PicklingError, AttributeError) as error:
            self.close()
            raise ValueError(
                f"the net cannot be sent to other processes: {error}. Give functions of a module "
                "as build, loss, split and init, no lambdas and none made within others."
            ) from error
        except BaseException:
            self.close()
            raise

    def touch(self, block: m.Block) -> None:
        return None

    def prefetch(self, block: m.Block) -> None:
        self.processes.tell([("prefetch", block)] * self.count)

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The gradient of all keys, (n, 1)."""
        if not self.processes.pipes:
            raise PartitionLost("the processes of this net have ended. Open the job again.")
        start, theta = 0, self.theta.numpy()
        for part in parts:
            theta[start : start + len(part)] = part[:, 0]
            start += len(part)
        self.processes.tell([("compute", block)] * self.count)
        answers = self.processes.answers(self.count)
        self.loss, self.times = answers[0][1], [answer[2:] for answer in answers]
        values = self.gradient.numpy().copy().reshape(-1, 1)
        return Update(None, values, answers[0][0], self.loss)

    def close(self) -> None:
        if self.owned:
            self.processes.close()
        elif self.processes.pipes:
            self.processes.tell([("close", None)] * self.count)
            self.processes.answers(self.count)


def serve(pipe: Connection) -> None:
    """A process: answers until the pipe is closed."""
    task: Any = None
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            what, about = pipe.recv()
            try:
                if what == "open":
                    task = _Partition(about)
                    pipe.send(("done",))
                elif what == "compute":
                    pipe.send(("done", *task.compute(about)))
                elif what == "prefetch":
                    task.task.prefetch(about)
                elif what == "close":
                    task = task and task.task.close()
                    pipe.send(("done",))
            except Exception as error:
                pipe.send((type(error).__name__, str(error)))
    if task is not None:
        task.task.close()


class _Partition:
    """A partition's task, and its places in the shared memory."""

    def __init__(self, opened: Opened) -> None:
        job, k = opened.job, opened.k
        parts = job.ranges(job.partitions)
        mine = [part for part, owner in zip(parts, job.owner(parts), strict=True) if owner == k]
        self.gradient = opened.gradient.numpy()[mine[0].start : mine[-1].stop]
        self.pulled = [_read_only(opened.theta, parts[g]) for g in job.reads(parts)[k]]
        self.task: Any = job.open_partition(k, opened.rendezvous, opened.deadline_s)

    def compute(self, block: m.Block) -> tuple[float, ...]:
        """Samples, loss, seconds spent on layers and in all; the gradient is written."""
        update = self.task.compute(block, self.pulled, None)
        self.gradient[:] = update.values[:, 0]
        return update.n, self.task.loss, self.task.busy, self.task.seconds


def _read_only(theta: torch.Tensor, part: Range) -> Any:
    view = theta.numpy()[part.start : part.stop].reshape(-1, 1)
    view.flags.writeable = False
    return view


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
