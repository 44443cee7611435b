"""Virtual time: the roles, a network that loses, doubles and delays, processes that die."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.coordinator import Coordinator
from widemargin.ps.keys import stamp_of
from widemargin.ps.settings import Settings
from widemargin.ps.shard import Shard
from widemargin.ps.worker import Worker


class Net(NamedTuple):
    """The network and the pace: seconds, bytes a second, probabilities a message."""

    latency: float = 0.001
    jitter: float = 0.5  # a share of the latency, drawn anew for each message
    drop: float = 0.0
    double: float = 0.0
    overtake: float = 0.0  # a message that is delayed by up to 50 latencies


@dataclass
class Process:
    """What carries a role: it may be dead, or paused with its messages waiting."""

    name: str
    make: Callable[[int], Any]
    role: Any = None
    life: int = 0
    alive: bool = False
    paused: bool = False
    inbox: list[Any] = field(default_factory=list)


class Storage:
    """What survives everything. Writes of older terms than the last are refused."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.records = dict(records)

    def on(self, message: Any) -> list[m.Send]:
        match message:
            case m.Save(term, key, value, tell):
                if term < self.records.get("term", 0):
                    return []
                self.records[key] = value
                if key.endswith("/manifest"):
                    self.records["latest"] = value
                return [m.Send(tell, m.Saved(key))]
            case m.Load(key, tell):
                return [m.Send(tell, m.Loaded(key, self.records.get(key)))]
            case m.Outdate(oldest):
                for old in [k for k in self.records if "/" in k and stamp_of(k) < oldest]:
                    del self.records[old]
        return []


class Simulation:
    """All roles of one run, an event heap, and who observes."""

    def __init__(
        self,
        settings: Settings,
        workers: Iterable[str],
        restore: Callable[[Any], Any],
        records: dict[str, Any],
        compute: Callable[[m.Compute], Any],
        pace: Callable[[str, random.Random], float],
        net: Net,
        seed: int,
    ) -> None:
        self.settings, self.compute, self.pace, self.net = settings, compute, pace, net
        self.rng = random.Random(seed)
        self.now = 0.0
        self.heap: list[Any] = []
        self.count = itertools.count()
        self.storage = Storage(records)
        self.cut: set[frozenset[str]] = set()
        self.events: list[m.Event] = []
        self.fired: dict[str, int] = {}
        self.ended = False
        self.processes: dict[str, Process] = {}
        for names in settings.groups:
            for name in names:
                self.add(name, partial(Shard, settings, name, restore=restore))
        self.add(m.COORDINATOR, lambda life: Coordinator(settings))
        for name in workers:
            self.add(name, partial(Worker, settings, name))

    # processes

    def add(self, name: str, make: Callable[[int], Any]) -> None:
        self.processes[name] = Process(name, make)
        self.start(name)

    def start(self, name: str) -> None:
        process = self.processes[name]
        process.life += 1
        process.alive, process.paused, process.inbox = True, False, []
        process.role = process.make(process.life)
        life = process.life
        self.at(self.rng.random() * self.settings.tick_s, lambda: self.tick(name, life))

    def tick(self, name: str, life: int) -> None:
        process = self.processes[name]
        if process.alive and process.life == life:
            if not process.paused:
                self.receive(name, life, m.Tick())
            self.at(self.settings.tick_s, lambda: self.tick(name, life))

    def crash(self, name: str) -> None:
        process = self.processes[name]
        process.alive, process.role, process.inbox = False, None, []

    def pause(self, name: str) -> None:
        self.processes[name].paused = True

    def go_on(self, name: str) -> None:
        process = self.processes[name]
        if process.alive and process.paused:
            process.paused = False
            waiting, process.inbox = process.inbox, []
            for message in waiting:
                self.receive(name, process.life, message)

    # time

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self.now + delay, next(self.count), action))

    def run(self, until: float) -> bool:
        """Has the run ended before `until`?"""
        while self.heap and not self.ended:
            time, _, action = heapq.heappop(self.heap)
            if time > until:
                return False
            self.now = time
            action()
        return self.ended

    # messages

    def receive(self, name: str, life: int | None, message: Any) -> None:
        process = self.processes[name]
        if not process.alive or (life is not None and life != process.life):
            return
        if process.paused:
            process.inbox.append(message)
            return
        for send in process.role.on(message, self.now):
            self.send(name, process.life, send)

    def send(self, source: str, life: int, send: m.Send) -> None:
        to, message = send
        if to == m.OBSERVER:
            self.observe(message)
        elif to == m.LOCAL:
            self.local(source, life, message)
        elif to == m.STORAGE:
            self.at(self.delay(), lambda: self.store(message))
        else:
            self.post(source, to, message)

    def store(self, message: Any) -> None:
        for answer in self.storage.on(message):
            self.at(self.delay(), partial(self.receive, answer.to, None, answer.message))

    def post(self, source: str, to: str, message: Any) -> None:
        draw, net = self.rng.random(), self.net
        if frozenset((source, to)) in self.cut:
            self.fire("cut off")
            return
        if draw < net.drop:
            self.fire("dropped")
            return
        self.at(self.delay(), lambda: self.receive(to, None, message))
        if draw < net.drop + net.double:
            self.fire("doubled")
            self.at(self.delay(), lambda: self.receive(to, None, message))

    def delay(self) -> float:
        delay = self.net.latency * (1.0 + self.net.jitter * self.rng.random())
        if self.rng.random() < self.net.overtake:
            self.fire("overtaken")
            delay += 50.0 * self.net.latency * self.rng.random()
        return delay

    def fire(self, kind: str) -> None:
        self.fired[kind] = self.fired.get(kind, 0) + 1

    def local(self, name: str, life: int, message: Any) -> None:
        if isinstance(message, m.Compute):
            done = m.Computed(message.lease, self.compute(message))
            self.at(self.pace(name, self.rng), lambda: self.finish(name, life, done))

    def finish(self, name: str, life: int, done: m.Computed) -> None:
        """A gradient is done; a paused process goes on with it when it wakes."""
        self.receive(name, life, done)

    def observe(self, event: m.Event) -> None:
        self.events.append(event)
        if event.kind in ("done", "failed"):
            self.ended = True
