"""Gradients on their way, without messages: a model of the parameter server's time, some hundred
times faster than the simulator of its messages.

It decides with the same ledger, roster and policies. A gradient passes, L being the latency, m =
bytes / servers what a server has of the model, B the bandwidth of a NIC,

    lease, pull          2 L, then the server's outgoing NIC: m / B after all that wait there
    parameters           L + S m / B through the worker's NIC
    gradient             drawn
    push to S R members  (S R − 1) m / B until the last leaves, L, then m / B in the incoming NIC
    held → commit        L, and `service` of the coordinator
    release, beat        2 L

Servers are alike and are served in the same order, so the last one's NIC stands for all.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

from widemargin.ps import commits, leases
from widemargin.ps import messages as m
from widemargin.ps.books import RUNNING, Books, Gradient
from widemargin.ps.plan_case import NEVER, Case, Committed, Deaths, Figures, Hired
from widemargin.ps.plan_pace import draw, mean
from widemargin.ps.policy import (
    Async,
    RoundRobin,
    Sync,
    Work,
    may_begin,
    needed,
    ready,
    whose_turn,
)
from widemargin.ps.roster import Hand
from widemargin.ps.settings import Settings

TICKS = 24  # in a deadline, as on a cluster
SURE = 0.8 * leases.SLOW


class Flow:
    """A run; `run` it, then read `committed` and `ends` (of epochs)."""

    def __init__(
        self,
        figures: Figures,
        case: Case,
        n_blocks: int,
        epochs: int = 1,
        seed: int = 0,
        deaths: Deaths | None = None,
    ) -> None:
        self.figures, self.case, self.deaths = figures, case, deaths
        deadline = figures.deadline_s
        groups = (("shard-0.0",),)
        settings = Settings(n_blocks, epochs, case.policy, groups, seed, deadline_s=deadline)
        self.books = Books(settings)
        self.books.phase, self.books.term, self.books.stamp = RUNNING, 1, (1, 0)
        self.part = figures.model_bytes / case.servers / figures.bandwidth  # seconds in a NIC
        self.pause = max(deadline / TICKS, mean(figures.pace, 20) / 10.0)
        self.now = 0.0
        self.died: list[float] = []  # when
        self.heap: list[tuple[float, int, Callable[..., None], Any]] = []
        self.count = itertools.count()
        self.whole: dict[m.LeaseId, Work] = {}  # gradients that every member holds
        self.median = 0.0, 0  # and after how many gradients
        self.stalled = False  # was any lease taken away?
        self.applied = [0.0]  # when servers stand at each version
        self.sends, self.receives, self.decides = [0.0] * case.replicas, 0.0, 0.0  # busy until
        self.committed: list[Committed] = []
        self.ends: list[float] = []
        self.workers = {
            f"worker-{i:05}": Hired(i, random.Random(f"{seed} {i}")) for i in range(case.workers)
        }
        self.waiting = dict.fromkeys(self.workers)
        for name in self.workers:
            self.books.roster.hands[name] = Hand(0, 0.0, waiting=True)

    def run(self) -> Flow:
        self.tick(None)
        while not self.books.ledger.done:
            self.now, _, action, what = heapq.heappop(self.heap)
            action(what)
        return self

    def at(self, time: float, action: Callable[..., None], what: Any) -> None:
        heapq.heappush(self.heap, (time, next(self.count), action, what))

    # the coordinator

    def tick(self, _: None) -> None:
        """Look for leases that have become hopeless; policies that measure look anew."""
        if self.oldest() > self.figures.deadline_s:  # before, none is
            self.hurry()
        self.move()
        self.at(self.now + self.pause, self.tick, None)

    def oldest(self) -> float:
        """Seconds since the first lease under way was given; leases are kept in that order."""
        first = next(iter(self.books.ledger.leases.values()), None)
        return 0.0 if first is None else self.now - first.since

    def hurry(self) -> None:
        for to, message in leases.hurry(self.books, self.now):
            if to in self.workers and isinstance(message, m.Release):
                self.stalled = True
                self.end(to, message.lease)

    def move(self) -> None:
        """Commit while there is something to commit, then give work to who waits."""
        while self.whole and not self.books.ledger.done and (chosen := self.next_commit()):
            self.commit(chosen)
        if self.waiting:
            self.grant()

    def next_commit(self) -> list[m.LeaseId]:
        books, policy = self.books, self.case.policy
        if isinstance(policy, RoundRobin):  # `ready`, for many workers
            turn = whose_turn((held.worker for held in books.ledger.leases.values()), books.turn)
            return [lease for lease, work in self.whole.items() if work.worker == turn][:1]
        n = self.n_needed()
        return ready(policy, self.whole, n, books.turn) if len(self.whole) >= n else []

    def n_needed(self) -> int:
        """As of `commits`; at once where nobody has stalled yet."""
        policy = self.case.policy
        if self.stalled or not isinstance(policy, Sync) or policy.backup == "auto":
            return commits.n_needed(self.books, self.now)
        return needed(policy.backup, len(self.books.roster.hands), self.books.ledger.left)

    def commit(self, chosen: list[m.LeaseId]) -> None:
        books, known = self.books, dict(self.books.ledger.leases)
        epoch, before = books.ledger.epoch, books.version
        parts = tuple((lease, known[lease].block) for lease in chosen)
        books.stamp = (1, before + 1)
        books.turn = known[chosen[-1]].worker
        late = max(before - known[lease].version for lease in chosen)
        self.committed.append(Committed(self.now, len(chosen), late))
        for lease in commits.end(books, parts):
            self.whole.pop(lease, None)
            name = known[lease].worker
            if lease not in chosen and name in books.roster.hands:
                books.roster.hands[name].stops(self.now)
            self.end(name, lease)
        if books.ledger.epoch > epoch:
            self.ends.append(self.now)
        begins = max(self.now + self.figures.latency, self.applied[-1], self.receives)
        size = len(chosen) * self.figures.model_bytes / self.case.servers
        self.applied.append(begins + self.figures.apply * size)

    def grant(self) -> None:
        """As `leases.grant`. What one may not do, none may: who waits holds no lease."""
        books, policy = self.books, self.case.policy
        if not books.ledger.free and self.oldest() < SURE * self.typical():
            return  # no lease is so old that another worker tries its block too
        bounded = isinstance(policy, Async) and policy.max_staleness is not None
        for name in sorted(self.waiting):
            held = books.ledger.leases.values() if bounded else ()
            if not may_begin(policy, books.version, [each.version for each in held]):
                return
            lease = (1, books.number + 1)
            if not leases.take(books, lease, name, self.now):
                return
            books.number += 1
            books.roster.hands[name].begins(self.now)
            del self.waiting[name]
            self.workers[name].lease = lease
            self.workers[name].begins = self.workers[name].done = NEVER
            self.at(self.now + 2.0 * self.figures.latency, self.pull, (name, lease))

    def typical(self) -> float:
        """The median duration of a gradient, looked up now and then."""
        known, since = self.median
        if self.books.arrived >= since + len(self.workers) // 4 or known == 0.0:
            known = self.books.roster.typical() or 0.0
            self.median = known, self.books.arrived
        return known

    def end(self, name: str, lease: m.LeaseId) -> None:
        self.at(self.now + self.figures.latency, self.released, (name, lease))

    def arrives(self, what: tuple[str, m.LeaseId]) -> None:
        """Every member holds the gradient."""
        name, lease = what
        books, held = self.books, self.books.ledger.leases.get(lease)
        if held is None:
            return
        books.arrived += 1
        books.gradients[lease] = Gradient(arrival=books.arrived)
        self.whole[lease] = Work(name, held.block, held.version, books.arrived)
        if name in books.roster.hands:
            books.roster.hands[name].ends(self.now)
        self.move()

    def waits(self, name: str) -> None:
        hand = self.books.roster.hands.setdefault(name, Hand(0, self.now))
        hand.stops(self.now)
        hand.waiting = True
        self.waiting[name] = None
        self.move()

    # workers and the servers' NICs

    def pull(self, what: tuple[str, m.LeaseId]) -> None:
        name, lease = what
        worker, held = self.workers[name], self.books.ledger.leases.get(lease)
        if worker.lease != lease or held is None:
            return
        member = worker.number % self.case.replicas
        begins = max(self.now, self.receives, self.applied[held.version], self.sends[member])
        self.sends[member] = begins + self.part
        worker.begins = begins + self.figures.latency + self.case.servers * self.part
        slower = self.figures.slower.get(worker.number, 1.0)
        takes = draw(self.figures.pace, worker.number, slower, worker.rng)
        if self.deaths is not None and worker.rng.random() < self.deaths.share:
            self.at(worker.begins + worker.rng.random() * takes, self.dies, (name, lease))
            return
        worker.done = worker.begins + takes
        self.at(worker.done, self.computed, (name, lease))

    def computed(self, what: tuple[str, m.LeaseId]) -> None:
        name, lease = what
        worker = self.workers[name]
        if worker.lease != lease:
            return
        if worker.unwanted:
            self.free(name)
            return
        others = self.case.servers * self.case.replicas - 1
        self.at(self.now + others * self.part + self.figures.latency, self.enters, what)

    def enters(self, what: tuple[str, m.LeaseId]) -> None:
        """The first byte of a push is at the last member's NIC."""
        self.receives = max(self.now, self.receives) + self.part
        there = max(self.receives, self.sends[-1]) + self.figures.latency
        self.decides = max(there, self.decides) + self.figures.service
        self.at(self.decides, self.arrives, what)

    def released(self, what: tuple[str, m.LeaseId]) -> None:
        name, lease = what
        worker = self.workers[name]
        if worker.lease != lease or worker.dead:
            return
        if worker.begins <= self.now < worker.done and not self.figures.interrupt:
            worker.unwanted = True
        else:
            self.free(name)

    def free(self, name: str) -> None:
        worker = self.workers[name]
        worker.lease, worker.unwanted = None, False
        self.at(self.now + self.figures.latency, self.waits, name)

    # deaths

    def dies(self, what: tuple[str, m.LeaseId]) -> None:
        name, lease = what
        worker = self.workers[name]
        if worker.lease != lease or self.deaths is None:
            return
        worker.dead = True
        self.died.append(self.now)
        if self.deaths.seconds > self.figures.deadline_s:
            self.at(self.now + self.figures.deadline_s, self.buried, what)
        self.at(self.now + self.deaths.seconds, self.returns, what)

    def buried(self, what: tuple[str, m.LeaseId]) -> None:
        """It has been silent for too long: nobody waits for it any more."""
        name, lease = what
        leases.void(self.books, lease, self.now, tell=False)
        self.books.roster.hands.pop(name, None)
        self.move()

    def returns(self, what: tuple[str, m.LeaseId]) -> None:
        """A new life, which voids what the old one held."""
        name, lease = what
        leases.void(self.books, lease, self.now, tell=False)
        worker = self.workers[name]
        worker.dead, worker.unwanted, worker.lease = False, False, None
        self.waits(name)
