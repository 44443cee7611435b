"""What a command shows: one JSON object, or progress on a terminal."""

from __future__ import annotations

import json
import math
import sys
from types import TracebackType
from typing import Any


def put_json(report: Any) -> None:
    """One object on stdout; what is no number is null."""
    print(json.dumps(_finite(report)))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Progress:
    """A bar on stderr if that is a terminal, nothing if it is piped."""

    def __init__(self, what: str, total: float | None = None) -> None:
        self.bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(what, total=total, note="")

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, steps: float, note: str = "") -> None:
        if self.bar is not None:
            self.bar.update(self.task, advance=steps, note=note)
