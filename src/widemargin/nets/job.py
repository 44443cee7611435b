"""What a run of a net computes: blocks of samples to gradients.

Keys are positions in the vector of trainable parameters (`flat`), of width 1, float32. A block's
gradient is that of the mean loss over its samples. Before it, torch's generator is seeded from
(seed, epoch, block), so dropout does the same whoever computes the block, and whenever. Datasets
that draw random numbers should draw them from a generator of their own, seeded by the index:
samples are read in another thread.

Buffers, such as the running statistics of batch norm, are a worker's own while it trains; nobody
averages them. Evaluation and the final model estimate the statistics anew (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from widemargin.data.rows import Array
from widemargin.nets.flat import Flat
from widemargin.nets.forward import autocast, loss_of, moved, outputs_of, pair, pieces
from widemargin.nets.samples import Source, order_of, read, samples_of
from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.parameters import Rule, Update

Build = Callable[[], torch.nn.Module]
Loss = Callable[[Any, Any], Any]
AHEAD = 2  # blocks read ahead: that which is next and that which is being computed


@dataclass(frozen=True)
class NetJob:
    """Plain data, pickled to every worker; `build` makes the module there.

    `build` is called in every process with torch's generator seeded by `seed`, so that what is not
    trained, frozen parameters and buffers, is the same everywhere.
    """

    build: Build
    loss: Loss
    source: Source
    rule: Rule
    n_keys: int
    seed: int = 0
    device: str = "cpu"
    microbatch: int | None = None
    precision: str = "float32"
    threads: int = 1

    sparse = False
    shuffle = False  # blocks are cut from a permutation: their own order is as good as any

    @classmethod
    def create(cls, build: Build, loss: Loss, source: Source, rule: Rule, **options: Any) -> Self:
        """A job of the module that `build` makes, whose parameters are counted here."""
        n_keys = Flat(built(build, options.get("seed", 0))).n
        return cls(build, loss, source, rule, n_keys, **options)

    @property
    def n_blocks(self) -> int:
        return self.source.n_blocks

    @property
    def fingerprint(self) -> list[Any]:
        """What a run that goes on must have in common, beside the numbers that all jobs tell."""
        return [self.source.n, self.batch_size, self.microbatch, self.precision]

    @property
    def batch_size(self) -> int:
        return self.source.batch_size

    def first(self, keys: Range) -> Array:
        """The parameters as `build` leaves them, (n, 1)."""
        return Flat(built(self.build, self.seed)).read()[keys.start : keys.stop]

    def open(self) -> NetTask:
        return NetTask(self)


def built(build: Build, seed: int) -> torch.nn.Module:
    """The module of `build`, its random numbers those of the seed."""
    with seeded(seed):
        module = build()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"build must return a torch.nn.Module, got {type(module).__name__}. Return the module "
            "itself from it."
        )
    return module


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Torch's generators at a seed; they go on as before afterwards."""
    on_cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        reseed(seed, device)
        yield


def reseed(seed: int, device: torch.device | None = None) -> None:
    """Torch's generators at a seed: that of the CPU alone where the device is the CPU.

    `torch.manual_seed` writes down a traceback for each kind of device that has not been used yet,
    0.7 ms a call: as much as a small layer takes.
    """
    if device is not None and device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


class NetTask:
    """The module in one worker's process."""

    def __init__(self, job: NetJob) -> None:
        self.job = job
        self.threads_before = torch.get_num_threads()
        torch.set_num_threads(job.threads)
        self.flat = Flat(built(job.build, job.seed), job.device)
        self.reader = ThreadPoolExecutor(1, "read-ahead")
        self.read_ahead: dict[m.Block, Future[Any]] = {}
        self.order: tuple[int, Any] = (-1, None)  # of the samples, in which epoch
        self.loss = float("nan")  # of the last block

    def touch(self, block: m.Block) -> None:
        return None

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The gradient at the parameters of `parts`; the array is not written to again while
        anyone refers to it."""
        flat, batch = self.flat, self._batch(block)
        flat.write(parts)
        flat.module.train()
        gradient = flat.begin()
        try:
            with seeded(seed_of(self.job.seed, block), flat.device):
                self.loss = self._backward(batch, self._size(block))
        finally:
            flat.end(gradient)
        if not np.isfinite(self.loss):
            raise ArithmeticError(
                f"the loss is {self.loss} in block {block.number} of epoch {block.epoch}. "
                "Lower the learning rate, or look for such numbers in the data."
            )
        return Update(None, gradient.reshape(-1, 1), float(self._size(block)), self.loss)

    def prefetch(self, block: m.Block) -> None:
        """Read the block in the thread of the reader; of what was read the last two are kept."""
        if block not in self.read_ahead:
            self.read_ahead[block] = self.reader.submit(self._read, block)
            while len(self.read_ahead) > AHEAD:
                self.read_ahead.pop(next(iter(self.read_ahead)), None)

    def close(self) -> None:
        self.reader.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self.threads_before)

    def _batch(self, block: m.Block) -> Any:
        ahead = self.read_ahead.pop(block, None)
        return self._read(block) if ahead is None else ahead.result()

    def _read(self, block: m.Block) -> Any:
        epoch, order = self.order
        if epoch != block.epoch:
            order = order_of(self.job.source, self.job.seed, block.epoch)
            self.order = (block.epoch, order)  # set at once: two threads read
        return read(self.job.source, samples_of(self.job.source, order, block.number))

    def _size(self, block: m.Block) -> int:
        source = self.job.source
        return min(source.batch_size, source.n - block.number * source.batch_size)

    def _backward(self, batch: Any, n: int) -> float:
        """Add the gradient of the mean over n samples, microbatch by microbatch; the mean loss."""
        total, job = 0.0, self.job
        for piece, share in pieces(batch, n, job.microbatch or n):
            inputs, targets = pair(moved(piece, self.flat.device))
            with autocast(self.flat.device, job.precision):
                outputs = outputs_of(self.flat.module, inputs)
                loss = loss_of(job.loss, outputs, targets)
            if share != 1.0:
                loss = loss * share
            loss.backward()
            total += float(loss.detach())
        return total


def seed_of(seed: int, block: m.Block) -> int:
    """The seed of torch's generator for a block."""
    state = np.random.SeedSequence([seed, block.epoch, block.number]).generate_state(1, np.uint64)
    return int(state[0]) >> 1
