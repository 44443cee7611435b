"""The blocks of a source, read ahead in a thread, and of each only the side that is needed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from torch.utils.data import TensorDataset, default_collate

from widemargin.nets.forward import pair, pieces
from widemargin.nets.pipeline import Micro
from widemargin.nets.samples import Source, order_of, read, samples_of
from widemargin.ps import messages as m

AHEAD = 2  # blocks read ahead: that which is next and that which is being computed


class Reader:
    """Blocks as micro-batches of at most `size` samples; sides that are not needed are None."""

    def __init__(self, source: Source, seed: int, size: int, inputs: bool, targets: bool) -> None:
        self.source, self.seed, self.size = source, seed, size
        self.inputs, self.targets = inputs, targets
        self.pool = ThreadPoolExecutor(1, "read-ahead")
        self.ahead: dict[m.Block, Future[Any]] = {}
        self.order: tuple[int, Any] = (-1, None)  # of the samples, in which epoch

    def samples(self, block: m.Block) -> int:
        """How many samples a block has."""
        return min(self.source.batch_size, self.source.n - block.number * self.source.batch_size)

    def shares(self, block: m.Block) -> list[float]:
        """The share of each micro-batch in the mean over the block."""
        n, size = self.samples(block), self.size
        return [(min(start + size, n) - start) / n for start in range(0, n, size)]

    def prefetch(self, block: m.Block) -> None:
        """Read the block in the thread; of what was read the last two are kept."""
        if (self.inputs or self.targets) and block not in self.ahead:
            self.ahead[block] = self.pool.submit(self._read, block)
            while len(self.ahead) > AHEAD:
                self.ahead.pop(next(iter(self.ahead)), None)

    def micro(self, block: m.Block) -> list[Micro]:
        """The micro-batches of a block."""
        n, size, shares = self.samples(block), self.size, self.shares(block)
        if not (self.inputs or self.targets):
            return [Micro(None, None, share) for share in shares]
        ahead = self.ahead.pop(block, None)
        sides = self._read(block) if ahead is None else ahead.result()
        cut = [
            [None] * len(shares) if side is None else [p for p, _ in pieces(side, n, size)]
            for side in sides
        ]
        return [Micro(*parts) for parts in zip(*cut, shares, strict=True)]

    def close(self) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, block: m.Block) -> tuple[Any, Any]:
        epoch, order = self.order
        if epoch != block.epoch:
            order = order_of(self.source, self.seed, block.epoch)
            self.order = (block.epoch, order)  # set at once: two threads read
        samples, dataset = samples_of(self.source, order, block.number), self.source.dataset
        if type(dataset) is TensorDataset and self.source.collate is default_collate:
            inputs, targets = pair(dataset.tensors)
            at = np.asarray(samples)
            return (
                inputs[at] if self.inputs else None,
                targets[at] if self.targets else None,
            )
        inputs, targets = pair(read(self.source, samples))
        return inputs if self.inputs else None, targets if self.targets else None
