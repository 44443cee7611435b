"""How far a run is: the commits that stand, which a rollback takes back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from widemargin.watching.state import Rate

WINDOW = 10.0  # seconds that the rate is of
FULL_TIME = 1.0  # seconds of a run below which there is no rate


class Step(NamedTuple):
    """A commit that stands."""

    version: int
    blocks: int  # in all commits up to it
    epoch: int  # of its last block


class Path:
    """The commits since the last snapshot, and what those before amount to."""

    def __init__(self) -> None:
        self.steps: deque[Step] = deque([Step(0, 0, 0)])
        self.undone = 0

    @property
    def top(self) -> Step:
        return self.steps[-1]

    def back_to(self, version: int) -> int:
        """Only the commits up to `version` stand; how many do not any more."""
        gone = 0
        while len(self.steps) > 1 and self.steps[-1].version > version:
            self.steps.pop()
            gone += 1
        self.undone += gone
        return gone

    def commit(self, version: int, blocks: Sequence[Sequence[int]]) -> None:
        """One more: `blocks` are (epoch, index)."""
        self.back_to(version - 1)
        epoch = max((block[0] for block in blocks), default=self.top.epoch)
        self.steps.append(Step(version, self.top.blocks + len(blocks), epoch))

    def keep_from(self, version: int) -> None:
        """No rollback goes back beyond this snapshot."""
        while len(self.steps) > 1 and self.steps[1].version <= version:
            self.steps.popleft()


class Speed:
    """Blocks and commits per second."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.lately: deque[tuple[float, int]] = deque()
        self.first: float | None = None
        self.last = begun
        self.commits = self.blocks = 0

    def commit(self, now: float, blocks: int) -> None:
        self.first = now if self.first is None else self.first
        self.last = max(self.last, now)
        self.commits += 1
        self.blocks += blocks
        self.lately.append((now, blocks))
        while self.lately[0][0] < now - WINDOW:
            self.lately.popleft()

    def lately_at(self, now: float, samples_per_block: float | None) -> Rate:
        """Over the last WINDOW seconds."""
        recent = [n for time, n in self.lately if time >= now - WINDOW]
        since = self.begun if self.first is None else self.first
        seconds = max(FULL_TIME, min(WINDOW, now - since))
        return rate(len(recent), sum(recent), seconds, samples_per_block)

    def overall(self, samples_per_block: float | None) -> Rate:
        """Over all commits, from the beginning to the last."""
        return rate(self.commits, self.blocks, max(1e-3, self.last - self.begun), samples_per_block)


def rate(commits: int, blocks: int, seconds: float, samples_per_block: float | None) -> Rate:
    samples = None if samples_per_block is None else blocks * samples_per_block / seconds
    return Rate(samples, blocks / seconds, commits / seconds)


def share(done: int, n_blocks: int | None, epochs: int | None) -> tuple[float | None, int | None]:
    """Of the epoch that `done` blocks lead into: how much is done, and which it is."""
    if not n_blocks:
        return None, None
    epoch, rest = divmod(done, n_blocks)
    return (1.0 if epoch == epochs else rest / n_blocks), epoch


def loss_told(what: dict[str, Any]) -> float | None:
    """A finite loss among what an event tells, or among the `values` of an evaluation."""
    loss = what.get("loss", what.get("values", {}).get("loss"))
    if not isinstance(loss, int | float) or not math.isfinite(loss):
        return None
    return float(loss)
