"""What a planned run is made of, and what is noted of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.plan_pace import Gradients
from widemargin.ps.policy import Policy

NEVER = float("inf")


class Case(NamedTuple):
    """What may be chosen."""

    policy: Policy
    workers: int
    servers: int = 1
    replicas: int = 1


class Figures(NamedTuple):
    """What cannot be chosen. Seconds, and bytes a second."""

    model_bytes: float
    pace: Gradients
    bandwidth: float = NEVER  # of a process's NIC, in each direction
    latency: float = 0.0005  # of a message
    service: float = 0.0  # the coordinator and the servers are busy with a gradient, all told
    apply: float = 0.0  # a server, with a byte of a gradient
    slower: Mapping[int, float] = {}  # workers that take so many times longer
    deadline_s: float = 3.0
    interrupt: bool = False  # is a gradient that is no longer wanted stopped half-way?


class Deaths(NamedTuple):
    """Workers that die: a gradient's share of deaths, and for how long its worker is gone."""

    share: float
    seconds: float


class Committed(NamedTuple):
    """A commit: when, of how many gradients, made of a version how many commits ago."""

    time: float
    parts: int
    late: int


@dataclass(slots=True)
class Hired:
    """A worker: its lease, and when its gradient begins and is done."""

    number: int
    rng: random.Random
    lease: m.LeaseId | None = None
    begins: float = NEVER
    done: float = NEVER
    unwanted: bool = False
    dead: bool = False
