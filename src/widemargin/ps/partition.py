"""A partition: one of the processes that are a worker together, but for the first, their leader.

It keeps the values of the parameters that it reads, its own and what all share, and its own part
of the gradient, so no process ever has all of the model. What it does when is said by the leader
(see `leader`); what it has, it tells the leader whenever that changes, and on every tick. It
repeats nothing else.

    summoned → opened → (values of a lease → computing → gradient made → pushed) again and again

Partners exchange activations while they compute, by means of their own that cannot be mended: if
one of them is gone, all end, and are begun again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.settings import Settings, owned, read_by

OPENING = 10.0  # deadlines that a partner may be silent for while it loads and opens its part


def partner(worker: str, k: int) -> str:
    """The name of partition k of a worker."""
    return f"{worker}/{k}" if k else worker


class Partition:
    """`on(message, now)` takes a message and returns what to send."""

    def __init__(self, settings: Settings, name: str, life: int) -> None:
        self.settings, self.name, self.life = settings, name, life
        self.leader, number = name.split("/")
        self.k = int(number)
        self.reads, self.own = read_by(settings, self.k), owned(settings, self.k)
        self.gang = 0  # the life of the leader that it follows
        self.heard = 0.0  # when the leader last spoke
        self.opened, self.works, self.ended, self.error = False, False, False, ""
        self.lease: m.LeaseId | None = None  # the newest that it has values of
        self.values: dict[int, m.Params] = {}
        self.begun: m.Proceed | None = None  # the newest that it computes, or has computed
        self.made: m.LeaseId | None = None
        self.updates: dict[int, Any] = {}  # of `made`
        self.loss: float | None = None

    def on(self, message: Any, now: float) -> list[m.Send]:
        handler = HANDLERS.get(type(message))
        return [] if handler is None or self.ended else handler(self, message, now)

    def tick(self, _: m.Tick, now: float) -> list[m.Send]:
        patience = self.settings.deadline_s * (1.0 if self.works else OPENING)
        if self.gang and now - self.heard > patience:
            return self.quit(f"{self.leader} was silent")
        return [self.standing()]

    def standing(self) -> m.Send:
        versions = tuple((g, self.values[g].version) for g in sorted(self.values))
        told = m.Standing(
            self.k, self.life, self.gang, self.opened, self.lease, versions, self.made, self.error
        )
        return m.Send(self.leader, told)

    def quit(self, why: str) -> list[m.Send]:
        self.ended = True
        return [m.Send(m.LOCAL, m.Quit(why))]

    # the gang

    def summoned(self, summons: m.Summons, now: float) -> list[m.Send]:
        if summons.gang < self.gang:
            return []
        if self.gang and summons.gang > self.gang:
            return self.quit(f"{self.leader} began anew")
        self.heard = now
        if self.gang or not summons.lives or summons.lives[self.k] != self.life:
            return []
        self.gang = summons.gang
        return [m.Send(m.LOCAL, m.Open(self.gang, self.k, summons.place)), self.standing()]

    def was_opened(self, opened: m.Opened, now: float) -> list[m.Send]:
        self.opened, self.error = not opened.error, opened.error
        return [self.standing()]

    def severed(self, severed: m.Severed, now: float) -> list[m.Send]:
        return self.quit(severed.why)

    # a lease

    def pulled(self, params: m.Params, now: float) -> list[m.Send]:
        """Keep what comes first of each group: its version is what the leader is told."""
        begun = self.begun is not None and params.lease <= self.begun.lease
        older = self.lease is not None and params.lease < self.lease
        if not self.gang or begun or older or params.group not in self.reads:
            return []
        if params.lease != self.lease:
            self.lease, self.values = params.lease, {}
        self.values.setdefault(params.group, params)
        return [self.standing()]

    def proceed(self, order: m.Proceed, now: float) -> list[m.Send]:
        known = self.begun is not None and order.lease <= self.begun.lease
        if order.gang != self.gang or known or order.lease != self.lease:
            return []
        if len(self.values) < len(self.reads):
            return []
        self.works, self.begun = True, order
        self.made, self.updates, self.error = None, {}, ""
        values = tuple(self.values[g].values for g in self.reads)
        self.values = {}
        compute = m.Compute(order.lease, order.block, order.version, values, order.keys)
        return [m.Send(m.LOCAL, compute)]

    def computed(self, computed: m.Computed, now: float) -> list[m.Send]:
        if self.begun is None or computed.lease != self.begun.lease:
            return []
        self.made = computed.lease
        self.updates = dict(zip(self.own, computed.updates, strict=True))
        self.loss = computed.loss
        return [self.standing()]

    def broken(self, broken: m.Broken, now: float) -> list[m.Send]:
        if self.begun is None or broken.lease != self.begun.lease:
            return []
        self.made, self.error = broken.lease, broken.error
        return [self.standing()]

    def deliver(self, order: m.Deliver, now: float) -> list[m.Send]:
        begun = self.begun
        if order.gang != self.gang or begun is None or order.lease != self.made:
            return []
        sends = []
        for g in [g for g in self.own if g in self.updates]:
            for name in self.settings.groups[g]:
                if name in order.members:
                    made = self.updates[g], self.loss
                    push = m.Push(self.leader, order.lease, begun.block, order.version, *made)
                    sends.append(m.Send(name, push))
        return sends

    def release(self, release: m.Release, now: float) -> list[m.Send]:
        """Nobody asks for this gradient any more."""
        if release.lease == self.made:
            self.updates = {}
        if release.lease == self.lease:
            self.values = {}
        return []

    def prefetch(self, prefetch: m.Prefetch, now: float) -> list[m.Send]:
        return [m.Send(m.LOCAL, prefetch)]


HANDLERS: dict[type[Any], Callable[[Partition, Any, float], list[m.Send]]] = {
    m.Tick: Partition.tick,
    m.Summons: Partition.summoned,
    m.Opened: Partition.was_opened,
    m.Severed: Partition.severed,
    m.Params: Partition.pulled,
    m.Proceed: Partition.proceed,
    m.Computed: Partition.computed,
    m.Broken: Partition.broken,
    m.Deliver: Partition.deliver,
    m.Release: Partition.release,
    m.Prefetch: Partition.prefetch,
}
