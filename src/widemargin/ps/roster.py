"""Who takes part in a run: workers and members of groups, as the coordinator knows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from widemargin.ps.messages import Stamp, View
from widemargin.ps.settings import Settings

WINDOW = 10  # durations of a worker that are remembered


@dataclass
class Member:
    """A replica of a shard. `full`: its hold on a gradient counts, and is waited for."""

    group: int
    life: int = -1
    sequence: int = 0  # of its newest word in this life
    seen: float = -1e9
    term: int = 0
    whole: bool = False
    stamp: Stamp = (0, 0)
    full: bool = False
    present: bool = False
    copied: float = -1e9  # when a copy was last asked for it
    behind: float | None = None  # since when it lacks the commit that comes next


@dataclass
class Hand:
    """A worker. `busy`: since when it computes; `durations`: of its latest gradients, seconds."""

    life: int
    seen: float
    waiting: bool = False
    busy: float | None = None
    stalled: bool = False
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def begins(self, now: float) -> None:
        self.busy, self.waiting = now, False

    def ends(self, now: float) -> None:
        """Its gradient is done, or it waits for the next one."""
        if self.busy is not None:
            self.durations.append(now - self.busy)
        self.busy, self.stalled = None, False


class Roster:
    """All members, by name, and the workers that are alive."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.members = {
            name: Member(g) for g, names in enumerate(settings.groups) for name in names
        }
        self.hands: dict[str, Hand] = {}

    def full(self, g: int) -> list[str]:
        return [name for name in self.settings.groups[g] if self.members[name].full]

    def sources(self) -> View:
        return tuple(tuple(self.full(g)) for g in range(len(self.settings.groups)))

    def view(self) -> View:
        """Who takes pushes: also those that wait for a copy."""
        return tuple(
            tuple(name for name in names if self.members[name].present)
            for names in self.settings.groups
        )

    def serving(self) -> bool:
        """Has each group a full member?"""
        return all(self.sources())

    def hopeless(self, g: int, term: int) -> bool:
        """Do all members of a group that live stand in this term with nothing?"""
        alive = [
            self.members[name] for name in self.settings.groups[g] if self.members[name].present
        ]
        return all(member.term == term and not member.whole for member in alive)

    def required(self) -> list[str]:
        return [name for name, member in self.members.items() if member.full]

    def present(self) -> list[str]:
        return [name for name, member in self.members.items() if member.present]

    def durations(self, now: float) -> list[list[float]]:
        """For each worker at work its latest durations, newest last; one under way counts once it
        takes longer than those."""
        rows = []
        for hand in self.hands.values():
            row = list(hand.durations)
            under_way = 0.0 if hand.busy is None else now - hand.busy
            if under_way > max(row, default=0.0):
                row.append(under_way)
            if row:
                rows.append(row)
        return rows

    def typical(self) -> float | None:
        """The median duration of a gradient; None: none is known."""
        known = sorted(d for hand in self.hands.values() for d in hand.durations)
        return known[len(known) // 2] if known else None


def arrivals(rows: Iterable[Sequence[float]]) -> list[float]:
    """The mean time of the k-th fastest gradient, k = 1, 2, …, over the latest rounds."""
    rows = [list(row) for row in rows]
    if not rows:
        return []
    rounds = max(len(row) for row in rows)
    sums = [0.0] * len(rows)
    for r in range(rounds):
        for k, d in enumerate(sorted(row[-1 - r % len(row)] for row in rows)):
            sums[k] += d / rounds
    return sums
