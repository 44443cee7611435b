"""The coordinator: leases blocks, decides commits, follows who is alive, begins terms.

It is the only role that decides. A commit is decided once every full member of every group holds
the gradient, so it can always be carried through; the ledger changes with the decision and with
nothing else. What it knows can be told again by the shards and the last snapshot, so it may die at
any time: `Reigns` begins a new term then, as it does when a group has lost its last full member.
"""

# long: one role, whose decisions all touch the same few tables

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.archive import Pending, manifest_key, snapshot_key
from widemargin.ps.ledger import Ledger
from widemargin.ps.policy import Async, Sync, Work, best_backup, may_begin, needed, ready
from widemargin.ps.reign import Target, newest_known, target
from widemargin.ps.roster import Hand, Member, Roster, arrivals
from widemargin.ps.settings import Settings

OPENING, GATHERING, INSTALLING, RUNNING, DONE, FAILED = (
    "opening",
    "gathering",
    "installing",
    "running",
    "done",
    "failed",
)
SLOW = 1.5  # a lease this many times older than is typical is given to a second worker
STALLED = 10.0  # and after so many times it is taken away where others wait for it


@dataclass
class Gradient:
    """What is known of a lease's gradient."""

    holders: set[str] = field(default_factory=set)
    version: int = 0  # of the oldest parameters it was made of
    arrival: int | None = None  # its place among the gradients that are whole
    pushed: float | None = None  # when its worker first said that it has pushed


class Coordinator:
    """`on(message, now)` takes a message and returns what to send."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.phase = OPENING
        self.term = 0
        self.stored: int | None = None  # the last term in storage; None: not read yet
        self.latest: dict[str, Any] | None = None  # manifest of the last whole snapshot
        self.roster = Roster(settings)
        self.ledger = Ledger(settings.n_blocks, settings.epochs, settings.seed, settings.shuffle)
        self.stamp: m.Stamp = (0, 0)
        self.log: dict[int, m.Entry] = {}  # commits since the last snapshot
        self.gradients: dict[m.LeaseId, Gradient] = {}
        self.number = 0  # of the last lease
        self.arrived = 0  # gradients that became whole
        self.turn = ""  # the worker that committed last
        self.wanted: dict[str, m.Block] = {}  # blocks that workers read ahead
        self.errors: dict[m.Block, int] = {}
        self.pending: Pending | None = None
        self.reports: dict[str, m.Report] = {}
        self.goal: Target | None = None
        self.since = 0.0  # when this phase began
        self.asked = -1e9
        self.reason = ""  # why the run failed

    @property
    def version(self) -> int:
        return self.stamp[1]

    def on(self, message: Any, now: float) -> list[m.Send]:
        handler = HANDLERS.get(type(message))
        return [] if handler is None else handler(self, message, now)

    def event(self, kind: str, now: float, **what: Any) -> list[m.Send]:
        return [m.Send(m.OBSERVER, m.Event(kind, now, {"term": self.term, **what}))]

    # time

    def tick(self, _: m.Tick, now: float) -> list[m.Send]:
        sends = self.bury(now)
        match self.phase:
            case "opening":
                sends += self.open(now)
            case "gathering":
                sends += self.gather(now)
            case "installing":
                sends += self.reinstall(now)
            case "running":
                sends += [*self.repeat(now), *self.hurry(now), *self.move(now)]
        return sends

    def bury(self, now: float) -> list[m.Send]:
        """Who has been silent for too long counts as dead."""
        sends: list[m.Send] = []
        limit = now - self.settings.deadline_s
        for name, hand in list(self.roster.hands.items()):
            if hand.seen < limit:
                sends += self.dismiss(name, "silent", now)
        for name, member in self.roster.members.items():
            if member.present and member.seen < limit:
                sends += self.lose(name, member, "silent", now)
        return sends

    # a term begins

    def begin_term(self, term: int, now: float, why: str) -> list[m.Send]:
        """Void all that is under way; the new number is kept in storage before it is used."""
        self.phase, self.term, self.since, self.asked = OPENING, term, now, -1e9
        self.number, self.turn, self.pending = 0, "", None
        for table in (self.gradients, self.wanted, self.reports, self.log, self.ledger.leases):
            table.clear()
        for member in self.roster.members.values():
            member.full = False
        for hand in self.roster.hands.values():
            hand.ends(now)
        return self.event("term", now, why=why) + self.open(now)

    def open(self, now: float) -> list[m.Send]:
        if now - self.asked < self.settings.retry_s:
            return []
        self.asked = now
        if self.stored is None:
            return [m.Send(m.STORAGE, m.Load(key, m.COORDINATOR)) for key in ("term", "latest")]
        return [m.Send(m.STORAGE, m.Save(self.term, "term", self.term, m.COORDINATOR))]

    def loaded(self, loaded: m.Loaded, now: float) -> list[m.Send]:
        if self.stored is not None or loaded.key not in ("term", "latest"):
            return []
        if loaded.key == "latest":
            self.latest = loaded.value
        else:
            self.term = int(loaded.value or 0)
        self.reports[loaded.key] = loaded  # type: ignore[assignment]  # both have come when two are here
        if len(self.reports) < 2:
            return []
        self.stored = self.term
        if self.latest is None:
            return self.fail("storage has no snapshot to begin from", now)
        return self.begin_term(self.term + 1, now, "the coordinator begins")

    def saved(self, saved: m.Saved, now: float) -> list[m.Send]:
        if saved.key == "term":
            if self.phase == OPENING and self.stored is not None and self.stored < self.term:
                self.stored = self.term
                self.phase, self.since, self.asked = GATHERING, now, -1e9
                return self.gather(now)
            return []
        return self.archive(saved.key, now)

    def gather(self, now: float) -> list[m.Send]:
        """Ask who has not reported; choose once enough have."""
        sends: list[m.Send] = []
        if now - self.asked >= self.settings.retry_s:
            self.asked = now
            silent = [name for name in self.roster.members if name not in self.reports]
            sends = [m.Send(name, m.Inquire(self.term)) for name in silent]
        if now - self.since > self.settings.give_up_s:
            return self.fail(self.who_is_missing(), now)
        assert self.latest is not None
        patient = now - self.since < self.settings.deadline_s / 2
        snapshot = tuple(self.latest["stamp"])
        goal = target(self.reports, self.settings.groups, snapshot, patient)
        return sends if goal is None else sends + self.choose(goal, now)

    def who_is_missing(self) -> str:
        groups = [
            f"group {g} ({', '.join(names)})"
            for g, names in enumerate(self.settings.groups)
            if not any(name in self.reports for name in names)
        ]
        return (
            f"{' and '.join(groups) or 'a group'} had no living member for "
            f"{self.settings.give_up_s:g} s (give_up_s). Start the run again: it goes on from "
            "its last snapshot."
        )

    def report(self, report: m.Report, now: float) -> list[m.Send]:
        if report.term > self.term and self.stored is not None:
            return self.begin_term(report.term + 1, now, f"{report.member} knows a newer term")
        old = report.life < self.roster.members[report.member].life
        if self.phase != GATHERING or report.term != self.term or old:
            return []
        self.reports[report.member] = report
        return self.gather(now)

    def choose(self, goal: Target, now: float) -> list[m.Send]:
        assert self.latest is not None
        self.goal, self.phase, self.since, self.asked = goal, INSTALLING, now, -1e9
        best = newest_known(self.reports)
        self.stamp = goal.stamp
        self.log = {entry.version: entry for entry in goal.entries or ()}
        commits = [[block for _, block in entry.parts] for entry in goal.entries or ()]
        self.ledger.restore(self.latest["ledger"], commits)
        event = self.event(
            "reign", now, stamp=self.stamp, known=best, rollback=goal.entries is None
        )
        return event + self.reinstall(now)

    def reinstall(self, now: float) -> list[m.Send]:
        if now - self.asked < self.settings.retry_s:
            return []
        if now - self.since > self.settings.give_up_s:
            return self.fail(self.who_is_missing(), now)
        self.asked = now
        return [m.Send(name, self.installation()) for name in self.roster.members]

    def installation(self) -> m.Install:
        assert self.goal is not None and self.latest is not None
        base = tuple(self.latest["stamp"])
        key = self.latest["key"] if self.goal.entries is None else None
        return m.Install(self.term, self.goal.stamp, base, self.goal.entries or (), key)

    # members

    def alive(self, alive: m.Alive, now: float) -> list[m.Send]:
        member = self.roster.members[alive.member]
        if (alive.life, alive.count) <= (member.life, member.count):
            return []
        sends: list[m.Send] = []
        if member.life >= 0 and alive.life > member.life and member.present:
            sends += self.lose(alive.member, member, "began anew", now)
        if not member.present:
            sends += self.event("member", now, name=alive.member, life=alive.life)
        member.life, member.count, member.seen, member.present = alive.life, alive.count, now, True
        member.term, member.whole, member.stamp = alive.term, alive.whole, alive.stamp
        return sends + self.place(alive.member, member, now)

    def place(self, name: str, member: Member, now: float) -> list[m.Send]:
        """What a member that lives may do in this term, or needs for it."""
        if self.phase not in (INSTALLING, RUNNING):
            return []
        stands = member.whole and member.term == self.term and not member.full
        if stands and (
            member.stamp[1] in self.log or member.stamp == self.stamp or self.at_base(member)
        ):
            member.full = True
        if self.phase == INSTALLING:
            if (
                self.roster.hopeless(member.group, self.term)
                and self.goal
                and self.goal.entries is not None
            ):
                return self.begin_term(self.term + 1, now, f"{name} has lost its parameters")
            return self.run(now) if self.roster.serving() else []
        if member.full and not member.whole:
            return self.lose(name, member, "has lost its parameters", now)
        return [*self.attend(name, member, now), *self.move(now)]

    def at_base(self, member: Member) -> bool:
        return self.latest is not None and member.stamp == tuple(self.latest["stamp"])

    def run(self, now: float) -> list[m.Send]:
        self.phase, self.since = RUNNING, now
        sends = self.event("running", now, version=self.version)
        if self.ledger.done:
            sends += self.begin_snapshot(now)
        return sends + self.move(now)

    def attend(self, name: str, member: Member, now: float) -> list[m.Send]:
        """Send again to a member what it lacks: commits, or all."""
        if now - member.sent < self.settings.retry_s or member.stamp == self.stamp and member.full:
            return []
        if member.full:
            lacking = tuple(self.log[v] for v in sorted(self.log) if v > member.stamp[1])
            if not lacking or lacking[0].version != member.stamp[1] + 1:
                return self.lose(name, member, "lacks a commit", now)
            member.sent = now
            return [m.Send(name, m.Commit(self.term, lacking, (), self.stable))]
        donors = self.roster.full(member.group)
        if not donors:
            return []
        member.sent = now
        return [m.Send(donors[self.number % len(donors)], m.Copy(self.term, name))]

    @property
    def stable(self) -> int:
        return 0 if self.latest is None else int(self.latest["stamp"][1])

    def lost(self, lost: m.Lost, now: float) -> list[m.Send]:
        member = self.roster.members[lost.member]
        if lost.life != member.life or lost.term != self.term or not member.full:
            return []
        return self.lose(lost.member, member, "lacks a gradient", now)

    def lose(self, name: str, member: Member, why: str, now: float) -> list[m.Send]:
        """A member no longer counts; without it a group may have nobody, and a term ends."""
        counted, member.full = member.full, False
        gone = why in ("silent", "began anew")
        if gone:
            self.reports.pop(name, None)
            member.present, member.term, member.stamp, member.whole = False, 0, (0, 0), False
        for gradient in self.gradients.values():
            gradient.holders.discard(name)
        sends = self.event("lost", now, name=name, why=why) if gone or counted else []
        if self.phase in (INSTALLING, RUNNING) and counted and not self.roster.full(member.group):
            return sends + self.begin_term(self.term + 1, now, f"{name} {why}")
        return sends + self.settle(now)

    # workers

    def beat(self, beat: m.Beat, now: float) -> list[m.Send]:
        hand = self.roster.hands.get(beat.worker)
        sends: list[m.Send] = []
        if self.phase in (DONE, FAILED):
            return [m.Send(beat.worker, m.Stop())]
        if hand is not None and beat.life < hand.life:
            return []
        if hand is not None and beat.life > hand.life:
            sends += self.dismiss(beat.worker, "began anew", now)
            hand = None
        if hand is None:
            hand = self.roster.hands[beat.worker] = Hand(beat.life, now)
            sends += self.event("worker", now, name=beat.worker, life=beat.life)
        hand.seen, hand.newest = now, beat.lease
        if self.phase != RUNNING:
            return sends
        mine = [lease for lease, held in self.ledger.leases.items() if held.worker == beat.worker]
        for lease in mine:
            if beat.waiting and beat.lease == lease:  # it has left this lease
                sends += self.void(lease, now)
            elif beat.lease is None or beat.lease < lease:
                sends += self.lease_again(lease, now)
        if beat.lease is not None and beat.lease not in mine and not beat.waiting:
            sends.append(m.Send(beat.worker, m.Release(beat.lease)))
        if beat.waiting and not any(lease in self.ledger.leases for lease in mine):
            hand.ends(now)
            hand.waiting = True
        return sends + self.move(now)

    def dismiss(self, worker: str, why: str, now: float) -> list[m.Send]:
        """A worker is gone: what it had leased is free."""
        del self.roster.hands[worker]
        self.wanted.pop(worker, None)
        mine = [lease for lease, held in self.ledger.leases.items() if held.worker == worker]
        sends = self.event("gone", now, name=worker, why=why)
        for lease in mine:
            sends += self.void(lease, now, tell=False)
        return sends

    def void(self, lease: m.LeaseId, now: float, tell: bool = True) -> list[m.Send]:
        """End a lease without a commit; whoever holds its gradient may forget it."""
        held = self.ledger.give_back(lease)
        gradient = self.gradients.pop(lease, None)
        if held is None:
            return []
        holders = sorted(gradient.holders) if gradient else []
        sends = [m.Send(name, m.Release(lease)) for name in holders]
        if tell:
            sends.append(m.Send(held.worker, m.Release(lease)))
        return sends + self.event("void", now, block=held.block, worker=held.worker)

    def lease_again(self, lease: m.LeaseId, now: float) -> list[m.Send]:
        held = self.ledger.leases[lease]
        if now - held.since < self.settings.retry_s:
            return []
        return [m.Send(held.worker, self.letter(lease, None))]

    def letter(self, lease: m.LeaseId, ahead: m.Block | None) -> m.Lease:
        held, exact = self.ledger.leases[lease], isinstance(self.settings.policy, Sync)
        sources, view = self.roster.sources(), self.roster.view()
        return m.Lease(lease, held.block, held.version, exact, sources, view, ahead)

    def failed(self, failed: m.Failed, now: float) -> list[m.Send]:
        held = self.ledger.leases.get(failed.lease)
        if held is None or held.worker != failed.worker:
            return []
        self.errors[held.block] = self.errors.get(held.block, 0) + 1
        sends = self.event("error", now, block=held.block, error=failed.error)
        if self.errors[held.block] >= self.settings.attempts:
            told = f"the gradient of {held.block} failed {self.settings.attempts} times: "
            return sends + self.fail(told + failed.error, now)
        return sends + self.void(failed.lease, now) + self.move(now)

    # gradients

    def pushed(self, pushed: m.Pushed, now: float) -> list[m.Send]:
        if self.phase != RUNNING:
            return []
        if pushed.lease not in self.ledger.leases:
            return [m.Send(pushed.worker, m.Release(pushed.lease))]
        gradient = self.gradients.setdefault(pushed.lease, Gradient())
        gradient.version = pushed.version
        if gradient.pushed is None:
            gradient.pushed = now
        sends = self.settle(now)
        if pushed.lease in self.ledger.leases and now - gradient.pushed >= self.settings.retry_s:
            missing = tuple(n for n in self.roster.required() if n not in gradient.holders)
            if missing:
                sends.append(m.Send(pushed.worker, m.Missing(pushed.lease, missing)))
        return sends

    def held(self, held: m.Held, now: float) -> list[m.Send]:
        if held.lease[0] != self.term or self.phase not in (INSTALLING, RUNNING):
            return []
        if held.lease not in self.ledger.leases:
            known = any(held.lease == lease for e in self.log.values() for lease, _ in e.parts)
            return [] if known else [m.Send(held.member, m.Release(held.lease))]
        if held.life != self.roster.members[held.member].life:
            return []
        gradient = self.gradients.setdefault(held.lease, Gradient())
        gradient.holders.add(held.member)
        gradient.version = held.version
        return self.settle(now)

    def settle(self, now: float) -> list[m.Send]:
        """See which gradients have become whole, then what follows."""
        if self.phase != RUNNING or not self.roster.serving():
            return []
        required = set(self.roster.required())
        for lease, gradient in self.gradients.items():
            if gradient.arrival is None and required <= gradient.holders:
                self.arrived += 1
                gradient.arrival = self.arrived
                hand = self.roster.hands.get(self.ledger.leases[lease].worker)
                if hand is not None:
                    hand.ends(now)
            elif gradient.arrival is not None and not required <= gradient.holders:
                gradient.arrival = None  # a member has become full since
        return self.move(now)

    # decisions

    def move(self, now: float) -> list[m.Send]:
        """Commit while there is something to commit, then give work to who waits."""
        if self.phase != RUNNING or not self.roster.serving():
            return []
        sends: list[m.Send] = []
        while not self.ledger.done and (leases := self.next_commit(now)):
            sends += self.decide(leases, now)
        return sends + self.grant(now)

    def next_commit(self, now: float) -> list[m.LeaseId]:
        work = {
            lease: Work(held.worker, held.block, held.version, self.arrival(lease))
            for lease, held in self.ledger.leases.items()
        }
        return ready(self.settings.policy, work, self.n_needed(now), self.turn)

    def arrival(self, lease: m.LeaseId) -> int | None:
        gradient = self.gradients.get(lease)
        return None if gradient is None else gradient.arrival

    def n_needed(self, now: float) -> int:
        """N of a synchronous commit."""
        at_work = sum(not hand.stalled for hand in self.roster.hands.values())
        return needed(self.backup(now), at_work, self.ledger.left)

    def backup(self, now: float) -> int:
        policy = self.settings.policy
        if not isinstance(policy, Sync):
            return 0
        if policy.backup != "auto":
            return policy.backup
        return best_backup(arrivals(self.roster.durations(now)))

    def decide(self, leases: list[m.LeaseId], now: float) -> list[m.Send]:
        """Commit these gradients as one: from here on it is so."""
        held = {lease: self.ledger.leases[lease] for lease in leases}
        parts = tuple(sorted(((lease, h.block) for lease, h in held.items()), key=lambda p: p[1]))
        before, self.stamp = self.stamp, (self.term, self.version + 1)
        entry = self.log[self.version] = m.Entry(self.version, self.term, parts)
        epoch, everyone = self.ledger.epoch, dict(self.ledger.leases)
        self.turn = held[leases[-1]].worker
        ended = self.ledger.commit([block for _, block in parts])
        if isinstance(self.settings.policy, Sync):  # what is made of an older version is void
            ended += list(self.ledger.leases)
            for lease in list(self.ledger.leases):
                self.ledger.give_back(lease)
        void = tuple(lease for lease in ended if lease not in dict(parts))
        for lease in ended:
            self.gradients.pop(lease, None)
        commit = m.Commit(self.term, (entry,), void, self.stable)
        sends = [m.Send(name, commit) for name in self.roster.present()]
        sends += [m.Send(everyone[lease].worker, m.Release(lease)) for lease in ended]
        late = [self.version - 1 - everyone[lease].version for lease, _ in parts]
        sends += self.event(
            "commit", now, stamp=self.stamp, after=before, parts=parts, void=void, late=max(late)
        )
        if self.ledger.epoch > epoch:
            sends += self.event("epoch", now, epoch=epoch, version=self.version)
        return sends + self.due(now, self.ledger.epoch > epoch)

    def grant(self, now: float) -> list[m.Send]:
        """Lease blocks to the workers that wait, as far as the policy lets them begin."""
        sends: list[m.Send] = []
        for name, hand in sorted(self.roster.hands.items()):
            begun = [held.version for held in self.ledger.leases.values()]
            if not hand.waiting or not may_begin(self.settings.policy, self.version, begun):
                continue
            lease = (self.term, self.number + 1)
            if not self.take(lease, name, now):
                continue
            self.number += 1
            hand.begins(now)
            ahead = self.ledger.free_beside(self.wanted, name)
            if ahead is not None:
                self.wanted[name] = ahead
            sends.append(m.Send(name, self.letter(lease, ahead)))
        return sends

    def take(self, lease: m.LeaseId, name: str, now: float) -> bool:
        """A free block, first the one it has read ahead; or one that another is slow with."""
        if self.ledger.done:
            return False
        wanted = self.wanted.pop(name, None)
        if self.ledger.take(lease, name, self.version, now, wanted) is not None:
            return True
        slowest, typical = self.ledger.slowest(name), self.roster.typical()
        if slowest is None or typical is None:
            return False
        if now - self.ledger.leases[slowest].since < SLOW * typical:
            return False
        self.ledger.take_again(lease, slowest, name, self.version, now)
        return True

    def hurry(self, now: float) -> list[m.Send]:
        """Take leases away that others wait for and that have become hopeless."""
        typical = self.roster.typical()
        if isinstance(self.settings.policy, Async) and self.settings.policy.max_staleness is None:
            return []
        sends: list[m.Send] = []
        for lease, held in list(self.ledger.leases.items()):
            limit = max(self.settings.deadline_s, STALLED * (typical or float("inf")))
            if self.arrival(lease) is None and now - held.since > limit:
                self.roster.hands[held.worker].stalled = True
                sends += self.void(lease, now)
        return sends

    # snapshots

    def due(self, now: float, epoch_ended: bool) -> list[m.Send]:
        every = self.settings.snapshot_every
        if epoch_ended or (every and self.version % every == 0 and self.pending is None):
            return self.begin_snapshot(now)
        return []

    def begin_snapshot(self, now: float) -> list[m.Send]:
        key = snapshot_key(self.stamp)
        groups = set(range(len(self.settings.groups)))
        self.pending = Pending(key, self.term, self.stamp, self.ledger.record(), groups, now)
        return self.ask_parts(now)

    def ask_parts(self, now: float) -> list[m.Send]:
        """Ask a full member of each group whose part is missing; another one each time."""
        pending = self.pending
        assert pending is not None
        pending.asked, pending.tries = now, pending.tries + 1
        if not pending.missing:
            save = m.Save(self.term, manifest_key(pending.key), pending.manifest, m.COORDINATOR)
            return [m.Send(m.STORAGE, save)]
        sends = []
        for g in sorted(pending.missing):
            names = self.roster.full(g)
            if names:
                ask = m.Snapshot(self.term, pending.stamp[1], pending.key)
                sends.append(m.Send(names[pending.tries % len(names)], ask))
        return sends

    def archive(self, key: str, now: float) -> list[m.Send]:
        pending = self.pending
        if pending is None or not key.startswith(pending.key):
            return []
        if key == manifest_key(pending.key):
            return self.archived(pending, now)
        pending.saved(key)
        return [] if pending.missing else self.ask_parts(now)

    def archived(self, pending: Pending, now: float) -> list[m.Send]:
        """The snapshot is whole: the log before it is needless, and older snapshots but one."""
        before, self.latest, self.pending = self.latest, pending.manifest, None
        behind = [self.roster.members[name].stamp[1] for name in self.roster.required()]
        for version in [v for v in self.log if v <= min([self.stable, *behind])]:
            del self.log[version]
        oldest = (before or self.latest)["stamp"]
        sends = [m.Send(m.STORAGE, m.Outdate((oldest[0], oldest[1])))]
        sends += self.event("snapshot", now, version=self.stable, key=pending.key)
        if self.ledger.done and self.stamp == pending.stamp:
            self.phase = DONE
            sends += self.event("done", now, version=self.version)
            sends += [m.Send(name, m.Stop()) for name in self.roster.hands]
        return sends

    def repeat(self, now: float) -> list[m.Send]:
        """Ask again for what a snapshot lacks, while it can still be had; else give it up."""
        pending, sends = self.pending, []
        for name, member in self.roster.members.items():
            if member.present:
                sends += self.attend(name, member, now)
        if pending is None or now - pending.asked < self.settings.retry_s:
            return sends
        if pending.missing and pending.stamp != self.stamp:
            if now - pending.since > self.settings.deadline_s:
                self.pending = None
            return sends
        return sends + self.ask_parts(now)

    def fail(self, reason: str, now: float) -> list[m.Send]:
        self.phase, self.reason = FAILED, reason
        stops = [m.Send(name, m.Stop()) for name in self.roster.hands]
        return stops + self.event("failed", now, reason=reason)


HANDLERS: dict[type[Any], Callable[[Coordinator, Any, float], list[m.Send]]] = {
    m.Tick: Coordinator.tick,
    m.Beat: Coordinator.beat,
    m.Pushed: Coordinator.pushed,
    m.Failed: Coordinator.failed,
    m.Held: Coordinator.held,
    m.Alive: Coordinator.alive,
    m.Lost: Coordinator.lost,
    m.Report: Coordinator.report,
    m.Loaded: Coordinator.loaded,
    m.Saved: Coordinator.saved,
}
