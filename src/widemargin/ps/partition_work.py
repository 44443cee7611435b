"""What a process of a partition does with what its role sends to "local"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from widemargin.errors import PartitionLost
from widemargin.ps import messages as m
from widemargin.ps.job import Range, Task, answered
from widemargin.ps.parameters import Update

LOST = (PartitionLost, ConnectionError, TimeoutError)  # a partner is gone


class PartitionCarrier:
    """Answers what a leader or a partition asks of its own process.

    `parts` are the ranges of all groups, `groups` those whose gradient is its.
    """

    def __init__(self, task: Task, parts: Sequence[Range], groups: Sequence[int]) -> None:
        self.task, self.parts = task, parts
        self.own = [parts[g] for g in groups]

    def on(self, message: Any) -> Any:
        """The message that goes back to the role; None: nothing."""
        return answered(message, self.task, self.parts, self.compute)

    def compute(self, ask: m.Compute) -> Any:
        """The own part of the gradient, or what went wrong."""
        named = [keys for keys in ask.keys if keys is not None]
        keys = np.concatenate(named) if named else None
        try:
            update = self.task.compute(ask.block, ask.values, keys)
            return m.Computed(ask.lease, own_updates(update, self.own), update.loss)
        except LOST as error:
            return m.Severed(f"{type(error).__name__}: {error}")
        except Exception as error:
            return m.Broken(ask.lease, f"{type(error).__name__}: {error}")


def own_updates(update: Update, own: Sequence[Range]) -> tuple[Update, ...]:
    """A partition's gradient, group by group, as views; without keys they follow each other."""
    if update.keys is not None:
        at = [np.searchsorted(update.keys, [part.start, part.stop]) for part in own]
        return tuple(Update(update.keys[a:b], update.values[a:b], update.n) for a, b in at)
    ends = np.cumsum([part.stop - part.start for part in own])
    starts = [0, *ends[:-1]]
    return tuple(
        Update(None, update.values[a:b], update.n) for a, b in zip(starts, ends, strict=True)
    )
