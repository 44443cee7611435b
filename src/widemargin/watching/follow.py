"""A thread that keeps a timeline up to date, and the numbers of a page at hand."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from widemargin.watching.sources import Source
from widemargin.watching.state import Facts, plain
from widemargin.watching.timeline import Timeline

EVERY = 0.5  # seconds between two questions
PATIENCE = 2.0  # seconds that the end waits for a question under way


class Follower:
    """Asks its source as long as the block lasts. `body` is the state as JSON."""

    def __init__(self, source: Source, facts: Facts | None = None) -> None:
        self.source, self.timeline = source, Timeline(facts)
        self.lock = threading.Lock()
        self.trouble = ""
        self.left = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="follower", daemon=True)

    def __enter__(self) -> Follower:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.thread.join(PATIENCE)

    def keep(self) -> None:
        self.ask()
        while not self.left.wait(EVERY):
            self.ask()

    def ask(self) -> None:
        """Take what is new. Who does not answer is asked again: the page shows what was known."""
        try:
            events = self.source()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
            return
        with self.lock:
            self.timeline.extend(events)
        self.trouble = ""

    def told(self) -> dict[str, Any]:
        with self.lock:
            state = plain(self.timeline.state(time.time()))
        return {**state, "trouble": self.trouble}

    def body(self) -> bytes:
        return json.dumps(self.told(), allow_nan=False).encode()
