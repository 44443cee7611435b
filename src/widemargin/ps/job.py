"""What a run computes: the contract between the parameter server and those who train with it.

A `Job` says how large the parameters are, how they begin and what the server does with gradients.
Each worker's process opens it once and gets a `Task`, which reads blocks and computes gradients.
`Carrier` is what such a process does with the messages that its worker sends to "local".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.feedback import Packer
from widemargin.ps.parameters import Rule, Update


class Range(NamedTuple):
    """The keys of a group: start, …, stop − 1."""

    start: int
    stop: int


class Task(Protocol):
    """A worker's side of a job."""

    def touch(self, block: m.Block) -> Any:
        """The keys that a block touches, sorted and unique; None: all of them."""
        ...

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """The gradient of the mean loss over the block's samples.

        `parts` holds the parameters, group after group, each (n, width) and read-only: of `keys`,
        or all. The update's keys are among `keys`; None: all.
        """
        ...

    def prefetch(self, block: m.Block) -> None:
        """Read the block ahead; returns at once."""
        ...

    def close(self) -> None: ...


class RoundTask(Task, Protocol):
    """A worker's side of a job whose blocks are rounds; see `widemargin.ps.local`."""

    def round(self, ask: m.Compute) -> tuple[Update | None, ...]:
        """For each group the update; None: it has none in this round."""
        ...

    def advance(self, ask: m.Advance) -> None:
        """Take the steps of a round before it is leased."""
        ...


class Job(Protocol):
    """A run's work: plain data that can be pickled."""

    @property
    def rule(self) -> Rule: ...

    @property
    def n_blocks(self) -> int: ...

    @property
    def n_keys(self) -> int: ...

    @property
    def sparse(self) -> bool:
        """Does `touch` give keys?"""
        ...

    def first(self, keys: Range) -> Any:
        """The parameters at the beginning, (n, width)."""
        ...

    def open(self) -> Task:
        """Called once in each worker's process."""
        ...


class PartitionedJob(Job, Protocol):
    """A job whose work is done by `partitions` processes together, each on keys of its own."""

    @property
    def partitions(self) -> int:
        """K, at least 1."""
        ...

    def ranges(self, groups: int) -> tuple[Range, ...]:
        """The keys in contiguous ranges, one a server group: `groups` of them, or as many as it
        takes for each to lie within one partition's keys."""
        ...

    def owner(self, parts: Sequence[Range]) -> tuple[int, ...]:
        """The partition, 0 … K − 1, that pushes the gradient of each of these ranges."""
        ...

    def reads(self, parts: Sequence[Range]) -> tuple[tuple[int, ...], ...]:
        """For each partition the ranges whose parameters it pulls, in their order: its own, and
        those that all partitions share."""
        ...

    def open_partition(self, k: int, rendezvous: str, deadline_s: float) -> Task:
        """Called in K processes at once; returns when all are there, TimeoutError otherwise.

        `rendezvous` is "host:port" of a store that k = 0 opens. `compute` is called in all K for
        the same block, with the parameters of the ranges that `reads` tells for k, and `keys` None;
        its update is the gradient of the keys that `owner` gives to k, as one run. Where a process
        is gone or hangs the others raise `PartitionLost` within `deadline_s`, and the task is of no
        more use. Any other error is raised in all of them, and leaves the task usable.
        """
        ...


def ranges(n_keys: int, groups: int) -> tuple[Range, ...]:
    """The keys in as many contiguous ranges as there are groups, equal to within one."""
    cuts = [n_keys * g // groups for g in range(groups + 1)]
    return tuple(Range(a, b) for a, b in zip(cuts, cuts[1:], strict=False))


def split_keys(keys: Any, parts: Sequence[Range]) -> tuple[Any, ...]:
    """Sorted keys, group by group, as views; None stays None."""
    if keys is None:
        return (None,) * len(parts)
    cuts = np.searchsorted(keys, [part.start for part in parts] + [parts[-1].stop])
    return tuple(keys[a:b] for a, b in zip(cuts, cuts[1:], strict=False))


def split_update(update: Update, parts: Sequence[Range]) -> tuple[Update, ...]:
    """A gradient, group by group, as views."""
    if update.keys is None:
        return tuple(Update(None, update.values[p.start : p.stop], update.n) for p in parts)
    cuts = np.searchsorted(update.keys, [part.start for part in parts] + [parts[-1].stop])
    return tuple(
        Update(update.keys[a:b], update.values[a:b], update.n)
        for a, b in zip(cuts, cuts[1:], strict=False)
    )


def answered(
    message: Any, task: Task, parts: Sequence[Range], compute: Callable[[m.Compute], Any]
) -> Any:
    """What goes back to a role that asks its own process for something; None: nothing."""
    match message:
        case m.Touch(block):
            return m.Touched(block, split_keys(task.touch(block), parts))
        case m.Compute():
            return compute(message)
        case m.Prefetch(block):
            task.prefetch(block)
        case m.Advance():
            with suppress(Exception):  # the round itself will raise it again, for its block
                cast(RoundTask, task).advance(message)
    return None


class Carrier:
    """Answers what a worker asks of its own process; `packer` encodes what is to be pushed."""

    def __init__(self, task: Task, parts: Sequence[Range], packer: Packer | None = None) -> None:
        self.task, self.parts, self.packer = task, parts, packer

    def on(self, message: Any) -> Any:
        """The message that goes back to the worker; None: nothing."""
        return answered(message, self.task, self.parts, self.compute)

    def compute(self, ask: m.Compute) -> Any:
        """The gradient, or what went wrong: an error of the user's code ends the block, not us."""
        keys = None if ask.keys[0] is None else np.concatenate(ask.keys)
        try:
            if ask.resume is not None:
                updates = cast(RoundTask, self.task).round(ask)
                return m.Computed(ask.lease, updates, loss_of(updates))
            update = self.task.compute(ask.block, ask.values, keys)
            pieces: tuple[Any, ...] = split_update(update, self.parts)
            if self.packer is not None:
                pieces = self.packer.pack(ask.lease, ask.last, ask.block, pieces)
        except Exception as error:
            return m.Broken(ask.lease, f"{type(error).__name__}: {error}")
        return m.Computed(ask.lease, pieces, update.loss)


def loss_of(updates: Sequence[Update | None]) -> float | None:
    """The loss of a round, which each of its updates tells."""
    return next((update.loss for update in updates if update is not None), None)
