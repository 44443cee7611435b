"""Nets in partitions: throughput against one process on one core, and the bubble.

    python benchmarks/partitions.py throughput

Needs the extra [nets] and two cores. All prints JSON, one line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

import torch

from widemargin.nets import Partitions, optimizers
from widemargin.nets.gang import Gang, Processes
from widemargin.nets.optimizers import rule_of
from widemargin.nets.partitions import planned
from widemargin.nets.samples import source_of
from widemargin.ps.messages import Block

WIDTH, LAYERS, BATCH = 1024, 8, 4096
cross_entropy = torch.nn.functional.cross_entropy


def deep() -> torch.nn.Module:
    """Equal layers, so that a pipeline can be cut into equal halves."""
    return torch.nn.Sequential(*(Dense() for _ in range(LAYERS)))


class Dense(torch.nn.Module):  # type: ignore[misc]
    """A dense layer and its tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        return torch.tanh(self.line(x))


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def data() -> torch.utils.data.TensorDataset:
    x = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(0))
    return torch.utils.data.TensorDataset(x, torch.arange(BATCH) % WIDTH)


def gang_of(processes: Processes, partitions: int, micro: int) -> tuple[Gang, Any]:
    layers = (LAYERS // partitions,) * partitions
    what = (deep, cross_entropy, source_of(data(), BATCH), rule_of(optimizers.SGD(0.01), None))
    job = planned(Partitions(partitions, layers), *what, microbatch=-(-BATCH // micro))
    values = [job.first(part) for part in job.ranges(partitions)]
    return Gang(job, processes), values


def pin(processes: Processes) -> None:
    """Each process on a core of its own."""
    for core, process in enumerate(processes.processes):
        pid = process.pid
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core % (os.cpu_count() or 1)})


def throughput(options: argparse.Namespace) -> None:
    """Blocks by turns in one process on one core and in two on two.

    The bubble is the share of a block in which the busiest partition does not work on layers; the
    formula is (K − 1) / (M + K − 1).
    """
    for micro in options.micro:
        alone, both = Processes(1), Processes(2)
        gangs = [gang_of(alone, 1, micro), gang_of(both, 2, micro)]
        pin(alone)
        pin(both)
        seconds: list[list[float]] = [[], []]
        bubbles = []
        for block in range(options.blocks + 1):
            for i, (gang, values) in enumerate(gangs):
                began = time.perf_counter()
                gang.compute(Block(block, 0), values, None)
                took = time.perf_counter() - began
                if block:  # the first warms up
                    seconds[i].append(took)
                    busy, whole = map(max, zip(*gang.times, strict=True))
                    bubbles += [1 - busy / whole] if i else []
        one, two = map(statistics.median, seconds)
        told(
            what="throughput",
            micro=micro,
            one=round(one, 4),
            two=round(two, 4),
            ratio=round(one / two, 3),
            bubble=round(statistics.median(bubbles), 4),
            formula=round(1 / (micro + 1), 4),
        )
        for processes in (alone, both):
            processes.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["throughput"])
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--micro", type=int, nargs="+", default=[8, 16])
    options = parser.parse_args()
    throughput(options)


if __name__ == "__main__":
    main()
