"""A fit: the events of a run, the judgement at the end of each epoch, when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import torch

from widemargin.errors import Diverged, SnapshotError, TrainingError
from widemargin.nets.engines import Run
from widemargin.nets.evaluation import Metric, evaluated, on_threads, settle_statistics
from widemargin.nets.flat import Flat
from widemargin.nets.history import Epoch, History
from widemargin.nets.job import NetJob, built
from widemargin.nets.partitioned import PartitionedNet
from widemargin.nets.samples import Source
from widemargin.ps import messages as m
from widemargin.ps.kept import Kept


def facts_of(job: NetJob | PartitionedNet, rounds: Any = None) -> dict[str, Any]:
    """What must be the same when a run is gone on with."""
    facts = {
        "parameters": job.n_keys,
        "samples": job.source.n,
        "batch_size": job.batch_size,
        "seed": job.seed,
        "rule": repr(job.rule),
    }
    return facts if rounds is None else {**facts, "local": repr(rounds)}


class Judging(Protocol):
    """Gives the row of an epoch from the parameters at its end."""

    def row(self, epoch: int, version: int, parameters: Kept) -> Epoch: ...


class Judge:
    """Parameters to a module that can be used, and to the row of an epoch."""

    def __init__(
        self,
        job: NetJob,
        source: Source | None,
        metrics: Mapping[str, Metric],
        statistics_blocks: int,
    ) -> None:
        self.job, self.source, self.metrics = job, source, metrics
        self.blocks = statistics_blocks
        self.began = time.monotonic()
        here = job.device if torch.device(job.device).type == "cpu" or _has_cuda() else "cpu"
        self.flat = Flat(built(job.build, job.seed), here)

    def module_at(self, parameters: Kept | None) -> torch.nn.Module:
        """The module at these parameters, its batch norms settled, in eval mode."""
        self.flat.write([there(parameters).vector().reshape(-1, 1)])
        settle_statistics(self.flat.module, self.job.source, self.job.seed, self.blocks)
        return self.flat.module.eval()

    def row(self, epoch: int, version: int, parameters: Kept) -> Epoch:
        """The parameters at the end of an epoch, evaluated."""
        values: dict[str, float] = {}
        if self.source is not None:
            with on_threads(self.job.threads):
                module, precision = self.module_at(parameters), self.job.precision
                values = evaluated(module, self.source, self.job.loss, self.metrics, precision)
        return Epoch(epoch, version, time.monotonic() - self.began, values)


def there(parameters: Kept | None) -> Kept:
    """The parameters, if there are any."""
    if parameters is None:
        raise TrainingError(
            "training was stopped before its first epoch ended. There is no model; go on, or "
            "stop later."
        )
    return parameters


def _has_cuda() -> bool:
    return bool(torch.cuda.is_available())


def train(
    run: Run,
    judge: Judging,
    history: History,
    callbacks: Sequence[Callable[[m.Event], Any]],
    patience: int | None,
) -> Kept | None:
    """Follow a run to its end; the parameters of its last snapshot, None: there is none.

    Training goes on while an epoch is judged, where it is not in this process.
    """
    try:
        for event in run.events():
            if event.kind == "failed":
                kind = Diverged if event.what.get("diverged") else TrainingError
                raise kind(f"training ended: {event.what['reason']}")
            stop = _told(event, callbacks)
            history.hear(event)
            if event.kind == "snapshot" and event.what["version"] in history.ends:
                for judged in _judged(event, run, judge, history):
                    stop |= _told(judged, callbacks)
                history.stopped = patience is not None and history.stale() >= patience
                history.write()
            if stop or history.stopped:
                break
        with suppress(LookupError):
            return history.keep(run.kept())
        return None
    finally:
        run.stop()


def _told(event: m.Event, callbacks: Sequence[Callable[[m.Event], Any]]) -> bool:
    """Tell all of an event; does one of them want to stop?"""
    return any([callback(event) is True for callback in callbacks])


def _judged(event: m.Event, run: Run, judge: Judging, history: History) -> list[m.Event]:
    """A row for the epoch that ended with this snapshot, unless later ones have replaced it."""
    version = event.what["version"]
    try:
        parameters = run.kept(event.what["key"])
    except LookupError:
        return []
    try:
        row = history.add(judge.row(history.ends[version], version, parameters), parameters)
    except SnapshotError:  # its files were taken away meanwhile
        return []
    return [m.Event("evaluated", event.time, row._asdict())]
