"""Where events come from. A source says what is new each time it is called."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from widemargin.errors import InputError
from widemargin.ps.messages import Event
from widemargin.watching.state import Facts

Source: TypeAlias = Callable[[], Sequence[Event]]
EVENTS, RECORD = "events.jsonl", "run.json"  # in a run's folder
AT_ONCE = 1 << 24  # bytes read in one go


def newer(since: Callable[[int], Sequence[Event]]) -> Source:
    """Of who tells its events from the n-th on; asked no more once the run has ended."""
    known, ended = 0, False

    def source() -> Sequence[Event]:
        nonlocal known, ended
        if ended:
            return ()
        events = since(known)
        known += len(events)
        ended = any(event.kind in ("done", "failed") for event in events)
        return events

    return source


class Folder:
    """A run's folder; what is written there later is new. It may vanish with its run."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.name == EVENTS:
            self.path = self.path.parent
        self.read, self.rest = 0, b""

    def __call__(self) -> list[Event]:
        try:
            with (self.path / EVENTS).open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self.read:  # another run's
                    self.read, self.rest = 0, b""
                stream.seek(self.read)
                new = stream.read(AT_ONCE)
        except FileNotFoundError:
            return []
        self.read += len(new)
        *lines, self.rest = (self.rest + new).split(b"\n")
        return [event for line in lines if (event := event_of(line)) is not None]

    def facts(self) -> Facts:
        """What the folder tells of its run."""
        try:
            record = json.loads((self.path / RECORD).read_bytes())
            blocks, name = record.get("n_blocks"), record.get("name")
        except (FileNotFoundError, ValueError, AttributeError):
            return Facts(name=self.path.absolute().name)
        return Facts(
            name=str(name or self.path.absolute().name),
            n_blocks=blocks if isinstance(blocks, int) else None,
        )


def event_of(line: bytes) -> Event | None:
    """A line of the file; None: one that a process that died left unfinished."""
    try:
        _, _, _, kind, time, what = json.loads(line)
        return Event(str(kind), float(time), dict(what))
    except (ValueError, TypeError):
        return None


def is_folder(run: str) -> bool:
    """Is this the folder of a run, or its file of events, rather than a name?"""
    return os.sep in run or os.path.exists(run)


def folder_of(run: str) -> Folder:
    """The source in a folder, or an InputError that says what is there instead."""
    folder = Folder(run)
    if not folder.path.is_dir():
        raise InputError(f"{run}: found no such folder; accepted: the folder of a run.")
    if not (folder.path / EVENTS).is_file():
        raise InputError(
            f"{run}: found no {EVENTS} in it; accepted: the folder of a run that has begun "
            "(snapshot_to), or the name of a run on a Ray."
        )
    return folder


def all_events(source: Source) -> list[Event]:
    """What a source tells until it has nothing new."""
    events: list[Any] = []
    while new := source():
        events += new
    return events
