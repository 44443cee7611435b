"""What all roles of one run agree on."""

from __future__ import annotations

from typing import NamedTuple

from widemargin.ps.policy import Policy
from widemargin.ps.rounds import Cadence


class Settings(NamedTuple):
    """The run: how much work, under which policy, and after how long a silence is a death.

    `groups` lists, for each key range, the names of its members (replicas). Seconds: a role silent
    for `deadline_s` counts as dead; what is unanswered is sent again after `retry_s`.
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
    retry_s: float = 1.0
    tick_s: float = 0.25
    give_up_s: float = 120.0  # a group without any living member for so long ends the run
    attempts: int = 3  # a block whose gradient raises an error so often ends the run
    cadence: Cadence | None = None  # blocks are rounds of several batches; see `rounds`


def group_of(settings: Settings, member: str) -> int:
    """The key range that a member serves."""
    return next(g for g, members in enumerate(settings.groups) if member in members)
