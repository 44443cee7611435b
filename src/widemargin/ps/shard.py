"""A shard: one member of the group that keeps a range of the parameters.

A member is *whole* when it has parameters, at `version`, with every commit up to it applied. It
buffers gradients, tells the coordinator which it holds, and applies what the coordinator commits,
in the order of the versions; so all whole members of a group at one version are equal, bit for bit.
It never decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from widemargin.ps import messages as m
from widemargin.ps.compression import decode
from widemargin.ps.keys import part_key
from widemargin.ps.settings import Settings, group_of

S = TypeVar("S", bound="Store")
Tag: TypeAlias = tuple[int, float | None]  # the version a gradient was made of, its loss


class Store(Protocol):
    """The parameters of a shard; see `widemargin.ps.parameters`."""

    def read(self, keys: Any = None) -> Any: ...

    def check(self, update: Any) -> None: ...

    def apply(self, updates: Any) -> None: ...

    def arrays(self) -> dict[str, Any]: ...


class Shard:
    """`on(message, now)` takes a message and returns what to send.

    `life` differs each time the process begins anew; `restore` makes a store from its arrays.
    """

    def __init__(
        self, settings: Settings, name: str, life: int, restore: Callable[[Any], Store]
    ) -> None:
        self.settings, self.name, self.life, self.restore = settings, name, life, restore
        self.group = group_of(settings, name)
        self.term = 0  # it stands in this term,
        self.promised = 0  # and follows none older than this
        self.store: Store | None = None  # None: not whole
        self.stamp: m.Stamp = (0, 0)
        self.base: m.Stamp = (0, 0)
        self.log: dict[int, m.Entry] = {}  # commits after `base`, applied or not
        self.held: dict[m.LeaseId, Any] = {}  # gradients: leases to updates
        self.tags: dict[m.LeaseId, Tag] = {}
        self.kept: set[m.LeaseId] = set()  # those held when it last told what it keeps,
        self.reminded = -1e9  # at that time
        self.pulls: dict[str, m.Pull] = {}  # of each worker the newest that is not answered
        self.whole: Any = None  # all parameters at this version, once somebody pulled them
        self.loading: m.Install | None = None
        self.saving: m.Snapshot | None = None
        self.asked = -1e9  # when storage was last asked
        self.told = 0  # how often it has said that it lives

    def on(self, message: Any, now: float) -> list[m.Send]:
        handler = HANDLERS.get(type(message))
        return [] if handler is None else handler(self, message, now)

    @property
    def version(self) -> int:
        return self.stamp[1]

    # time

    def tick(self, _: m.Tick, now: float) -> list[m.Send]:
        waits = self.promised > self.term  # for an order that may never come: say so again
        reports = [self.report()] if waits else []
        return [self.alive(), *self.load(now), *self.remind(now), *reports]

    def alive(self) -> m.Send:
        self.told += 1
        whole = self.store is not None
        return self.tell(m.Alive(self.name, self.life, self.told, self.term, whole, self.stamp))

    def tell(self, message: Any) -> m.Send:
        return m.Send(m.COORDINATOR, message)

    def holds(self, lease: m.LeaseId) -> m.Send:
        return self.tell(m.Held(self.name, self.life, lease, *self.tags[lease]))

    def remind(self, now: float) -> list[m.Send]:
        """Say again what it keeps for long: it may be void, and the word of that lost."""
        if now - self.reminded < self.settings.deadline_s:
            return []
        long = [lease for lease in self.held if lease in self.kept]
        self.reminded, self.kept = now, set(self.held)
        return [self.holds(lease) for lease in long]

    # workers

    def pull(self, pull: m.Pull, now: float) -> list[m.Send]:
        before = self.pulls.get(pull.worker)
        if pull.lease[0] == self.term and (before is None or before.lease <= pull.lease):
            self.pulls[pull.worker] = pull
        return self.answer()

    def answer(self) -> list[m.Send]:
        """Answer the pulls whose version has come; who wants all gets the same array."""
        if self.store is None:
            return []
        sends: list[m.Send] = []
        for worker, pull in list(self.pulls.items()):
            if pull.version <= self.version:
                del self.pulls[worker]
                if pull.keys is None:
                    self.whole = self.store.read() if self.whole is None else self.whole
                values = self.whole if pull.keys is None else self.store.read(pull.keys)
                sends.append(m.Send(worker, m.Params(self.group, pull.lease, self.version, values)))
        return sends

    def push(self, push: m.Push, now: float) -> list[m.Send]:
        """Keep the gradient. Who is not whole keeps those of newer terms too: a copy will come."""
        term = push.lease[0]
        if term < max(self.term, self.promised) or (self.store is not None and term != self.term):
            return []
        if push.lease not in self.held:
            self.held[push.lease] = decode(push.update)
            self.tags[push.lease] = push.version, push.loss
        return [self.holds(push.lease)]

    def release(self, release: m.Release, now: float) -> list[m.Send]:
        if not any(release.lease == lease for e in self.log.values() for lease, _ in e.parts):
            self.forget(release.lease)
        return []

    # commits

    def commit(self, commit: m.Commit, now: float) -> list[m.Send]:
        if commit.term != self.term or self.promised > self.term:
            return []
        for entry in commit.entries:
            if entry.version > self.version:
                self.log[entry.version] = entry
        for lease in commit.void:
            self.forget(lease)
        return [*self.advance(), *self.trim(commit.stable)]

    def advance(self) -> list[m.Send]:
        """Apply what can be applied; say how far that is."""
        sends: list[m.Send] = []
        while self.store is not None and (entry := self.log.get(self.version + 1)) is not None:
            if not all(lease in self.held for lease, _ in entry.parts):
                lost = m.Lost(self.name, self.life, self.term, self.version)
                return [*sends, self.tell(lost), *self.answer()]
            self.whole = None
            updates = [u for lease, _ in entry.parts if (u := self.held[lease]) is not None]
            if updates:  # else it is another fragment's turn
                self.store.apply(updates)
            self.stamp = (entry.term, entry.version)
            for lease, _ in entry.parts:
                self.forget(lease)
            sends += self.save()
        return [*sends, self.alive(), *self.answer()]

    def trim(self, stable: int) -> list[m.Send]:
        """Forget the log that a snapshot made needless."""
        for version in sorted(v for v in self.log if v <= min(stable, self.version)):
            self.base = (self.log.pop(version).term, version)
        return []

    def forget(self, lease: m.LeaseId) -> None:
        self.held.pop(lease, None)
        self.tags.pop(lease, None)

    # terms

    def inquire(self, inquire: m.Inquire, now: float) -> list[m.Send]:
        self.promised = max(self.promised, inquire.term)
        return [self.report()]

    def report(self) -> m.Send:
        log = tuple(self.log[v] for v in sorted(self.log) if v <= self.version)
        whole, held = self.store is not None, frozenset(self.held)
        report = m.Report(
            self.name, self.life, self.promised, whole, self.stamp, self.base, log, held
        )
        return self.tell(report)

    def install(self, install: m.Install, now: float) -> list[m.Send]:
        if install.term < self.promised or install.term <= self.term:
            return [self.alive()]
        self.promised = self.term = install.term
        self.pulls.clear()
        self.loading = self.saving = None
        if install.key is not None:
            return self.leave_for(install, now)
        path = {install.base, *((e.term, e.version) for e in install.entries)}
        ahead = {e.version: e for e in install.entries if e.version > self.version}
        needs = {lease for e in ahead.values() for lease, _ in e.parts}
        if self.stamp not in path or not needs <= self.held.keys():
            self.store, self.log = None, {}
        else:
            self.log = {v: e for v, e in self.log.items() if v <= self.version} | ahead
        sends = self.advance()
        self.drop_older()
        return sends

    def leave_for(self, install: m.Install, now: float) -> list[m.Send]:
        """Begin anew from a snapshot."""
        self.loading, self.store, self.log, self.asked = install, None, {}, -1e9
        self.drop_older()
        return self.load(now)

    def drop_older(self) -> None:
        """Gradients of older terms are void."""
        for lease in [lease for lease in self.held if lease[0] < self.term]:
            self.forget(lease)

    def load(self, now: float) -> list[m.Send]:
        if self.loading is None or now - self.asked < self.settings.retry_s:
            return []
        self.asked = now
        return [m.Send(m.STORAGE, m.Load(part_key(self.loading.key, self.group), self.name))]

    def loaded(self, loaded: m.Loaded, now: float) -> list[m.Send]:
        install = self.loading
        if install is None or loaded.key != part_key(install.key, self.group):
            return []
        if loaded.value is None:  # outdated meanwhile: a newer term will say what to load
            return []
        store = self.restore(loaded.value)  # takes long: until it is there, nothing has changed
        self.store, self.whole, self.loading = store, None, None
        self.stamp = self.base = install.stamp
        return self.advance()

    # replicas and snapshots

    def copy(self, copy: m.Copy, now: float) -> list[m.Send]:
        if copy.term != self.term or self.store is None:
            return []
        held = {lease: (self.tags[lease], update) for lease, update in self.held.items()}
        log = tuple(self.log[v] for v in sorted(self.log) if v <= self.version)
        arrays = self.store.arrays()
        return [m.Send(copy.to, m.State(self.term, self.stamp, self.base, arrays, log, held))]

    def state(self, state: m.State, now: float) -> list[m.Send]:
        behind = self.store is None or self.version < state.stamp[1]
        if state.term < max(self.term, self.promised) or (state.term == self.term and not behind):
            return []
        store = self.restore(state.arrays)  # takes long: until it is there, nothing has changed
        newer = {v: e for v, e in self.log.items() if e.term == state.term and v > state.stamp[1]}
        self.promised = self.term = state.term
        self.loading = self.saving = None
        self.pulls.clear()
        self.whole = None
        self.store, self.stamp, self.base = store, state.stamp, state.base
        self.log = {e.version: e for e in state.log} | newer
        for lease, (tag, update) in state.held.items():
            self.held.setdefault(lease, update)
            self.tags.setdefault(lease, tag)
        self.drop_older()
        return [*map(self.holds, self.held), *self.advance()]

    def snapshot(self, snapshot: m.Snapshot, now: float) -> list[m.Send]:
        if snapshot.term != self.term:
            return []
        self.saving = snapshot
        return self.save()

    def save(self) -> list[m.Send]:
        """Save, when the version of the snapshot has come and not passed."""
        if self.saving is None or self.store is None or self.version < self.saving.version:
            return []
        saving, self.saving = self.saving, None
        if self.version > saving.version:
            return []
        save = m.Save(
            saving.term, part_key(saving.key, self.group), self.store.arrays(), m.COORDINATOR
        )
        return [m.Send(m.STORAGE, save)]


HANDLERS: dict[type[Any], Callable[[Shard, Any, float], list[m.Send]]] = {
    m.Tick: Shard.tick,
    m.Pull: Shard.pull,
    m.Push: Shard.push,
    m.Commit: Shard.commit,
    m.Release: Shard.release,
    m.Inquire: Shard.inquire,
    m.Install: Shard.install,
    m.Loaded: Shard.loaded,
    m.Copy: Shard.copy,
    m.State: Shard.state,
    m.Snapshot: Shard.snapshot,
}
