"""The second thread of a worker: it computes, while the first goes on to say that it lives."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.feedback import Packer
from widemargin.ps.job import Carrier, Job, Range, Task
from widemargin.ps.simulate_net import content

TIMED = 256  # gradients whose times are kept until they are told


class Computing:
    """`on` takes what the worker sends to "local"; answers go to `tell`.

    A gradient that has begun is not interrupted. One that was cancelled before it began is
    answered with nothing, which the worker awaits no longer.
    """

    def __init__(
        self,
        load: Callable[[], Job],
        parts: Sequence[Range],
        tell: Callable[[Any], None],
        packer: Packer | None = None,
    ) -> None:
        self.load, self.parts, self.tell, self.packer = load, parts, tell, packer
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.cancelled: m.LeaseId | None = None
        self.carrier: Carrier | None = None
        self.times: deque[tuple[float, float]] = deque(maxlen=TIMED)  # of gradients: begin, seconds
        self.bytes = 0  # of the last gradient
        self.before = 0.0  # seconds of steps that were taken ahead of their lease
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
            timed = isinstance(message, m.Compute | m.Advance)
            return self.timed(message) if timed else self.carry().on(message)
        except Exception as error:
            return self.broken(message, f"{type(error).__name__}: {error}")

    def timed(self, message: m.Compute | m.Advance) -> Any:
        begun, since = time.time(), time.perf_counter()
        answer = self.carry().on(message)
        seconds = self.before + time.perf_counter() - since
        if isinstance(message, m.Advance):
            self.before = seconds
            return answer
        self.before = 0.0
        self.times.append((round(begun, 4), round(seconds, 5)))
        if isinstance(answer, m.Computed):
            self.bytes = content(answer.updates)
        return answer

    def told(self) -> dict[str, Any]:
        """The times of the gradients since it was last asked, and the bytes of the last."""
        times = [self.times.popleft() for _ in range(len(self.times))]
        return {"gradients": tuple(times), "bytes": self.bytes}

    def carry(self) -> Carrier:
        if self.carrier is None:
            task: Task = self.load().open()
            self.carrier = Carrier(task, self.parts, self.packer)
        return self.carrier

    def broken(self, message: Any, error: str) -> Any:
        match message:
            case m.Compute(lease):
                return m.Broken(lease, error)
            case m.Touch(block):
                self.errors[block] = error
                return m.Touched(block, (None,) * len(self.parts))
        return None
