"""Who takes part in a run: workers and members of groups, as the coordinator knows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from widemargin.ps.ledger import Held
from widemargin.ps.messages import LeaseId, Stamp, View
from widemargin.ps.settings import Settings

WINDOW = 20  # durations of a worker that are remembered


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
    quiet: bool = False  # silent for a while, not long enough to be dead
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
        """Its gradient is done."""
        if self.busy is not None:
            self.durations.append(now - self.busy)
        self.busy, self.stalled = None, False

    def stops(self, now: float) -> None:
        """Its gradient is no longer wanted: if it took longer than any, remember that."""
        if self.busy is not None and now - self.busy > max(self.durations, default=0.0):
            self.durations.append(expected(now - self.busy, self.durations))
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

    def heard(self, g: int) -> list[str]:
        """Full members of a group, without quiet ones unless all are quiet."""
        full = self.full(g)
        return [name for name in full if not self.members[name].quiet] or full

    def sources(self) -> View:
        return tuple(tuple(self.heard(g)) for g in range(len(self.settings.groups)))

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
        """Whose hold on a gradient is waited for."""
        return [name for group in self.sources() for name in group]

    def all_full(self) -> list[str]:
        return [name for name, member in self.members.items() if member.full]

    def at_work(self, now: float) -> dict[str, Hand]:
        """The workers that a synchronous step may wait for."""
        limit = now - self.settings.quiet_s
        return {n: h for n, h in self.hands.items() if not h.stalled and h.seen >= limit}

    def present(self) -> list[str]:
        return [name for name, member in self.members.items() if member.present]

    def arrivals(self, leases: Mapping[LeaseId, Held], now: float) -> list[float]:
        """For each worker, how long after the first lease began its gradient comes, or came."""
        since = {held.worker: held.since for held in leases.values()}
        begun = min(since.values(), default=now)
        times = []
        for name, hand in self.at_work(now).items():
            known = hand.durations or [d for other in self.hands.values() for d in other.durations]
            if not known:
                continue
            if name in since and hand.busy is None:
                takes = known[-1]
            else:
                takes = expected(0.0 if hand.busy is None else now - hand.busy, known)
            times.append(since.get(name, now) - begun + takes)
        return times

    def typical(self) -> float | None:
        """The median duration of a gradient; None: none is known."""
        known = sorted(d for hand in self.hands.values() for d in hand.durations)
        return known[len(known) // 2] if known else None


def expected(elapsed: float, known: Collection[float]) -> float:
    """How long a gradient takes that has taken so long already, others having taken the known.

    As long as the next longer of these; beyond all of them, as long again as it is late by now:
    what has no typical length lasts the longer the longer it has lasted.
    """
    ordered = sorted(known)
    typical = ordered[len(ordered) // 2] if ordered else 0.0
    return min((d for d in ordered if d > elapsed), default=2.0 * elapsed - typical)
