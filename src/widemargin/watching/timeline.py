"""From events to the state of a run.

Fed event by event, in the order in which they were told. The clocks of machines may differ, so
times may go back a little. Of a long run it keeps a bounded amount.
The coordinator tells most of it (see ps/). A "commit" may also tell `without`, the workers whose
gradients it did without, and `losses` of its blocks; a "loss" event tells one at any time,
"evaluated" that of an epoch's end; "full" that a member has all commits. "began" may tell `Facts`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from widemargin.ps.messages import COORDINATOR, Event
from widemargin.watching.deaths import Deaths
from widemargin.watching.parties import SLOW_AFTER, Parties, role_of
from widemargin.watching.progress import Path, Speed, loss_told, share
from widemargin.watching.series import Counts
from widemargin.watching.state import Facts, Mark, State

MARKS, SAVED = 120, 60  # how many are kept; snapshots apart, for they are many
SETTLED = 5.0  # seconds after which all who live have told a new coordinator
SILENCE = 60.0  # seconds
DEAD = ("silent", "began anew")  # why a member is lost that is dead; else it only lacks something
BEGINS = "the coordinator begins"  # why a term begins whose coordinator is a new one


class Timeline:
    """`add` events, then ask for the `state`."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.facts = facts or Facts()
        self.phase, self.reason = "starting", ""
        self.begun: float | None = None
        self.heard: float | None = None
        self.term = self.reigning = self.epoch = self.commits = self.late = 0
        self.dropped = self.void = self.snapshots = self.errors = 0
        self.loss: float | None = None
        self.path, self.parties, self.deaths = Path(), Parties(), Deaths()
        self.speed, self.counts = Speed(0.0), Counts(0.0)
        self.marks: deque[Mark] = deque(maxlen=MARKS)
        self.saved: deque[Mark] = deque(maxlen=SAVED)
        self.tells_full = self.early = False
        self.erred: Any = None  # the block whose gradient last raised an error

    def extend(self, events: Iterable[Event]) -> None:
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        kind, now, what = event
        if self.begun is None:
            self.begin(now)
        self.heard = max(now, self.heard or now)
        self.term = max(self.term, what.get("term", 0))
        if (handler := HANDLERS.get(kind)) is not None:
            handler(self, now, what)

    def mark(self, now: float, kind: str, name: str = "", words: str = "") -> None:
        (self.saved if kind == "snapshot" else self.marks).append(Mark(now, kind, name, words))

    # the run

    def begin(self, now: float) -> None:
        self.begun, self.speed, self.counts = now, Speed(now), Counts(now)

    def began(self, now: float, what: dict[str, Any]) -> None:
        """It begins, or goes on from a snapshot: then all processes are new."""
        self.facts = self.facts._replace(**{f: what[f] for f in Facts._fields if what.get(f)})
        again = bool(self.parties.known)
        self.phase, self.reason = "starting", ""
        if again:
            self.begin(now)
        for known in self.parties.known.values():
            known.turn("gone", now)
            known.past.clear()
        self.deaths.began()
        self.mark(now, "began", words="went on from its last snapshot" if again else "")

    def ended(self, now: float, what: dict[str, Any]) -> None:
        self.phase, self.reason = "ended", str(what.get("reason", ""))
        self.parties.get(COORDINATOR).turn("done", now)
        self.parties.turn_all("worker", {"alive", "slow", "waiting"}, "done", now)
        self.parties.turn_all("shard", {"full", "joining"}, "done", now)
        self.mark(now, "ended", words=self.reason or "all epochs are done")

    # terms

    def opens(self, now: float, what: dict[str, Any]) -> None:
        why, coordinator = str(what.get("why", "")), self.parties.get(COORDINATOR)
        if why == BEGINS:
            if coordinator.state not in ("", "gone"):
                coordinator.words = "began anew"
                self.deaths.died(COORDINATOR, "began anew", now)
                self.mark(now, "death", COORDINATOR, "began anew")
            coordinator.lives += 1
            self.renew(False)
        else:
            self.mark(now, "term", words=why)
        coordinator.turn("opening", now)
        self.phase, self.reason = "recovering" if self.commits else "starting", ""
        self.parties.stand_still(now)

    def renew(self, early: bool) -> None:
        """A new coordinator knows nobody. `early`: who it hears of comes before its first term."""
        if not self.early:
            self.parties.forget()
        self.early = early

    def reign(self, now: float, what: dict[str, Any]) -> None:
        """From here on only this term's commits count: an older coordinator's never came to be."""
        self.reigning = what.get("term", 0)
        version = what["stamp"][1]
        gone = self.path.back_to(version)
        self.epoch = min(self.epoch, self.path.top.epoch) if gone else self.epoch
        if gone:
            words = f"{gone} commit{'s' * (gone > 1)} undone, back to version {version}"
            self.mark(now, "rollback", words=words)

    def running(self, now: float, what: dict[str, Any]) -> None:
        self.phase = "running"
        self.parties.get(COORDINATOR).turn("reigns", now)
        self.back(COORDINATOR, now)
        self.parties.go_on(now)

    # who takes part

    def comes(self, now: float, what: dict[str, Any]) -> None:
        """A worker or member takes part, or lives on under a new coordinator."""
        name, life = what["name"], what.get("life")
        at_work = "alive" if self.phase == "running" else "waiting"
        if what.get("term") == 0:  # told to a coordinator that does not know its term yet
            self.renew(True)
        known = self.parties.get(name)
        new = known.lives == 0 or life != known.life
        if new and known.state not in ("", "gone"):  # it died with the coordinator before
            self.dies(name, "began anew", now)
        known.lives += new
        known.life, known.left_out, known.announced = life, 0, True
        known.turn("joining" if role_of(name) == "shard" else at_work, now)
        if not self.back(name, now) and new:
            self.mark(now, "joined", name)

    def back(self, name: str, now: float) -> bool:
        """Has it returned from death?"""
        if (seconds := self.deaths.returned(name, now)) is None:
            return False
        self.mark(now, "back", name, f"after {seconds:.2f} s")
        return True

    def full(self, now: float, what: dict[str, Any]) -> None:
        self.tells_full = True
        self.parties.get(what["name"]).turn("full", now)

    def lost(self, now: float, what: dict[str, Any]) -> None:
        name, why = what["name"], str(what.get("why", ""))
        if why in DEAD or role_of(name) == "worker":
            return self.dies(name, why, now)
        self.parties.get(name).words = why
        self.parties.get(name).turn("joining", now)
        self.mark(now, "error", name, why)

    def dies(self, name: str, why: str, now: float) -> None:
        known = self.parties.get(name)
        known.words = why
        known.turn("gone", now)
        self.deaths.died(name, why, now)
        self.mark(now, "death", name, why)

    # work

    def commit(self, now: float, what: dict[str, Any]) -> None:
        if what.get("term", self.reigning) < self.reigning:
            return
        parts, without = what["parts"], what.get("without")
        dropped = len(what.get("void", ()))
        self.commits += 1
        self.late = what["late"]
        self.dropped += dropped
        self.path.commit(what["stamp"][1], [block for _, block in parts])
        self.epoch = self.path.top.epoch
        self.speed.commit(now, len(parts))
        self.deaths.committed(now)
        self.parties.leave_out(without or (), self.commits, now)
        self.parties.forgive(self.commits, now)
        row = self.counts.at(now)
        row.commits += 1
        row.blocks += len(parts)
        row.dropped += dropped
        row.late = max(self.late, row.late or 0)
        row.backups += dropped if without is None else len(set(without))
        row.learn(what.get("losses", ()))

    def judged(self, now: float, what: dict[str, Any]) -> None:
        loss = loss_told(what)
        if loss is not None:
            self.loss = self.counts.at(now).loss = loss

    def epoch_ends(self, now: float, what: dict[str, Any]) -> None:
        self.epoch = what["epoch"] + 1
        if self.facts.n_blocks is None and self.path.top.blocks % self.epoch == 0:
            self.facts = self.facts._replace(n_blocks=self.path.top.blocks // self.epoch)
        self.settle(now)

    def voided(self, now: float, what: dict[str, Any]) -> None:
        """A lease was taken back. From who lives, because it was too slow, or for an error."""
        self.void += 1
        self.counts.at(now).void += 1
        known = self.parties.get(what["worker"])
        if known.state == "alive" and what["block"] != self.erred:
            self.parties.leave_out([known.name], self.commits, now, times=SLOW_AFTER)

    def error(self, now: float, what: dict[str, Any]) -> None:
        self.errors, self.erred = self.errors + 1, what["block"]
        self.mark(now, "error", words=f"block {tuple(what['block'])}: {what['error']}")

    def storage(self, now: float, what: dict[str, Any]) -> None:
        self.errors += 1
        self.mark(now, "error", str(what["role"]), f"storage: {what['error']}")

    def snapshot(self, now: float, what: dict[str, Any]) -> None:
        self.snapshots += 1
        self.path.keep_from(what["version"])
        self.mark(now, "snapshot", words=f"version {what['version']}")
        self.settle(now)

    def settle(self, now: float) -> None:
        """A milestone: who lives has told so. Nobody may tell when a member is full: it is now."""
        if now - self.parties.get(COORDINATOR).since >= SETTLED:
            self.parties.miss(now)
        if not self.tells_full and self.phase == "running":
            self.parties.turn_all("shard", {"joining"}, "full", now)

    # the state

    def state(self, now: float | None = None) -> State:
        """At the moment `now`; None: that of the last event. Charts of a silent run end soon."""
        heard = self.heard or 0.0
        now = heard if now is None else max(now, heard)
        facts, top, ended = self.facts, self.path.top, self.phase == "ended"
        per_block = facts.n_samples / facts.n_blocks if facts.n_samples and facts.n_blocks else None
        if self.begun is not None and not ended:
            self.counts.at(min(now, heard + SILENCE))
        done, epoch = share(top.blocks, facts.n_blocks, facts.epochs)
        return State(
            name=facts.name,
            phase=self.phase,
            reason=self.reason,
            policy=facts.policy,
            now=now,
            begun=self.begun,
            heard=self.heard,
            term=self.term,
            version=top.version,
            epoch=self.epoch if epoch is None else epoch,
            epochs=facts.epochs,
            progress=done,
            n_blocks=facts.n_blocks,
            n_samples=facts.n_samples,
            commits=self.commits,
            late=self.late,
            dropped=self.dropped,
            void=self.void,
            undone=self.path.undone,
            deaths=self.deaths.count,
            snapshots=self.snapshots,
            errors=self.errors,
            loss=self.loss,
            rate=self.speed.overall(per_block) if ended else self.speed.lately_at(now, per_block),
            parties=self.parties.told(),
            recoveries=self.deaths.recoveries(),
            recent=tuple(self.deaths.recent),
            marks=tuple(sorted([*self.marks, *self.saved], key=lambda mark: mark.time)),
            series=self.counts.series(),
        )


HANDLERS: dict[str, Callable[[Timeline, float, dict[str, Any]], None]] = {
    "began": Timeline.began,
    "term": Timeline.opens,
    "reign": Timeline.reign,
    "running": Timeline.running,
    "worker": Timeline.comes,
    "gone": Timeline.lost,
    "member": Timeline.comes,
    "full": Timeline.full,
    "lost": Timeline.lost,
    "commit": Timeline.commit,
    "loss": Timeline.judged,
    "evaluated": Timeline.judged,
    "epoch": Timeline.epoch_ends,
    "void": Timeline.voided,
    "error": Timeline.error,
    "storage": Timeline.storage,
    "snapshot": Timeline.snapshot,
    "done": Timeline.ended,
    "failed": Timeline.ended,
}
