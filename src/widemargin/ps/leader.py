"""The leader of the processes that are one worker together: its partition 0.

To the coordinator they are one worker, of one name and one lease at a time, and the leader carries
the same `Worker` as a process that is a worker alone. What that sends is turned into orders here:

    Pull of what partition k reads    in the name "worker-3/k", so the values go there
    Compute                           to the own process, and `Proceed` to each partition
    Push of a group of partition k    `Deliver`: partition k pushes
    Cancel                            nothing: what one has begun with partners all must end

and what partitions tell (`Standing`) into what the worker awaits: a `Params` without values, and,
when all have computed, `Computed`. So only small messages pass through the leader.

A gang is named by the life of its leader. Partners find each other anew in each, and a message of
another gang is void. If a partner begins anew, is silent for `deadline_s`, or is lost to the
others, the leader tells the coordinator that the lease is free, and ends; partitions that hear of
a newer leader, or nothing of theirs, do the same. All are begun again, by whoever does that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.partition import OPENING, partner
from widemargin.ps.settings import Settings, owned, partitions, read_by
from widemargin.ps.worker import PULLING, Worker


class Leader:
    """`on(message, now)` takes a message and returns what to send."""

    def __init__(self, settings: Settings, name: str, life: int) -> None:
        self.settings, self.name, self.life = settings, name, life
        self.worker = Worker(settings, name, life)
        self.own = owned(settings, 0)
        self.reads = [read_by(settings, k) for k in range(partitions(settings))]
        self.group_of = {name: g for g, names in enumerate(settings.groups) for name in names}
        self.partners = {k: partner(name, k) for k in range(1, partitions(settings))}
        self.told: dict[int, m.Standing] = {}  # the newest word of each partner
        self.seen: dict[int, float] = {}
        self.lives: tuple[int, ...] = ()  # of all partners, once they are a gang
        self.place, self.error = "", ""  # `error`: what opening raised, here or there
        self.opened, self.ended = False, False
        self.asked: m.Compute | None = None  # what all compute
        self.asked_at = 0.0
        self.updates: tuple[Any, ...] | None = None  # the own part of it, when it is made
        self.loss: float | None = None
        self.raised = ""  # the error that it raised instead
        self.lease: m.LeaseId | None = None  # for which these were pulled:
        self.versions: dict[tuple[int, int], int] = {}  # of each group and partition that reads it
        self.values: dict[int, Any] = {}  # what is read here

    def on(self, message: Any, now: float) -> list[m.Send]:
        if self.ended:
            return []
        handler = HANDLERS.get(type(message), Leader.pass_on)
        sends = handler(self, message, now)
        return sends if self.ended else [*sends, *self.trouble()]

    @property
    def ready(self) -> bool:
        """Have all opened their part? An error counts: it is told with the next lease."""
        if self.error:
            return True
        told = [self.told[k].opened for k in self.partners] if self.lives else [False]
        return self.opened and all(told)

    def pass_on(self, message: Any, now: float) -> list[m.Send]:
        """What is for the worker; until the gang is whole there is none."""
        if not self.ready:
            return []
        sends = self.orders(self.worker.on(message, now), now)
        if isinstance(message, m.Release):
            sends += [m.Send(name, message) for name in self.partners.values()]
        return sends

    # the gang

    def tick(self, tick: m.Tick, now: float) -> list[m.Send]:
        silent = [k for k in self.partners if self.lives and self.silent(k, now)]
        if silent:
            return self.quit(f"{self.partners[silent[0]]} was silent")
        summons = [m.Send(name, self.summons()) for name in self.partners.values()]
        if not self.place:
            summons.append(m.Send(m.LOCAL, m.Meet()))
        if not self.ready:
            before = m.Left(self.name, self.life - 1, "began anew")
            return [*summons, m.Send(m.COORDINATOR, before)]
        sends = summons + self.orders(self.worker.on(tick, now), now)
        if self.asked is not None and now - self.asked_at >= self.settings.retry_s:
            sends += self.proceed(self.asked, now)
        return sends

    def silent(self, k: int, now: float) -> bool:
        patience = self.settings.deadline_s * (1.0 if self.told[k].opened else OPENING)
        return now - self.seen[k] > patience

    def summons(self) -> m.Summons:
        return m.Summons(self.life, self.lives, self.place)

    def found(self, place: m.Place, now: float) -> list[m.Send]:
        self.place = self.place or place.place
        return self.form()

    def form(self) -> list[m.Send]:
        """All partners are there: begin together."""
        if self.lives or not self.place or len(self.told) < len(self.partners):
            return []
        self.lives = (self.life, *(self.told[k].life for k in self.partners))
        opens = m.Send(m.LOCAL, m.Open(self.life, 0, self.place))
        return [opens, *(m.Send(name, self.summons()) for name in self.partners.values())]

    def was_opened(self, opened: m.Opened, now: float) -> list[m.Send]:
        self.opened, self.error = not opened.error, self.error or opened.error
        return []

    def severed(self, severed: m.Severed, now: float) -> list[m.Send]:
        return self.quit(severed.why)

    def quit(self, why: str) -> list[m.Send]:
        self.ended = True
        left = m.Left(self.name, self.life, why)
        return [m.Send(m.COORDINATOR, left), m.Send(m.LOCAL, m.Quit(why))]

    def trouble(self) -> list[m.Send]:
        """Who could not open says so with the first lease; then all try again."""
        if not self.error or self.worker.lease is None:
            return []
        failed = m.Failed(self.name, self.worker.lease.lease, self.error)
        return [m.Send(m.COORDINATOR, failed), *self.quit(self.error)]

    # what partitions tell

    def standing(self, told: m.Standing, now: float) -> list[m.Send]:
        k = told.partition
        if self.lives and told.life > self.lives[k]:
            return self.quit(f"{self.partners[k]} began anew")
        known = self.told.get(k)
        if (known is not None and told.life < known.life) or told.gang not in (0, self.life):
            return []
        self.seen[k] = now
        if known is None or told.gang or told.life > known.life:
            self.told[k] = told._replace(opened=told.opened or (self.open_before(known, told)))
        if not self.lives:
            return self.form()
        self.error = self.error or ("" if told.opened else told.error)
        return self.receipts(told, now) + self.made(now)

    def open_before(self, known: m.Standing | None, told: m.Standing) -> bool:
        """Words overtake each other: who has once opened has."""
        return known is not None and known.life == told.life and known.opened

    def receipts(self, told: m.Standing, now: float) -> list[m.Send]:
        """What a partition has pulled."""
        sends: list[m.Send] = []
        for group, version in told.versions:
            sends += self.receipt(told.partition, told.lease, group, version, now)
        return sends

    def pulled(self, params: m.Params, now: float) -> list[m.Send]:
        """What was pulled for this process itself."""
        if not self.pulls(params.lease) or (params.group, 0) in self.versions:
            return []
        self.values[params.group] = params.values
        return self.receipt(0, params.lease, params.group, params.version, now)

    def pulls(self, lease: m.LeaseId | None) -> bool:
        """Is this what the worker pulls for?"""
        current = self.worker.lease
        if self.worker.phase != PULLING or current is None or lease != current.lease:
            return False
        if self.lease != lease:
            self.lease, self.versions, self.values = lease, {}, {}
        return True

    def receipt(
        self, k: int, lease: m.LeaseId | None, group: int, version: int, now: float
    ) -> list[m.Send]:
        """Once all that read a group have it, the worker has; of one version, where it must be."""
        if not self.pulls(lease) or lease is None:
            return []
        self.versions.setdefault((group, k), version)
        readers = [j for j, reads in enumerate(self.reads) if group in reads]
        if any((group, j) not in self.versions for j in readers):
            return []
        versions = [self.versions[group, j] for j in readers]
        exact = self.worker.lease is not None and self.worker.lease.exact
        told = m.Params(group, lease, max(versions) if exact else min(versions), None)
        return self.orders(self.worker.on(told, now), now)

    # what the worker wants

    def orders(self, sends: list[m.Send], now: float) -> list[m.Send]:
        """The worker's words, as those of a gang."""
        out: list[m.Send] = []
        delivered: dict[int, list[str]] = {}
        for to, message in sends:
            match message:
                case m.Pull():
                    out += self.pull(to, message)
                case m.Push() if (k := self.settings.owner[self.group_of[to]]) > 0:
                    delivered.setdefault(k, []).append(to)
                case m.Compute():
                    out += self.compute(message, now)
                case m.Prefetch():
                    out += [m.Send(name, message) for name in (to, *self.partners.values())]
                case m.Cancel():
                    pass
                case _:
                    out.append(m.Send(to, message))
        return self.deliveries(delivered) + out

    def pull(self, to: str, ask: m.Pull) -> list[m.Send]:
        """For each that reads the group and lacks it, in its name."""
        group, known = self.group_of[to], self.versions if self.lease == ask.lease else {}
        return [
            m.Send(to, ask._replace(worker=partner(self.name, k)))
            for k, reads in enumerate(self.reads)
            if group in reads and (group, k) not in known
        ]

    def deliveries(self, delivered: dict[int, list[str]]) -> list[m.Send]:
        lease, version = self.worker.lease, self.worker.version
        return [
            m.Send(self.partners[k], m.Deliver(self.life, lease.lease, version, tuple(names)))
            for k, names in delivered.items()
            if lease is not None
        ]

    def compute(self, ask: m.Compute, now: float) -> list[m.Send]:
        self.asked, self.updates = ask._replace(values=()), None
        values = tuple(self.values[g] for g in self.reads[0])
        keys = tuple(ask.keys[g] for g in self.reads[0])
        self.values = {}
        own = m.Send(m.LOCAL, ask._replace(values=values, keys=keys))
        return [own, *self.proceed(ask, now)]

    def proceed(self, ask: m.Compute, now: float) -> list[m.Send]:
        """Have those compute that have not done so."""
        self.asked_at, sends = now, []
        for k, name in self.partners.items():
            if self.told[k].made != ask.lease:
                keys = tuple(ask.keys[g] for g in self.reads[k])
                order = m.Proceed(self.life, ask.lease, ask.block, ask.version, keys)
                sends.append(m.Send(name, order))
        return sends

    def computed(self, computed: m.Computed, now: float) -> list[m.Send]:
        if self.asked is None or computed.lease != self.asked.lease:
            return []
        self.updates, self.loss = computed.updates, computed.loss
        return self.made(now)

    def broken(self, broken: m.Broken, now: float) -> list[m.Send]:
        if self.asked is None or broken.lease != self.asked.lease:
            return []
        self.updates, self.raised = (), broken.error
        return self.made(now)

    def made(self, now: float) -> list[m.Send]:
        """Has everyone computed? Then the gradient is made, each part where it belongs."""
        ask = self.asked
        if ask is None or self.updates is None:
            return []
        if any(self.told[k].made != ask.lease for k in self.partners):
            return []
        errors = [self.raised, *(self.told[k].error for k in self.partners)]
        if any(errors):
            self.asked, self.updates, self.raised = None, None, ""
            broken = m.Broken(ask.lease, next(error for error in errors if error))
            return self.orders(self.worker.on(broken, now), now)
        updates: list[Any] = [None] * len(self.settings.groups)
        for g, update in zip(self.own, self.updates, strict=True):
            updates[g] = update
        self.asked = self.updates = None
        computed = m.Computed(ask.lease, tuple(updates), self.loss)
        return self.orders(self.worker.on(computed, now), now)


HANDLERS: dict[type[Any], Callable[[Leader, Any, float], list[m.Send]]] = {
    m.Tick: Leader.tick,
    m.Standing: Leader.standing,
    m.Place: Leader.found,
    m.Opened: Leader.was_opened,
    m.Severed: Leader.severed,
    m.Params: Leader.pulled,
    m.Computed: Leader.computed,
    m.Broken: Leader.broken,
}
