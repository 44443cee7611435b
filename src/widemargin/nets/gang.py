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
from typing import Any

import torch

from widemargin.errors import PartitionLost, TrainingError
from widemargin.ps import messages as m
from widemargin.ps.job import PartitionedJob, Range
from widemargin.ps.parameters import Update

START_S, END_S = 120.0, 5.0
ERRORS: dict[str, type[Exception]] = {
    e.__name__: e for e in (ArithmeticError, PartitionLost, TimeoutError, TrainingError)
}


class Gang:
    """K processes; a task of all keys."""

    def __init__(self, job: PartitionedJob, deadline_s: float = 60.0) -> None:
        self.job, self.loss, self.busy = job, float("nan"), [0.0] * job.partitions
        self.theta = torch.empty(job.n_keys).share_memory_()
        self.gradient = torch.empty(job.n_keys).share_memory_()
        context: Any = torch.multiprocessing.get_context("spawn")
        rendezvous = f"127.0.0.1:{_free_port()}"
        self.pipes: list[Connection] = []
        self.processes = []
        try:
            for k in range(job.partitions):
                ours, theirs = context.Pipe()
                self.pipes.append(ours)
                told = (theirs, job, k, rendezvous, deadline_s, self.theta, self.gradient)
                process = context.Process(target=serve, args=told, daemon=True)
                self._begun(process)
                self.processes.append(process)
                theirs.close()
            self._answers()
        except BaseException:
            self.close()
            raise

    def _begun(self, process: Any) -> None:
        try:
            process.start()
        except (pickle.PicklingError, AttributeError) as error:
            raise ValueError(
                f"the net cannot be sent to other processes: {error}. Give functions of a module "
                "as build, loss, split and init, no lambdas and none made within others."
            ) from error

    def touch(self, block: m.Block) -> None:
        return None

    def prefetch(self, block: m.Block) -> None:
        self._tell(("prefetch", block))

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The gradient of all keys, (n, 1)."""
        start, theta = 0, self.theta.numpy()
        for part in parts:
            theta[start : start + len(part)] = part[:, 0]
            start += len(part)
        self._tell(("compute", block))
        answers = self._answers()
        self.loss, self.busy = answers[0][1], [answer[2] for answer in answers]
        return Update(None, self.gradient.numpy().copy().reshape(-1, 1), answers[0][0])

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.close()  # which ends the process
        for process in self.processes:
            process.join(END_S)
            if process.is_alive():
                process.kill()
                process.join(END_S)
        self.pipes, self.processes = [], []

    def _tell(self, what: Any) -> None:
        if not self.pipes:
            raise PartitionLost("the processes of this net have ended. Open the job again.")
        for pipe in self.pipes:
            with suppress(OSError):  # whose end is seen when its answer does not come
                pipe.send(what)

    def _answers(self) -> list[Any]:
        """What each process gives back; the error of one ends the wait for the others."""
        answers: dict[Any, Any] = {}
        while len(answers) < len(self.pipes):
            for pipe in wait([p for p in self.pipes if p not in answers]):
                assert isinstance(pipe, Connection)
                try:
                    kind, *what = pipe.recv()
                except (EOFError, OSError):
                    kind = "PartitionLost"
                    what = [f"the process of partition {self.pipes.index(pipe)} is gone"]
                answers[pipe] = (kind, what)
                if kind == "PartitionLost":
                    for process in self.processes:
                        process.kill()
                    self.close()
                    raise PartitionLost(what[0])
        for kind, what in answers.values():
            if kind != "done":
                raise ERRORS.get(kind, TrainingError)(what[0])
        return [answers[pipe][1] for pipe in self.pipes]


def serve(
    pipe: Connection,
    job: PartitionedJob,
    k: int,
    rendezvous: str,
    deadline_s: float,
    theta: torch.Tensor,
    gradient: torch.Tensor,
) -> None:
    """The process of partition k: answers until the pipe is closed."""
    parts = job.ranges(job.partitions)
    owner = job.owner(parts)
    mine = [part for part, k_of in zip(parts, owner, strict=True) if k_of == k]
    span = slice(mine[0].start, mine[-1].stop)
    pulled = [_read_only(theta, parts[g]) for g in job.reads(parts)[k]]
    task: Any = None
    with suppress(EOFError, OSError, KeyboardInterrupt):
        try:
            task = job.open_partition(k, rendezvous, max(deadline_s, START_S))
            pipe.send(("done",))
        except Exception as error:
            pipe.send((type(error).__name__, str(error)))
        while True:
            what, block = pipe.recv()
            if what == "prefetch":
                task.prefetch(block)
                continue
            try:
                update = task.compute(block, pulled, None)
                gradient.numpy()[span] = update.values[:, 0]
                pipe.send(("done", update.n, task.loss, task.busy))
            except Exception as error:
                pipe.send((type(error).__name__, str(error)))
    if task is not None:
        task.close()


def _read_only(theta: torch.Tensor, part: Range) -> Any:
    view = theta.numpy()[part.start : part.stop].reshape(-1, 1)
    view.flags.writeable = False
    return view


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
