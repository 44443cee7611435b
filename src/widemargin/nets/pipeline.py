"""Micro-batches through a pipeline of partitions: one forward, one backward, by turns (1F1B).

Partition k of K first does 2 (K − 1 − k) forwards, then a forward and a backward by turns, then the
backwards that are left; so it keeps at most 2 (K − k) − 1 micro-batches at a time. With M
micro-batches of equal cost on all partitions, each is idle for the share

    (K − 1) / (M + K − 1)

of a block. K − 1 − k forwards would do if a hop took no time (Narayanan et al., Memory-efficient
pipeline-parallel DNN training, 2021). But then each forward of a partition waits for a backward
that the next has just ended, and the next for that forward: every micro-batch pays for a hop, and
for whatever one of the two was late. With twice as many, hops pass while both compute (the eager
1F1B of Zhuang et al., On optimizing the communication of model parallelism, 2023). Gradients add
up in the order of the micro-batches, so they do not depend on K, nor on this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from widemargin.errors import PartitionLost
from widemargin.nets.forward import autocast, loss_of, moved, outputs_of
from widemargin.nets.job import reseed
from widemargin.nets.layers import seed_at
from widemargin.nets.links import Links
from widemargin.nets.messages import header_of, leaves

FORWARD, BACKWARD = "forward", "backward"


def order(k: int, partitions: int, micro: int) -> list[tuple[str, int]]:
    """What partition k does with the micro-batches, in turn.

    >>> order(0, 2, 4) == [("forward", 0), ("forward", 1), ("forward", 2), ("backward", 0),
    ...                    ("forward", 3), ("backward", 1), ("backward", 2), ("backward", 3)]
    True
    """
    warm = min(2 * (partitions - 1 - k), micro)
    turns = [(FORWARD, i) for i in range(warm)]
    for i in range(micro - warm):
        turns += [(FORWARD, warm + i), (BACKWARD, i)]
    return turns + [(BACKWARD, i) for i in range(micro - warm, micro)]


class Micro(NamedTuple):
    """A micro-batch: what this partition reads of it."""

    inputs: Any  # of the first partition
    targets: Any  # of the last partition
    share: float  # in the mean over the block


class Stage(NamedTuple):
    """The layers of a partition, and how they are computed."""

    k: int
    partitions: int
    first: int  # the number of the first layer, of all
    layers: Sequence[torch.nn.Module]
    loss: Callable[[Any, Any], Any]
    device: torch.device
    precision: str = "float32"

    def through(self, inputs: Any, seed: Sequence[int]) -> Any:
        """The outputs; random numbers are those of (seed, layer), whatever partition it is in."""
        x = inputs
        with autocast(self.device, self.precision):
            for i, layer in enumerate(self.layers):
                reseed(seed_at(*seed, self.first + i), self.device)
                x = outputs_of(layer, x)
        return x


class Passage:
    """One block's micro-batches through one partition: `run`, then `total` and `error`.

    Where the user's code fails, the others are told that this micro-batch has, and all go on to
    the end of the block, so that they stay in step. Of the `seconds` that it took, `busy` were
    spent on layers.
    """

    def __init__(self, stage: Stage, links: Links | None, seed: Sequence[int]) -> None:
        self.stage, self.links, self.seed = stage, links, tuple(seed)
        self.is_first, self.is_last = stage.k == 0, stage.k == stage.partitions - 1
        self.arriving: list[Future[Any]] = []
        self.returning: dict[int, Future[Any]] = {}
        self.kept: dict[int, tuple[Any, Any]] = {}
        self.sent: list[Any] = []
        self.total, self.error = 0.0, ""
        self.seconds, self.busy = 0.0, 0.0

    def run(self, micro: Sequence[Micro]) -> None:
        """Add the gradient of the block's mean loss to the layers' parameters."""
        # Two threads receive: a transfer begins when its receiver asks for it.
        began = time.perf_counter()
        before, after = ThreadPoolExecutor(1, "arriving"), ThreadPoolExecutor(1, "returning")
        try:
            if not self.is_first:
                assert self.links is not None
                source = self.stage.k - 1
                self.arriving = [before.submit(self.links.receive, source) for _ in micro]
            for what, i in order(self.stage.k, self.stage.partitions, len(micro)):
                if what == FORWARD:
                    self._forward(i, micro[i], after)
                else:
                    self._backward(i)
            if self.links is not None:
                self.links.wait(self.sent)
        finally:
            self.seconds = time.perf_counter() - began
            before.shutdown(wait=False, cancel_futures=True)
            after.shutdown(wait=False, cancel_futures=True)

    def _forward(self, i: int, micro: Micro, after: ThreadPoolExecutor) -> None:
        stage, outputs = self.stage, None
        inputs = micro.inputs if self.is_first else self.arriving[i].result()
        if inputs is not None and not self.error:
            outputs = self._guarded(self._outputs, i, inputs, micro)
        self.kept[i] = (inputs, outputs)
        if not self.is_last:
            assert self.links is not None
            self.sent += self.links.send(outputs, stage.k + 1)
            if outputs is not None:
                wanted = [t for t in leaves(outputs) if t.requires_grad]
                receive = self.links.receive_gradients
                self.returning[i] = after.submit(receive, wanted, stage.k + 1)

    def _outputs(self, i: int, inputs: Any, micro: Micro) -> Any:
        stage = self.stage
        here = moved(inputs, stage.device) if stage.device.type != "cpu" else inputs
        outputs = stage.through(here, (*self.seed, i))
        if not self.is_last:
            header_of(outputs)  # what cannot be sent is refused here
            return outputs
        with autocast(stage.device, stage.precision):
            loss = loss_of(stage.loss, outputs, moved(micro.targets, stage.device))
        loss = loss if micro.share == 1.0 else loss * micro.share
        self.total += float(loss.detach())
        return loss

    def _backward(self, i: int) -> None:
        inputs, outputs = self.kept.pop(i)
        if outputs is not None:
            gradients = None if self.is_last else self.returning.pop(i).result()
            self._guarded(self._back, outputs, gradients)
        if not self.is_first and inputs is not None:
            assert self.links is not None
            wanted = [t for t in leaves(inputs) if t.requires_grad]
            back = [torch.zeros_like(t) if t.grad is None else t.grad for t in wanted]
            self.sent += self.links.send_gradients(back, self.stage.k - 1)

    def _back(self, outputs: Any, gradients: Any) -> None:
        wanted = [t for t in leaves(outputs) if t.requires_grad]
        if gradients is not None:
            gradients = [g.to(t.device) for g, t in zip(gradients, wanted, strict=True)]
        if wanted:
            torch.autograd.backward(wanted, gradients)

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the call gives; None where it fails, and the error is kept."""
        began = time.perf_counter()
        try:
            return call(*arguments)
        except PartitionLost:
            raise
        except Exception as error:
            self.error = self.error or f"{type(error).__name__}: {error}"
            return None
        finally:
            self.busy += time.perf_counter() - began
