"""A worker: leases a block, pulls parameters, has the gradient computed, pushes it.

It holds one lease at a time, idle → pulling → computing → pushing → idle, and knows nothing of
policies: the coordinator's next lease comes when the policy allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.rounds import Recall, begun_ahead
from widemargin.ps.settings import Settings

IDLE, TOUCHING, PULLING, COMPUTING, PUSHING, STOPPED = (
    "idle",
    "touching",
    "pulling",
    "computing",
    "pushing",
    "stopped",
)


class Worker:
    """`on(message, now)` takes a message and returns what to send.

    What goes to "local" is for the process that carries the worker: `Compute`, `Touch`, `Prefetch`,
    `Advance` and `Cancel`; it answers with `Computed` or `Broken`, and `Touched`.
    """

    def __init__(self, settings: Settings, name: str, life: int) -> None:
        self.settings, self.name, self.life = settings, name, life
        self.phase = IDLE
        self.lease: m.Lease | None = None
        self.newest: m.LeaseId | None = None
        self.keys: tuple[Any, ...] = ()
        self.params: dict[int, m.Params] = {}
        self.updates: tuple[Any, ...] = ()
        self.loss: float | None = None  # that the gradient's samples had
        self.version = 0  # the oldest among the parameters pulled
        self.recall = Recall(settings.cadence, len(settings.groups))
        self.resume: m.Resume | None = None
        self.wanted: tuple[int, ...] = ()  # groups to pull
        self.busy: m.LeaseId | None = None  # the lease whose gradient is being computed
        self.sent = -1e9

    def on(self, message: Any, now: float) -> list[m.Send]:
        handler = HANDLERS.get(type(message))
        return [] if handler is None else handler(self, message, now)

    def tick(self, _: m.Tick, now: float) -> list[m.Send]:
        sends = [self.beat()]
        if now - self.sent >= self.settings.retry_s:
            if self.phase == PULLING:
                sends += self.pull(now)
            elif self.phase == PUSHING:
                sends += [self.pushed()]
                self.sent = now
        return sends

    def beat(self) -> m.Send:
        waiting = self.phase == IDLE and self.busy is None
        return m.Send(m.COORDINATOR, m.Beat(self.name, self.life, self.newest, waiting))

    # a lease begins

    def begin(self, lease: m.Lease, now: float) -> list[m.Send]:
        if self.phase == STOPPED or (self.newest is not None and lease.lease <= self.newest):
            return []
        cancel = self.leave()
        self.lease, self.newest = lease, lease.lease
        if self.busy is not None:  # a gradient that cannot be interrupted: begin after it
            return cancel
        return cancel + self.start(now)

    def start(self, now: float) -> list[m.Send]:
        assert self.lease is not None
        if self.settings.sparse:
            self.phase = TOUCHING
            return [m.Send(m.LOCAL, m.Touch(self.lease.block))]
        self.keys = (None,) * len(self.settings.groups)
        self.resume, self.wanted = self.recall.begin(self.lease)
        return self.pull(now) if self.wanted else self.compute(self.recall.oldest(self.lease))

    def touched(self, touched: m.Touched, now: float) -> list[m.Send]:
        if self.phase != TOUCHING or self.lease is None or touched.block != self.lease.block:
            return []
        self.keys, self.wanted = touched.keys, tuple(range(len(touched.keys)))
        return self.pull(now)

    def pull(self, now: float) -> list[m.Send]:
        """Ask one member of each group whose answer is missing, another one every time."""
        assert self.lease is not None
        self.phase, self.sent = PULLING, now
        sends = []
        for group in self.wanted:
            members = self.lease.sources[group]
            if group not in self.params and members:
                turn = int(now / self.settings.retry_s) + sum(self.name.encode())
                pull = m.Pull(self.name, self.lease.lease, self.lease.version, self.keys[group])
                sends.append(m.Send(members[turn % len(members)], pull))
        return sends

    def pulled(self, params: m.Params, now: float) -> list[m.Send]:
        lease = self.lease
        if self.phase != PULLING or lease is None or params.lease != lease.lease:
            return []
        self.params.setdefault(params.group, params)
        if len(self.params) < len(self.wanted):
            return []
        versions = [self.params[g].version for g in self.wanted]
        if lease.exact and any(version != lease.version for version in versions):
            return self.end()  # a commit has passed: this gradient would be void
        return self.compute(min(versions))

    def compute(self, version: int) -> list[m.Send]:
        lease, parts = self.lease, self.params
        assert lease is not None
        self.phase, self.busy, self.version, self.params = COMPUTING, lease.lease, version, {}
        values = tuple(parts[g].values if g in parts else None for g in range(len(lease.view)))
        made_of = (version, values, self.keys, lease.last, self.resume)
        compute = m.Compute(lease.lease, lease.block, *made_of)
        first = [] if lease.ahead is None else [m.Send(m.LOCAL, m.Prefetch(lease.ahead))]
        return [*first, m.Send(m.LOCAL, compute)]  # what is read ahead is read meanwhile

    # a lease ends

    def computed(self, computed: m.Computed, now: float) -> list[m.Send]:
        if computed.lease != self.busy:
            return []
        self.busy = None
        if self.phase != COMPUTING or self.lease is None or self.lease.lease != computed.lease:
            return self.free(now)
        self.phase, self.updates, self.sent = PUSHING, computed.updates, now
        self.loss = computed.loss
        self.recall.done(self.lease, self.version, bool(self.wanted))
        pushes = [
            self.push(g, member) for g, members in enumerate(self.lease.view) for member in members
        ]
        return [*pushes, self.pushed(), *begun_ahead(self.recall.cadence, self.lease)]

    def push(self, group: int, member: str) -> m.Send:
        lease = self.lease
        assert lease is not None
        update = self.updates[group]
        push = m.Push(self.name, lease.lease, lease.block, self.version, update, self.loss)
        return m.Send(member, push)

    def pushed(self) -> m.Send:
        assert self.lease is not None
        return m.Send(m.COORDINATOR, m.Pushed(self.name, self.lease.lease, self.version))

    def missing(self, missing: m.Missing, now: float) -> list[m.Send]:
        if self.phase != PUSHING or self.lease is None or self.lease.lease != missing.lease:
            return []
        groups = {name: g for g, names in enumerate(self.settings.groups) for name in names}
        self.sent = now
        return [*(self.push(groups[name], name) for name in missing.members), self.pushed()]

    def broken(self, broken: m.Broken, now: float) -> list[m.Send]:
        if broken.lease != self.busy:
            return []
        self.busy = None
        failed = m.Failed(self.name, broken.lease, broken.error)
        ends = self.lease is not None and self.lease.lease == broken.lease
        return [m.Send(m.COORDINATOR, failed), *(self.end() if ends else self.free(now))]

    def release(self, release: m.Release, now: float) -> list[m.Send]:
        if self.lease is None or self.lease.lease != release.lease:
            return []
        return self.end()

    def free(self, now: float) -> list[m.Send]:
        """The gradient nobody wanted is done: begin the lease that waited for it, or ask."""
        return self.start(now) if self.lease is not None else [self.beat()]

    def end(self) -> list[m.Send]:
        return [*self.leave(), self.beat()]

    def leave(self) -> list[m.Send]:
        """Back to idle; tell the process if it still computes for this lease."""
        cancels = self.phase == COMPUTING and self.busy is not None
        self.phase, self.lease, self.params, self.updates = IDLE, None, {}, ()
        return [m.Send(m.LOCAL, m.Cancel(self.busy))] if cancels and self.busy else []

    def stop(self, _: m.Stop, now: float) -> list[m.Send]:
        cancel = self.leave()
        self.phase = STOPPED
        return cancel


HANDLERS: dict[type[Any], Callable[[Worker, Any, float], list[m.Send]]] = {
    m.Tick: Worker.tick,
    m.Lease: Worker.begin,
    m.Touched: Worker.touched,
    m.Params: Worker.pulled,
    m.Computed: Worker.computed,
    m.Broken: Worker.broken,
    m.Missing: Worker.missing,
    m.Release: Worker.release,
    m.Stop: Worker.stop,
}
