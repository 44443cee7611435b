"""A line on the terminal that is written over while work goes on, and stays as it was last.

It appears on stderr if that is a terminal, once the work has taken PATIENCE seconds; so a short
fit shows nothing, and a pipe never does. A thread writes it, so that the clock moves on through
an epoch of minutes; the work itself only leaves its last numbers.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple

PATIENCE = 1.0  # seconds before the first line
EVERY = 0.25  # seconds between two
RECENT = 8  # epochs that the time left is told from


class Live:
    """Writes `told(seconds, done)`, of `Epochs` or `Rows`, which the work feeds."""

    def __init__(self, told: Callable[[float, bool], str], *, shown: bool = True) -> None:
        self.told, self.width = told, 0
        self.shown = shown
        self.done = threading.Event()
        self.thread: threading.Thread | None = None

    def __enter__(self) -> Live:
        if self.shown and sys.stderr.isatty():
            self.began = time.monotonic()
            self.thread = threading.Thread(target=self._keep_writing, daemon=True)
            self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.thread is None:
            return
        self.done.set()
        self.thread.join()
        if self.width and kind is None:
            self._write(self.told(time.monotonic() - self.began, True), end="\n")
        elif self.width:
            self._write("", end="\r")

    def _keep_writing(self) -> None:
        if self.done.wait(PATIENCE):
            return
        while True:
            self._write(self.told(time.monotonic() - self.began, False))
            if self.done.wait(EVERY):
                return

    def _write(self, line: str, end: str = "") -> None:
        """The line in place of the last one, whose rest is blanked."""
        line = line[: columns() - 1]
        print(f"\r{line:{self.width}}", end=end, file=sys.stderr, flush=True)
        self.width = len(line)


def columns() -> int:
    """Of the terminal; 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


class Rows:
    """Counts rows of a stream."""

    def __init__(self) -> None:
        self.n = 0

    def add(self, n: int) -> None:
        self.n += n

    def told(self, seconds: float, done: bool) -> str:
        return f"{self.n:,} rows  {speed(self.n / seconds)}  {seconds:.0f} s"


class Epochs:
    """Follows a fit on n rows: at most so many epochs, until the relative gap is at most tol."""

    def __init__(self, n: int, epochs: int, tol: float | None) -> None:
        self.n, self.epochs, self.tol = n, epochs, tol
        self.seen: list[Seen] = []
        self.objective = self.gap = math.nan
        self.ratio = self.dual = math.nan

    def row(self, row: Mapping[str, float]) -> None:
        """One epoch of a history."""
        rise = (row["dual"] - self.dual) / abs(row["dual"]) if row["dual"] else math.nan
        gap = row["gap"]
        if math.isfinite(gap):
            self.gap, self.ratio = gap, gap / rise if rise > 0.0 else self.ratio
        else:  # the gap falls about as the rise of the dual does
            gap = self.ratio * rise
        if math.isfinite(row["objective"]):
            self.objective = row["objective"]
        self.dual = row["dual"]
        self.seen = [*self.seen[1 - RECENT :], Seen(int(row["epoch"]), row["seconds"], gap)]

    def told(self, seconds: float, done: bool) -> str:
        if not self.seen:
            return f"epoch 1  {seconds:.0f} s"
        epoch, spent, _ = self.seen[-1]
        parts = [f"epoch {epoch}"]
        if math.isfinite(self.objective):
            parts.append(f"objective {self.objective:.6g}")
        if math.isfinite(self.gap):
            parts.append(f"gap {self.gap:.1e}")
        if spent > 0.0:
            parts.append(speed(self.n * epoch / spent))
        parts.append(f"{seconds:.0f} s")
        left = 0.0 if done else self.left()
        if left > 0.0:
            parts.append(f"about {duration(left)} left")
        return "  ".join(parts)

    def left(self) -> float:
        """Seconds until the epochs are done or the gap is at most tol, whichever is sooner.

        The gap is taken to go on falling by the same factor a second as over the last epochs.
        """
        epoch, spent, gap = self.seen[-1]
        by_epochs = (self.epochs - epoch) * spent / epoch
        known = [seen for seen in self.seen if seen.gap > 0.0]
        if not self.tol or len(known) < 2:
            return by_epochs if self.tol is None else 0.0
        first, last = known[0], known[-1]
        fall = math.log(first.gap / last.gap) / max(last.seconds - first.seconds, 1e-9)
        if fall <= 0.0:
            return by_epochs
        return min(by_epochs, max(0.0, math.log(last.gap / self.tol) / fall))


class Seen(NamedTuple):
    """An epoch's number, end, and relative gap, measured or told from the dual's rise."""

    epoch: int
    seconds: float
    gap: float


def speed(rows_a_second: float) -> str:
    """1.2 M rows/s."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rows_a_second >= size:
            return f"{rows_a_second / size:.3g}{unit} rows/s"
    return f"{rows_a_second:.3g} rows/s"


def duration(seconds: float) -> str:
    """12 s, 3 min, 2.5 h."""
    if seconds < 90.0:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400.0 else f"{seconds / 3600:.1f} h"
