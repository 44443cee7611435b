"""A line of the tour, and the parts that it consists of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias


class Line(NamedTuple):
    """What was done, what came out of it, and the seconds it took, compiling included."""

    what: str
    found: str
    seconds: float
    facts: dict[str, Any]


Part: TypeAlias = Callable[[Any], Iterator[Line]]  # of a `demo.Task`


class Stopwatch:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def lap(self) -> float:
        before, self.began = self.began, time.perf_counter()
        return self.began - before
