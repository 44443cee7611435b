"""What all roles of one run agree on."""

from __future__ import annotations

import math
from typing import NamedTuple

from widemargin.ps.compression import Codec
from widemargin.ps.policy import Policy
from widemargin.ps.rounds import Cadence, refuse_cadence, refuse_compression


class Settings(NamedTuple):
    """The run: how much work, under which policy, and after how long a silence is a death.

    `groups` lists, for each key range, the names of its members (replicas). A worker may be several
    processes, partitions 0, 1, …: `owner` says for each group which of them pushes its gradient,
    empty: there is one; `reads` for each of them which groups it pulls, empty: its own. Seconds: a
    role silent for `deadline_s` counts as dead, and is not waited for after `quiet_s`; what is
    unanswered is sent again after `retry_s`.
    """

    n_blocks: int
    epochs: int
    policy: Policy
    groups: tuple[tuple[str, ...], ...]
    seed: int = 0
    shuffle: bool = True
    sparse: bool = False  # workers pull and push only the keys that a block touches
    snapshot_every: int = 0  # commits; 0: only at the end of an epoch
    deadline_s: float = 10.0
    quiet_s: float = math.inf  # who is silent for so long is not waited for, where others can serve
    retry_s: float = 1.0
    tick_s: float = 0.25
    give_up_s: float = 120.0  # a group without any living member for so long ends the run
    owner: tuple[int, ...] = ()
    reads: tuple[tuple[int, ...], ...] = ()
    attempts: int = 3  # a block whose gradient raises an error so often ends the run
    compression: Codec | None = None  # of what workers push
    cadence: Cadence | None = None  # blocks are rounds of several batches; see `rounds`
    workers: int = 0  # so many are expected: a synchronous run begins with all of them


def group_of(settings: Settings, member: str) -> int:
    """The key range that a member serves."""
    return next(g for g, members in enumerate(settings.groups) if member in members)


def partitions(settings: Settings) -> int:
    """The processes of a worker."""
    return len(settings.reads) or max(settings.owner, default=0) + 1


def owned(settings: Settings, k: int) -> tuple[int, ...]:
    """The groups whose gradient partition k pushes."""
    return tuple(g for g, owner in enumerate(settings.owner) if owner == k)


def read_by(settings: Settings, k: int) -> tuple[int, ...]:
    """The groups whose values partition k pulls."""
    return settings.reads[k] if settings.reads else owned(settings, k)


def refuse_rounds(settings: Settings) -> None:
    """ValueError where rounds do not go with the rest of the settings."""
    refuse_cadence(settings.cadence, settings.policy, len(settings.groups))
    refuse_compression(settings.cadence, settings.compression is not None)
