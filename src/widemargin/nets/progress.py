"""A run on the terminal: two lines that tell how fast it goes and what was lost on the way."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

from widemargin.nets.history import scalars
from widemargin.nets.losses import Losses
from widemargin.ps import messages as m

WINDOW_S = 20.0  # over which rates are taken


class Tally:
    """Counts what events tell.

    A *dropped* gradient came too late for its commit; a *requeued* block went back to the ledger
    because its worker was gone, slow or in error.
    """

    def __init__(self, n_blocks: int, batch_size: int) -> None:
        self.n_blocks, self.batch_size = n_blocks, batch_size
        self.epoch = self.version = self.blocks = self.committed = 0
        self.dropped = self.requeued = self.late = self.steps = 0
        self.workers: set[str] = set()
        self.servers: set[str] = set()
        self.recent: deque[tuple[float, int, int]] = deque()  # time, steps, committed blocks
        self.losses = Losses()

    def on(self, event: m.Event, now: float) -> None:
        what = event.what
        match event.kind:
            case "commit":
                self._commit(what, now)
                self.losses.on(event)
                self.losses.forget(self.epoch)
            case "void":
                self.requeued += 1
            case "epoch":
                self.epoch, self.blocks = what["epoch"] + 1, 0
            case "worker":
                self.workers.add(what["name"])
            case "gone":
                self.workers.discard(what["name"])
            case "member":
                self.servers.add(what["name"])
            case "lost":
                self.servers.discard(what["name"])

    def _commit(self, what: dict[str, Any], now: float) -> None:
        self.version = what["stamp"][1]
        self.epoch = what["parts"][0][1].epoch
        self.blocks += len(what["parts"])
        self.committed += len(what["parts"])
        self.dropped += len(what["void"])
        self.late += what["late"]
        self.steps += 1
        self.recent.append((now, self.steps, self.committed))
        while len(self.recent) > 2 and now - self.recent[0][0] > WINDOW_S:
            self.recent.popleft()

    def rates(self) -> tuple[float, float]:
        """Steps and samples a second, of late."""
        if len(self.recent) < 2:
            return 0.0, 0.0
        (t0, steps0, blocks0), (t1, steps1, blocks1) = self.recent[0], self.recent[-1]
        seconds = max(t1 - t0, 1e-9)
        return (steps1 - steps0) / seconds, (blocks1 - blocks0) * self.batch_size / seconds

    def lines(self, epochs: int) -> str:
        steps, samples = self.rates()
        staleness = self.late / max(self.steps, 1)
        loss = self.losses.mean(self.epoch)
        told = "" if loss is None else f"  training loss {loss:.4f}"
        return (
            f"epoch {min(self.epoch + 1, epochs)}/{epochs}  {self.blocks}/{self.n_blocks} blocks  "
            f"{steps:.1f} steps/s  {samples:,.0f} samples/s  staleness {staleness:.1f}{told}\n"
            f"committed {self.committed}  dropped {self.dropped}  requeued {self.requeued}  "
            f"workers {len(self.workers)}  servers {len(self.servers)}"
        )


class Progress:
    """The lines on standard error, where that is a terminal; below them the last evaluation."""

    def __init__(self, tally: Tally, epochs: int, show: bool | None) -> None:
        self.tally, self.epochs = tally, epochs
        self.live: Any = None
        self.told, self.drawn = "", 0.0
        if sys.stderr.isatty() if show is None else show:
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> Progress:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self._draw()
            self.live.stop()

    def on(self, event: m.Event) -> None:
        """Count the event; draw at most four times a second."""
        now = time.monotonic()
        self.tally.on(event, now)
        if event.kind == "evaluated":
            values = scalars(event.what)
            self.told = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        if self.live is not None and (now - self.drawn > 0.25 or event.kind == "evaluated"):
            self._draw()

    def _draw(self) -> None:
        from rich.text import Text

        self.drawn = time.monotonic()
        lines = [self.tally.lines(self.epochs), *([self.told] if self.told else [])]
        self.live.update(Text("\n".join(lines)), refresh=True)
