"""The actor that carries a role of the parameter server: one thread runs it, Ray's thread delivers.

What takes long is elsewhere: gradients on the thread of `compute`, files on that of `Storing`.
Their answers come into the same inbox as other actors' messages. What a server does to parameters
is done here, in pieces, between which `breathe` says that it lives; who hangs does not come to it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from widemargin.errors import Diverged
from widemargin.ps import messages as m
from widemargin.ps.coordinator import Coordinator
from widemargin.ps.feedback import packer_of
from widemargin.ps.keys import part_key
from widemargin.ps.leader import Leader
from widemargin.ps.parameters import Parameters
from widemargin.ps.partition import Partition
from widemargin.ps.settings import group_of
from widemargin.ps.shard import Shard
from widemargin.ps.worker import Worker
from widemargin.run.cluster import plan as plans
from widemargin.run.cluster.compute import Computing
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.herald import Herald
from widemargin.run.cluster.partitions import PartitionComputing
from widemargin.run.cluster.plan import Plan
from widemargin.run.cluster.post import Post, opened
from widemargin.run.cluster.wire import Door, wanted
from widemargin.shared_arrays import Room

FLUSH_AFTER = 16  # messages, where more are waiting
RETRY_S = 0.002  # where a receiver had no room, or the observer is to answer
LOOK_S = 2.0  # how often an actor looks whether another has taken its place


class Trouble(NamedTuple):
    """Storage raised an error."""

    error: str


class Host:
    """Ray calls `deliver`, which never waits. Each process that carries the role has its `life`."""

    def __init__(self, name: str, role: str) -> None:
        self.name, self.role_name = name, role
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.life = 0
        self.post = Post(name)
        threading.Thread(target=self.live, name=role, daemon=True).start()

    def deliver(self, messages: list[Any], *parcels: Any) -> None:
        for message in messages:
            self.inbox.put(opened(message, parcels))

    def identity(self) -> dict[str, Any]:
        """Which process this is: for trials and for who watches."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return {"role": self.role_name, "pid": os.getpid(), "node": node, "life": self.life}

    def cut(self, names: frozenset[str]) -> None:
        """From now on nothing reaches these from here: for trials."""
        self.post.cut = frozenset(names)

    # the role's thread

    def live(self) -> None:
        try:
            plan = plans.get(self.name, "plan")
            if plan is not None:
                self.life = plans.new_life(self.name, self.role_name)
                self.run(plan)
        except Exception as error:
            self.fail(f"{self.role_name} raised {type(error).__name__}: {error}", error)
            raise

    def fail(self, reason: str, error: Exception) -> None:
        """The run cannot go on: what was raised once is raised again by the next who tries."""
        herald = Herald(self.name, self.role_name, self.life)
        what = {"reason": reason, "diverged": isinstance(error, Diverged)}
        herald.add(m.Event("failed", time.time(), what))
        while herald.waiting:
            herald.flush()
            time.sleep(0.1)

    def run(self, plan: Plan) -> None:
        settings = plan.settings
        self.plan, self.herald = plan, Herald(self.name, self.role_name, self.life)
        self.later: dict[str, tuple[int, m.Save]] = {}  # what waits for events to be told
        self.under_way: set[tuple[str, Any]] = set()  # keys and terms: what storage is busy with
        self.storing = Storing(Folder(plan.folder, len(plan.parts)), self.inbox.put)
        self.role, self.computing = self.make(plan)
        self.door = Door(self.name, self.role_name, self.life, self.inbox.put) if wanted() else None
        self.clock, self.beat = Clock(2 * settings.tick_s), 0.0
        due, look, taken = 0.0, 0.0, 0
        while True:
            message = self.take(self.patience(due - self.clock.read()))
            now = self.clock.read()
            if message is not None:
                self.receive(message, now)
            if now >= due + (settings.tick_s if message is not None else 0.0):
                due = now + settings.tick_s
                self.receive(m.Tick(), now)
                self.tell()
                if now >= look:
                    look = now + LOOK_S
                    self.tell_times()
                    self.look()
            taken += 1
            if taken >= FLUSH_AFTER or self.inbox.empty():
                taken = 0
                self.post.flush()

    def breathe(self) -> None:
        """In the midst of long work: say that we live, when it is time, and hear nothing."""
        now = self.clock.read()
        if now >= self.beat:
            self.beat = now + self.plan.settings.tick_s
            to, alive = self.role.alive()
            self.post.send(to, alive)
            self.post.flush()

    def tell_times(self) -> None:
        """How long gradients took: `widemargin plan --from` reads it."""
        if isinstance(self.computing, Computing) and self.computing.times:
            what = {"name": self.role_name, **self.computing.told()}
            self.herald.add(m.Event("timings", time.time(), what))

    def patience(self, left: float) -> float:
        """How long to wait for a message."""
        if self.later:
            self.tell()
        short = self.post.push() or bool(self.later)
        return RETRY_S if short else max(min(left, self.plan.settings.tick_s), 0.0)

    def take(self, wait: float) -> Any:
        """The next message, or None once a tick is due and nothing waits."""
        try:
            return self.inbox.get(timeout=wait) if wait else self.inbox.get_nowait()
        except Empty:
            return None

    def make(self, plan: Plan) -> tuple[Any, Computing | PartitionComputing | None]:
        name, settings = self.role_name, plan.settings
        if name == m.COORDINATOR:
            return Coordinator(settings), None
        if name.startswith("shard-"):
            start, room = plan.parts[group_of(settings, name)].start, Room()

            def restore(arrays: Any) -> Parameters:
                return Parameters.restore(plan.rule, arrays, start, room.empty, self.breathe)

            return Shard(settings, name, self.life, restore), None
        load = lambda: plans.get(self.name, "job")  # noqa: E731
        if settings.owner:
            role = (Partition if "/" in name else Leader)(settings, name, self.life)
            return role, PartitionComputing(load, plan, self.inbox.put, self.post.flush)
        packer = packer_of(settings.compression, plan.parts, settings.seed)
        computing = Computing(load, plan.parts, self.inbox.put, packer)
        return Worker(settings, name, self.life), computing

    def look(self) -> None:
        """End a process whose place was taken, while its node was thought dead."""
        newest = plans.newest_life(self.name, self.role_name)
        if newest is not None and newest > self.life:
            os._exit(0)

    # messages

    def receive(self, message: Any, now: float) -> None:
        match message:
            case m.Send():
                self.route(message, now)
            case Trouble(error):
                self.storage_failed(error)
            case m.Snapshot(term, _, key) if (part_key(key, self.role.group), term) in (
                self.under_way
            ):
                return  # asked for again while it is written: no second copy
            case _:
                for send in self.role.on(message, now):
                    self.route(send, now)

    def route(self, send: m.Send, now: float) -> None:
        to, message = send
        if isinstance(message, m.Loaded | m.Saved):
            self.under_way.discard((message.key, getattr(message, "term", None)))
        if to == self.role_name:
            self.receive(message, now)
        elif to == m.OBSERVER:
            self.observe(message)
        elif to == m.STORAGE:
            self.store(message)
        elif to == m.LOCAL:
            assert self.computing is not None, f"{self.role_name} computes nothing"
            self.computing.on(message)
        else:
            self.post.send(to, message)

    def store(self, message: Any) -> None:
        """A snapshot becomes the newest only when all that led to it was told: who goes on from it
        knows its history."""
        if isinstance(message, m.Save) and message.key.endswith("/manifest"):
            self.later[message.key] = self.herald.count, message
            self.tell()
        elif isinstance(message, m.Outdate) or "/" not in message.key:
            self.storing.put(message)
        elif (task := (message.key, getattr(message, "term", None))) not in self.under_way:
            self.under_way.add(task)  # who asks again while it is read gets no second copy
            self.storing.put(message)

    def tell(self) -> None:
        """Send events; store what waited for the observer to have them."""
        self.herald.flush()
        for key, (count, message) in list(self.later.items()):
            if self.herald.first >= count:
                del self.later[key]
                self.storing.put(message)

    def observe(self, event: m.Event) -> None:
        """Tell the observer; before a reign, the commits taken over, which the last coordinator may
        have had no time to tell."""
        now = time.time()
        if event.kind == "reign":
            for what in taken_over(self.role):
                self.herald.add(m.Event("commit", now, what))
        self.herald.add(event._replace(time=now))
        if event.kind in ("done", "failed"):
            self.herald.flush()

    def storage_failed(self, error: str) -> None:
        since = self.storing.failing_since
        self.under_way.clear()  # what failed may be asked for again
        self.herald.add(m.Event("storage", time.time(), {"role": self.role_name, "error": error}))
        if since is not None and time.monotonic() - since > self.plan.settings.give_up_s:
            raise OSError(
                f"{self.plan.folder} could not be used for {self.plan.settings.give_up_s:g} s: "
                f"{error}. Make room or give another snapshot_to."
            )


def taken_over(role: Coordinator) -> Iterator[dict[str, Any]]:
    """The commits between the last snapshot and the state that a term begins from."""
    books = role.books
    after = books.base
    for entry in (books.log[version] for version in sorted(books.log)):
        stamp = (entry.term, entry.version)
        told = {"term": books.term, "stamp": stamp, "after": after, "parts": entry.parts}
        yield {**told, "losses": entry.losses, "void": (), "late": 0}
        after = stamp


class Clock:
    """Wall time that never jumps. A gap, while this process was stopped, counts as `longest` only:
    who wakes must hear what waits for it before it takes others for dead."""

    def __init__(self, longest: float) -> None:
        self.longest, self.now, self.last = longest, time.time(), time.monotonic()

    def read(self) -> float:
        t = time.monotonic()
        self.now += min(t - self.last, self.longest)
        self.last = t
        return self.now


class Storing:
    """Files on a thread of their own; answers go to `tell`, to be routed."""

    def __init__(self, folder: Folder, tell: Callable[[Any], None]) -> None:
        self.folder, self.tell = folder, tell
        self.failing_since: float | None = None
        self.queue: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self.run, name="storage", daemon=True).start()

    def put(self, message: Any) -> None:
        self.queue.put(message)

    def run(self) -> None:
        while True:
            self.do(self.queue.get())  # whose arrays must not wait here for the next message

    def do(self, message: Any) -> None:
        try:
            for answer in self.folder.on(message):
                self.tell(answer)
            self.failing_since = None
        except (OSError, ValueError) as error:  # ValueError: what is there is damaged
            self.failing_since = self.failing_since or time.monotonic()
            self.tell(Trouble(f"{type(error).__name__}: {error}"))
