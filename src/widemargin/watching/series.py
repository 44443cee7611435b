"""Counts per stretch of time. When there are too many stretches, each two become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from widemargin.watching.state import Series

MOST = 240  # stretches
FIRST_WIDTH = 0.05  # seconds


@dataclass
class Stretch:
    """What is counted in one."""

    commits: int = 0
    blocks: int = 0
    dropped: int = 0
    void: int = 0
    late: int | None = None
    backups: int = 0
    loss: float | None = None
    train_losses: float = 0.0  # of the blocks of its commits
    told: int = 0  # how many of them told theirs

    def learn(self, losses: Sequence[float | None]) -> None:
        """What the blocks of a commit told; None: not theirs."""
        known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
        self.train_losses += sum(known)
        self.told += len(known)

    def join(self, later: Stretch) -> Stretch:
        """The two as one."""
        lates = [late for late in (self.late, later.late) if late is not None]
        return Stretch(
            self.commits + later.commits,
            self.blocks + later.blocks,
            self.dropped + later.dropped,
            self.void + later.void,
            max(lates, default=None),
            self.backups + later.backups,
            self.loss if later.loss is None else later.loss,
            self.train_losses + later.train_losses,
            self.told + later.told,
        )


@dataclass
class Counts:
    """All stretches from `start` on; what is told of earlier belongs to the first."""

    start: float
    width: float = FIRST_WIDTH
    rows: list[Stretch] = field(default_factory=list)

    def at(self, time: float) -> Stretch:
        """The stretch that a moment lies in."""
        while (k := max(0, int((time - self.start) / self.width))) >= MOST:
            self.halve()
        while len(self.rows) <= k:
            self.rows.append(Stretch())
        return self.rows[k]

    def halve(self) -> None:
        self.width *= 2
        pairs = zip(self.rows[::2], [*self.rows[1::2], Stretch()], strict=False)
        self.rows = [first.join(second) for first, second in pairs]

    def series(self) -> Series:
        rows = self.rows
        return Series(
            self.start,
            self.width,
            tuple(row.commits for row in rows),
            tuple(row.blocks for row in rows),
            tuple(row.dropped for row in rows),
            tuple(row.void for row in rows),
            tuple(row.late for row in rows),
            tuple(row.backups / row.commits if row.commits else None for row in rows),
            tuple(row.loss for row in rows),
            tuple(row.train_losses / row.told if row.told else None for row in rows),
        )
