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


def role_of(name: str) -> str:
    """ "worker", "partition", "shard", "coordinator" or "storage"."""
    return "partition" if "/" in name else name.split("-")[0]
