"""What carries a role in the simulator, and the gradients that it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.job import Carrier


class Computation(NamedTuple):
    """A gradient, as it was computed: of what was pulled, and what will be pushed."""

    worker: str
    begun: float
    takes: float  # seconds, if its process does not stand still
    block: m.Block
    values: tuple[Array, ...]
    keys: tuple[Any, ...]
    updates: tuple[Any, ...]
    life: int = 1  # of the worker
    version: int = 0
    resume: m.Resume | None = None
    loss: float | None = None


@dataclass
class Process:
    """What carries a role: it may be dead, or paused with its messages waiting."""

    name: str
    make: Callable[[int], Any]
    role: Any = None
    carrier: Carrier | None = None
    life: int = 0
    alive: bool = False
    paused: float | None = None  # since when
    slept: float = 0.0  # how long in all, in this life
    inbox: list[Any] = field(default_factory=list)
    ahead: tuple[m.Advance, float] | None = None  # steps before their lease, and when they are done

    def advances(self, ask: m.Advance, now: float, takes: float) -> None:
        self.ahead = ask, now + takes - self.slept

    def takes(self, ask: m.Compute, now: float, draw: Callable[[], float]) -> float:
        """Seconds of a gradient, which begins after what was begun ahead, if that is not it."""
        if self.ahead is None:
            return draw()
        (begun, until), self.ahead = self.ahead, None
        left = max(0.0, until + self.slept - now)
        this = None if ask.resume is None else (ask.resume.origin, ask.block, ask.version)
        return left if begun == this else left + draw()


def role_of(name: str) -> str:
    """ "worker", "partition", "shard", "coordinator" or "storage"."""
    return "partition" if "/" in name else name.split("-")[0]
