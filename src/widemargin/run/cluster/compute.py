"""The second thread of a worker: it computes, while the first goes on to say that it lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.job import Carrier, Job, Range, Task


class Computing:
    """`on` takes what the worker sends to "local"; answers go to `tell`.

    A gradient that has begun is not interrupted. One that was cancelled before it began is
    answered with nothing, which the worker awaits no longer.
    """

    def __init__(
        self, load: Callable[[], Job], parts: Sequence[Range], tell: Callable[[Any], None]
    ) -> None:
        self.load, self.parts, self.tell = load, parts, tell
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.cancelled: m.LeaseId | None = None
        self.carrier: Carrier | None = None
        self.errors: dict[m.Block, str] = {}  # of `touch`: told when the gradient is asked for
        threading.Thread(target=self.run, name="compute", daemon=True).start()

    def on(self, message: Any) -> None:
        if isinstance(message, m.Cancel):
            self.cancelled = message.lease
        else:
            self.queue.put(message)

    def run(self) -> None:
        while True:
            answer = self.answer(self.queue.get())
            if answer is not None:
                self.tell(answer)
            del answer  # the gradient is free when the worker lets go of it

    def answer(self, message: Any) -> Any:
        if isinstance(message, m.Compute):
            if message.lease == self.cancelled:
                return m.Computed(message.lease, ())
            error = self.errors.pop(message.block, None)
            if error is not None:
                return m.Broken(message.lease, error)
        try:
            return self.carry().on(message)
        except Exception as error:
            return self.broken(message, f"{type(error).__name__}: {error}")

    def carry(self) -> Carrier:
        if self.carrier is None:
            task: Task = self.load().open()
            self.carrier = Carrier(task, self.parts)
        return self.carrier

    def broken(self, message: Any, error: str) -> Any:
        match message:
            case m.Compute(lease):
                return m.Broken(lease, error)
            case m.Touch(block):
                self.errors[block] = error
                return m.Touched(block, (None,) * len(self.parts))
        return None
