"""A partitioned net evaluated in one process that never holds it whole.

The layers pass one partition at a time: its parameters are filled in, the batches go through it,
and what comes out waits for the next one. Of activations, those of CHUNK batches are held.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from widemargin.nets.balance import Cost, balanced, bytes_of
from widemargin.nets.evaluation import Metric, anew, batch_norms, means, on_threads
from widemargin.nets.fitting import there
from widemargin.nets.forward import autocast, outputs_of, pair, size_of
from widemargin.nets.history import Epoch
from widemargin.nets.job import seeded
from widemargin.nets.layers import fill
from widemargin.nets.partitioned import PartitionedNet
from widemargin.nets.pieces import put
from widemargin.nets.samples import Source, order_of, read, samples_of
from widemargin.ps.kept import Kept

CHUNK = 16  # batches


class Segments:
    """A partitioned net at these parameters, which are read where they are needed; batch norms
    settled from `blocks` blocks of its data."""

    def __init__(self, job: PartitionedNet, parameters: Kept, blocks: int) -> None:
        self.job, self.parameters = job, parameters
        self.runs = _runs(job)
        self.buffers: list[dict[str, torch.Tensor]] = [{} for _ in self.runs]
        if batch_norms(job.drawn().whole):
            self._settle(min(blocks, job.n_blocks))

    def evaluated(self, source: Source, metrics: Mapping[str, Metric]) -> dict[str, float]:
        """Means over all samples: "loss" and the metrics."""
        cpu = torch.device("cpu")
        with torch.no_grad(), autocast(cpu, self.job.precision):
            return means(self._outputs(source), self.job.loss, metrics)

    def whole(self) -> torch.nn.Module:
        """All of it, in eval mode: for those who have the memory."""
        net = self.job.drawn()
        fill(net, range(len(net.layers)), self.job.seed, self.job.init)
        put(net, self.job.keys.pieces, self.parameters)
        for run, buffers in zip(self.runs, self.buffers, strict=True):
            _write(torch.nn.ModuleList([net.layers[i] for i in run]), buffers)
        return net.whole.eval()

    def _outputs(self, source: Source) -> Iterator[tuple[Any, Any, int]]:
        everything = np.arange(source.n)
        for start in range(0, source.n_blocks, CHUNK):
            numbers = range(start, min(start + CHUNK, source.n_blocks))
            batches = [pair(read(source, samples_of(source, everything, i))) for i in numbers]
            xs = [inputs for inputs, _ in batches]
            sizes = [size_of(x) for x in xs]
            for s in range(len(self.runs)):
                segment = self.filled(s).eval()
                xs = [_through(segment, x) for x in xs]
            yield from zip(xs, (targets for _, targets in batches), sizes, strict=True)

    def _settle(self, blocks: int) -> None:
        """Estimate the running statistics of all batch norms from blocks of the first epoch."""
        source, seed = self.job.source, self.job.seed
        order = order_of(source, seed, 0)
        xs = [pair(read(source, samples_of(source, order, i)))[0] for i in range(blocks)]
        with torch.no_grad(), seeded(seed):
            for s in range(len(self.runs)):
                segment = self.filled(s).train()
                with anew(batch_norms(segment)):
                    xs = [_through(segment, x) for x in xs]
                self.buffers[s] = {name: b.clone() for name, b in segment.named_buffers()}

    def filled(self, s: int) -> torch.nn.ModuleList:
        """The layers of run s, with their parameters and statistics."""
        job, run, net = self.job, self.runs[s], self.job.drawn()
        fill(net, run, job.seed, job.init)
        put(net, [piece for piece in job.keys.pieces if piece.layer in run], self.parameters)
        segment = torch.nn.ModuleList([net.layers[i] for i in run])
        _write(segment, self.buffers[s])
        return segment


class PartitionJudge:
    """Parameters to the row of an epoch; the same verbs as `fitting.Judge`."""

    def __init__(
        self,
        job: PartitionedNet,
        source: Source | None,
        metrics: Mapping[str, Metric],
        statistics_blocks: int,
    ) -> None:
        self.job, self.source, self.metrics = job, source, metrics
        self.blocks = statistics_blocks
        self.began = time.monotonic()

    def module_at(self, parameters: Kept | None) -> Segments:
        """The net at these parameters, its batch norms settled."""
        return Segments(self.job, there(parameters), self.blocks)

    def row(self, epoch: int, version: int, parameters: Kept) -> Epoch:
        """The parameters at the end of an epoch, evaluated."""
        values: dict[str, float] = {}
        if self.source is not None:
            with on_threads(self.job.threads):
                values = self.module_at(parameters).evaluated(self.source, self.metrics)
        return Epoch(epoch, version, time.monotonic() - self.began, values)


def _runs(job: PartitionedNet) -> list[range]:
    """The layers that are in memory together: a partition, or a K-th of a net with slices."""
    counts: Sequence[int] = job.counts
    if job.sliced:
        net = job.drawn()
        sizes = [Cost(float(size), size) for size in bytes_of(net)]
        counts = balanced(sizes, min(job.partitions, len(sizes)), [1] * len(sizes))
    stops = np.cumsum(counts)
    return [range(int(stop - count), int(stop)) for stop, count in zip(stops, counts, strict=True)]


def _through(segment: torch.nn.ModuleList, x: Any) -> Any:
    for layer in segment:
        x = outputs_of(layer, x)
    return x


def _write(segment: torch.nn.Module, buffers: Mapping[str, torch.Tensor]) -> None:
    for name, buffer in segment.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])
