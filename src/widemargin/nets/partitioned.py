"""A net whose replica is several processes together: what they compute, and the process's side.

Each partition holds a part of the parameters and talks with the servers of that part alone; layers
are filled where they are needed (`layers`). Random numbers, such as those of dropout, come from
(seed, epoch, block, micro-batch, layer), so that they do not depend on the number of partitions.
Batch norms see micro-batches; their running statistics stay in the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from widemargin.data.rows import Array
from widemargin.errors import PartitionLost, TrainingError
from widemargin.nets import pieces
from widemargin.nets.flat import Flat
from widemargin.nets.layers import Build, Init, Net, Split, drawn, fill
from widemargin.nets.links import Links
from widemargin.nets.pieces import Keys
from widemargin.nets.pipeline import Micro, Passage, Stage
from widemargin.nets.reading import Reader
from widemargin.nets.samples import Source
from widemargin.ps import messages as m
from widemargin.ps.job import Range, Task
from widemargin.ps.parameters import Rule, Update

if TYPE_CHECKING:
    from widemargin.nets.sliced import Slices


@dataclass(frozen=True)
class PartitionedNet:
    """Plain data, pickled to every process; `create` in `partitions` makes it.

    `counts` are the layers of each partition of a pipeline; with `sliced` all partitions have all
    layers, and slices of those named.
    """

    build: Build
    loss: Callable[[Any, Any], Any]
    source: Source
    rule: Rule
    keys: Keys
    counts: tuple[int, ...]
    microbatch: int
    split: Split | None = None
    init: Init | None = None
    sliced: Mapping[str, str] | None = None
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1

    sparse = False
    shuffle = False  # blocks are cut from a permutation: their own order is as good as any

    @property
    def partitions(self) -> int:
        return len(self.keys.spans)

    @property
    def n_keys(self) -> int:
        return self.keys.n

    @property
    def n_blocks(self) -> int:
        return self.source.n_blocks

    @property
    def batch_size(self) -> int:
        return self.source.batch_size

    @property
    def fingerprint(self) -> list[Any]:
        """What a run that goes on must have in common, beside the numbers that all jobs tell."""
        spans = [list(span) for span in self.keys.spans]
        order = sha256(repr(self.keys.pieces).encode()).hexdigest()[:16]
        return [self.source.n, self.batch_size, self.microbatch, self.precision, spans, order]

    def ranges(self, groups: int) -> tuple[Range, ...]:
        return self.keys.ranges(groups)

    def owner(self, parts: Sequence[Range]) -> tuple[int, ...]:
        return self.keys.owner(parts)

    def reads(self, parts: Sequence[Range]) -> tuple[tuple[int, ...], ...]:
        return self.keys.reads(parts)

    def drawn(self) -> Net:
        """The net, without memory."""
        return drawn(self.build, self.split)

    def first(self, keys: Range) -> Array:
        """The parameters before the first commit, (n, 1)."""
        return pieces.first(self.drawn(), self.keys.pieces, keys, self.seed, self.init)

    def open(self) -> Task:
        """All partitions as one task: in this process if it is one, else in processes of its own
        on this machine."""
        if self.partitions == 1:
            return PartitionTask(self, 0, None)
        from widemargin.nets.gang import Gang

        return Gang(self)

    def open_partition(self, k: int, rendezvous: str, deadline_s: float) -> Task:
        links = None
        if self.partitions > 1:
            links = Links(k, self.partitions, rendezvous, deadline_s)
        return PartitionTask(self, k, links)


class PartitionTask:
    """Partition k in its process; `links` None: it is the only one."""

    def __init__(self, job: PartitionedNet, k: int, links: Links | None) -> None:
        self.job, self.k, self.links = job, k, links
        self.threads_before = torch.get_num_threads()
        torch.set_num_threads(job.threads)
        net, n = job.drawn(), job.partitions
        start = 0 if job.sliced else sum(job.counts[:k])
        indices = range(start, len(net.layers) if job.sliced else start + job.counts[k])
        self.held: Flat | Slices
        if job.sliced:
            self.held = self._slices(net)
        else:
            fill(net, indices, job.seed, job.init)
            layers = [net.layers[i] for i in indices]
            self.held = Flat(torch.nn.ModuleList(layers), job.device)
        in_line = (0, 1) if job.sliced else (k, n)
        layers = [net.layers[i] for i in indices]
        device = self.held.device
        self.stage = Stage(*in_line, start, layers, job.loss, device, job.precision)
        sides = (job.sliced is not None or k == 0, job.sliced is not None or k == n - 1)
        self.reader = Reader(job.source, job.seed, job.microbatch, *sides)
        self.loss = float("nan")  # of the last block
        self.busy = self.seconds = 0.0  # spent on layers in the last block, and in all

    def touch(self, block: m.Block) -> None:
        return None

    def prefetch(self, block: m.Block) -> None:
        self.reader.prefetch(block)

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The gradient of this partition's keys, (n, 1); see `ps.job.PartitionedJob`."""
        try:
            gradient, error = self._computed(block, parts)
            errors = self._agreed(error)
        except BaseException:
            if self.links is not None:
                self.links.leave()  # the others notice at once
            raise
        if errors:
            raise TrainingError("; ".join(errors))
        if not np.isfinite(self.loss):
            raise ArithmeticError(
                f"the loss is {self.loss} in block {block.number} of epoch {block.epoch}. "
                "Lower the learning rate, or look for such numbers in the data."
            )
        shared = self.job.keys.shared.stop if self.k else 0
        n = float(self.reader.samples(block))
        return Update(None, gradient[shared:].reshape(-1, 1), n, self.loss)

    def close(self) -> None:
        self.reader.close()
        if self.links is not None:
            self.links.leave()
        torch.set_num_threads(self.threads_before)

    def _slices(self, net: Net) -> Slices:
        """All layers, of the sliced ones this partition's slices; one at a time is ever whole."""
        from widemargin.nets.sliced import Slices, parallelize  # DTensor: 0.8 s to import

        job = self.job
        assert job.sliced is not None
        for i in range(len(net.layers)):
            fill(net, [i], job.seed, job.init)
            if self.links is not None:
                parallelize(net, i, job.sliced, job.partitions)
        return Slices(net, job.keys.of(self.k))

    def _computed(self, block: m.Block, parts: Sequence[Any]) -> tuple[Array, str]:
        """The gradient of all that is held, (n,), and what the user's code raised, or ""."""
        links = None if self.job.sliced else self.links
        passage = Passage(self.stage, links, (self.job.seed, block.epoch, block.number))
        micro = self._micro(block, passage)
        self.held.write(parts)
        self.held.module.train()
        gradient = self.held.begin()
        try:
            with torch.random.fork_rng(devices=_cuda(self.held.device)):
                passage.run(micro)
        finally:
            self.held.end(gradient)
        self.loss, self.busy, self.seconds = passage.total, passage.busy, passage.seconds
        if passage.error and self.job.sliced and self.links is not None:
            raise PartitionLost(f"partition {self.k}: {passage.error}")  # no longer in step
        return gradient, passage.error

    def _micro(self, block: m.Block, passage: Passage) -> Sequence[Micro]:
        try:
            return self.reader.micro(block)
        except Exception as error:
            passage.error = f"{type(error).__name__}: {error}"
            return [Micro(None, None, share) for share in self.reader.shares(block)]

    def _agreed(self, error: str) -> list[str]:
        """Everybody's errors; the loss is that of the last partition."""
        if self.links is None:
            return [error] if error else []
        told = self.loss if self.k == self.job.partitions - 1 else 0.0
        failed, self.loss = self.links.agree([float(bool(error)), told])
        return self.links.errors(error or None) if failed else []


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
