"""Events on their way to the observer: told again until it has them, counted so that it takes each
once."""

from __future__ import annotations

from collections import deque
from typing import Any

from widemargin.ps.messages import OBSERVER, Event
from widemargin.run.cluster.plan import space

AT_ONCE = 500


class Herald:
    """`flush` often; it never waits."""

    def __init__(self, name: str, role: str, life: int) -> None:
        self.space, self.role, self.life = space(name), role, life
        self.waiting: deque[Event] = deque()
        self.first = 0  # the number of the first that waits
        self.handle: Any = None
        self.under_way: Any = None
        self.sent = 0

    def add(self, event: Event) -> None:
        self.waiting.append(event)

    @property
    def count(self) -> int:
        """All events so far; the observer has the first `first`."""
        return self.first + len(self.waiting)

    def flush(self) -> None:
        import ray

        try:
            if self.under_way is not None and not self.arrived():
                return
            if self.waiting:
                if self.handle is None:
                    self.handle = ray.get_actor(OBSERVER, namespace=self.space)
                batch = [self.waiting[i] for i in range(min(AT_ONCE, len(self.waiting)))]
                self.sent = len(batch)
                self.under_way = self.handle.record.remote(self.role, self.life, self.first, batch)
        except Exception:  # the observer is dead, and will be again what it was
            self.handle = self.under_way = None

    def arrived(self) -> bool:
        """Has the observer what was sent? Raises if it died."""
        import ray

        done, _ = ray.wait([self.under_way], timeout=0)
        if not done:
            return False
        ray.get(done[0])
        self.under_way = None
        self.first += self.sent
        for _ in range(self.sent):
            self.waiting.popleft()
        return True
