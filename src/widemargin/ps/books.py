"""The coordinator's books: all that it knows, and nothing that it could not be told again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.ledger import Ledger
from widemargin.ps.reign import Target
from widemargin.ps.roster import Roster
from widemargin.ps.settings import Settings

OPENING, GATHERING, INSTALLING, RUNNING, DONE, FAILED = (
    "opening",
    "gathering",
    "installing",
    "running",
    "done",
    "failed",
)


@dataclass
class Gradient:
    """What is known of a lease's gradient."""

    holders: set[str] = field(default_factory=set)
    version: int = 0  # of the oldest parameters it was made of
    arrival: int | None = None  # its place among the gradients that are whole
    pushed: float | None = None  # when its worker first said that it has pushed
    loss: float | None = None  # over its samples, as a holder told it


@dataclass
class Pending:
    """A snapshot on its way: groups whose part is not saved yet, and what the manifest will say."""

    key: str
    stamp: m.Stamp
    record: dict[str, Any]
    missing: set[int]
    since: float
    asked: float = -1e9
    tries: int = 0

    @property
    def manifest(self) -> dict[str, Any]:
        return {"key": self.key, "stamp": list(self.stamp), "ledger": self.record}


class Books:
    """Phase and term; who takes part; the ledger and the log; gradients under way; the snapshot."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.phase, self.since, self.asked = OPENING, 0.0, -1e9  # since when; when last asked
        self.reason = ""  # why the run failed
        self.term = 0
        self.stored: int | None = None  # the last term in storage; None: not read yet
        self.reports: dict[str, m.Report] = {}
        self.goal: Target | None = None
        self.roster = Roster(settings)
        self.ledger = Ledger(settings.n_blocks, settings.epochs, settings.seed, settings.shuffle)
        self.stamp: m.Stamp = (0, 0)
        self.log: dict[int, m.Entry] = {}  # commits since the last snapshot, or that a member lacks
        self.latest: dict[str, Any] = {}  # manifest of the last whole snapshot
        self.pending: Pending | None = None
        self.gradients: dict[m.LeaseId, Gradient] = {}
        self.number = 0  # of the last lease
        self.arrived = 0  # gradients that became whole
        self.turn = ""  # the worker that committed last
        self.ahead: dict[str, m.Block] = {}  # blocks that workers read ahead
        self.errors: dict[m.Block, int] = {}
        self.last: dict[str, m.LeaseId] = {}  # of each worker the newest lease committed this term

    @property
    def version(self) -> int:
        return self.stamp[1]

    @property
    def base(self) -> m.Stamp:
        """The stamp of the last whole snapshot."""
        term, version = self.latest["stamp"]
        return int(term), int(version)

    def committed(self, lease: m.LeaseId) -> bool:
        """Is the gradient part of a commit that some member may still have to apply?"""
        return any(lease == known for entry in self.log.values() for known, _ in entry.parts)

    def event(self, kind: str, now: float, **what: Any) -> list[m.Send]:
        return [m.Send(m.OBSERVER, m.Event(kind, now, {"term": self.term, **what}))]

    def fail(self, reason: str, now: float) -> list[m.Send]:
        self.phase, self.reason = FAILED, reason
        stops = [m.Send(name, m.Stop()) for name in self.roster.hands]
        return stops + self.event("failed", now, reason=reason)
