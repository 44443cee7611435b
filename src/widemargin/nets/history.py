"""What a fit remembers: one row an epoch, the best of them, and the file that keeps both."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from widemargin.files import written_whole
from widemargin.nets.losses import Losses
from widemargin.ps import kept
from widemargin.ps import messages as m
from widemargin.ps.kept import Kept

HISTORY, BEST = "history.json", "best.safetensors"


class Epoch(NamedTuple):
    """The state at the end of an epoch."""

    epoch: int
    version: int  # commits since the beginning
    seconds: float  # since this fit began
    values: dict[str, float]  # "loss" and metrics, of the data of evaluation; empty without
    train_loss: float | None = None  # of the epoch's samples, each before its step


def scalars(what: dict[str, Any]) -> dict[str, float]:
    """The numbers of an "evaluated" event, by name."""
    train_loss: float | None = what["train_loss"]
    return {**what["values"], **({} if train_loss is None else {"train_loss": train_loss})}


class History:
    """Rows in the order of the epochs; `facts` say of which run they are.

    With a folder all is kept there, so that an interrupted fit goes on with what it knew.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        facts: dict[str, Any],
        keep: Callable[[Kept], Kept] = kept.whole,
        losses: Losses | None = None,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.facts, self.keep = facts, keep  # a copy that stays
        self.rows: list[Epoch] = []
        self.losses = losses or Losses()
        self.ends: dict[int, int] = {}  # versions at which epochs ended
        self.stopped = False  # early
        self._best: Kept | None = None
        if self.folder is not None and (self.folder / HISTORY).exists():
            self._read(self.folder / HISTORY)

    def hear(self, event: m.Event) -> None:
        """Losses, and where epochs end."""
        self.losses.on(event)
        if event.kind == "epoch":
            self.ends[event.what["version"]] = event.what["epoch"]

    def add(self, row: Epoch, parameters: Kept) -> Epoch:
        """A row, in place of one of the same epoch, with the epoch's training loss; keep the
        parameters if it is the best."""
        row = row._replace(train_loss=self.losses.mean(row.epoch))
        self.losses.forget(row.epoch)
        self.rows = sorted([r for r in self.rows if r.epoch != row.epoch] + [row])
        if row.values and self.best() == row:
            if self.folder is None:
                self._best = self.keep(parameters)
            else:
                self._write_best(self.folder / BEST, parameters)
        self.write()
        return row

    def best(self) -> Epoch | None:
        """The first row of the lowest loss; one that is no number is above all others."""
        judged = [(row.values["loss"], row) for row in self.rows if row.values]
        order = [(math.isnan(loss), loss, i) for i, (loss, _) in enumerate(judged)]
        return judged[min(order)[2]][1] if judged else None

    def stale(self) -> int:
        """Epochs since the best one."""
        best = self.best()
        return 0 if best is None else self.rows[-1].epoch - best.epoch

    def best_parameters(self) -> Kept | None:
        """The parameters of the best epoch; those in the folder are read from their file."""
        if self.folder is not None and (self.folder / BEST).exists():
            stream = (self.folder / BEST).open("rb")
            return kept.read_from(stream, str(self.folder / BEST))
        return self._best

    def write(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [row._asdict() for row in self.rows]
        whole = {"facts": self.facts, "stopped": self.stopped, "rows": rows}
        with written_whole(self.folder / HISTORY) as stream:
            stream.write(json.dumps(whole, indent=1).encode())

    def _read(self, path: Path) -> None:
        whole = json.loads(path.read_text())
        before = whole["facts"]
        for name in {**self.facts, **before}:
            if before.get(name) != self.facts.get(name):
                raise ValueError(
                    f"checkpoint={str(path.parent)!r} holds a run with {name}="
                    f"{before.get(name)!r}, this one has {self.facts.get(name)!r}. Give another "
                    "folder, or the same command."
                )
        self.rows = [Epoch(**row) for row in whole["rows"]]
        self.stopped = whole["stopped"]

    def _write_best(self, path: Path, parameters: Kept) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as stream:
            kept.write(stream, parameters)
