"""Virtual time: the roles of a run, a network between them, and processes that can be made to fail.

The simulator carries the same roles as a real cluster does, on a heap of events instead of on
machines. All that is drawn comes from the seed, so a run can be had again exactly.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.coordinator import Coordinator
from widemargin.ps.feedback import packer_of
from widemargin.ps.job import Carrier, Job, Range, ranges
from widemargin.ps.parameters import Parameters
from widemargin.ps.settings import Settings
from widemargin.ps.shard import Shard
from widemargin.ps.simulate_gang import Gangs
from widemargin.ps.simulate_net import Net, Wires, size_of
from widemargin.ps.simulate_pace import Pace, drawn
from widemargin.ps.simulate_process import Computation, Process, role_of
from widemargin.ps.simulate_storage import Storage, beginning
from widemargin.ps.simulate_word import Word
from widemargin.ps.worker import Worker


class Setup(NamedTuple):
    """What is simulated."""

    settings: Settings
    job: Job
    workers: tuple[str, ...]
    net: Net = Net()
    pace: Pace = Pace()
    slower: Mapping[str, float] = {}  # workers that take so many times longer
    interrupt: bool = True  # may a gradient that is no longer wanted be stopped half-way?
    seed: int = 0


class Simulation:
    """All processes of one run, the heap of what is to come, and what was observed."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.settings, self.net = setup, setup.settings, setup.net
        self.rng = random.Random(setup.seed)
        self.parts: tuple[Range, ...] = ranges(setup.job.n_keys, len(self.settings.groups))
        first = beginning(self.settings, setup.job, self.parts)
        self.storage, self.storage_takes = Storage(first, len(self.parts)), 0.0
        self.now, self.ended = 0.0, False
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.count = itertools.count()
        self.wires, self.word = Wires(), Word()
        self.events: list[m.Event] = []
        self.told: list[tuple[float, str, str, str]] = []  # what failed: time, kind, name, words
        self.fired: Counter[tuple[str, str]] = Counter()  # (kind, role)
        self.gradients: dict[m.LeaseId, list[Computation]] = {}
        self.twins: list[str] = []  # coordinators that go on although another one was started
        self.left: set[str] = set()  # workers that do not come back
        self.processes: dict[str, Process] = {}
        self.gangs = Gangs(self) if self.settings.owner else None
        for g, names in enumerate(self.settings.groups):
            restore = partial(self.restore, g)
            for name in names:
                self.add(name, partial(Shard, self.settings, name, restore=restore))
        self.add(m.COORDINATOR, lambda life: Coordinator(self.settings))
        for name in setup.workers:
            self.join(name)

    def restore(self, group: int, arrays: Any) -> Parameters:
        return Parameters.restore(self.setup.job.rule, arrays, self.parts[group].start)

    # processes

    def add(self, name: str, make: Callable[[int], Any]) -> None:
        self.processes[name] = Process(name, make)
        self.start(name)

    def join(self, name: str) -> None:
        """A worker takes part from now on."""
        if self.gangs is not None:
            return self.gangs.join(name)
        self.add(name, partial(Worker, self.settings, name))

    def start(self, name: str) -> None:
        process = self.processes[name]
        process.life += 1
        process.alive, process.paused, process.slept, process.inbox = True, None, 0.0, []
        process.ahead = None
        process.role = process.make(process.life)
        if role_of(name) == "worker":
            packer = packer_of(self.settings.compression, self.parts, self.settings.seed)
            process.carrier = Carrier(self.setup.job.open(), self.parts, packer)
        self.at(self.rng.random() * self.settings.tick_s, partial(self.tick, name, process.life))

    def tick(self, name: str, life: int) -> None:
        process = self.processes[name]
        if process.alive and process.life == life:
            if process.paused is None:
                self.receive(name, life, m.Tick())
            self.at(self.settings.tick_s, partial(self.tick, name, life))

    def crash(self, name: str) -> None:
        process = self.processes[name]
        process.alive, process.role, process.carrier, process.inbox = False, None, None, []

    def pause(self, name: str) -> None:
        self.processes[name].paused = self.now

    def wake(self, name: str, life: int) -> None:
        """Go on where it stopped. What has come meanwhile comes now, in any order if messages can
        overtake: it waits at several connections."""
        process = self.processes[name]
        if process.alive and process.life == life and process.paused is not None:
            process.slept += self.now - process.paused
            process.paused = None
            waiting, process.inbox = process.inbox, []
            if self.net.overtake:
                self.rng.shuffle(waiting)
            for message in waiting:
                self.receive(name, life, message)

    def replace_coordinator(self, wakes: float, until: float) -> None:
        """Start another one; the old one goes on for a while, once it has woken if it stands still.
        While both are awake each gets part of the mail."""
        old = self.processes[m.COORDINATOR]
        twin = f"{m.COORDINATOR}-{old.life}"
        self.processes[twin] = Process(twin, old.make, old.role, life=old.life, alive=True)
        self.processes[twin].paused, self.processes[twin].inbox = old.paused, old.inbox
        self.twins.append(twin)
        self.tick(twin, old.life)
        self.at(wakes, partial(self.wake, twin, old.life))
        self.start(m.COORDINATOR)
        self.at(until, partial(self.bury_twin, twin))

    def bury_twin(self, name: str) -> None:
        self.twins.remove(name)
        self.crash(name)

    # time

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self.now + delay, next(self.count), action))

    def run(self, until: float) -> bool:
        """Has the run ended before `until`?"""
        while self.heap and not self.ended:
            if self.heap[0][0] > until:
                self.now = until
                return False
            self.now, _, action = heapq.heappop(self.heap)
            action()
        return self.ended

    # messages

    def receive(self, name: str, life: int | None, message: Any) -> None:
        process = self.processes.get(name)
        if process is None or not process.alive or life not in (None, process.life):
            return
        if process.paused is not None:
            process.inbox.append(message)
            return
        for send in self.word.watch(name, process.life, process.role, message, self.now):
            self.send(name, process.life, send)

    def send(self, source: str, life: int, send: m.Send) -> None:
        to, message = send
        if to == m.OBSERVER:
            self.observe(message)
        elif to == m.LOCAL:
            self.local(source, life, message)
        else:
            self.post(source, to, message)

    def post(self, source: str, to: str, message: Any) -> None:
        """Put a message on the network, which may lose or double it."""
        draw, net, role = self.rng.random(), self.net, role_of(source)
        self.wires.weigh(message)
        if self.wires.severed(source, to):
            self.fired["cut off", role] += 1
            return
        if draw < net.drop:
            self.fired["drop", role] += 1
            return
        if self.wires.holds(source, to, message):
            self.fired["held up", role] += 1
            return
        self.carry(source, to, message)
        if draw < net.drop + net.double:
            self.fired["duplicate", role] += 1
            self.carry(source, to, message)

    def carry(self, source: str, to: str, message: Any) -> None:
        """Bring a message to its receiver, after others that wait for the same NIC."""
        net = self.net
        delay = net.latency * (1.0 + net.jitter * self.rng.random())
        if net.overtake and self.rng.random() < net.overtake:
            self.fired["reorder", role_of(source)] += 1
            delay += net.late * self.rng.random()
        if net.bandwidth == float("inf") and not net.bandwidths:
            self.at(delay, partial(self.deliver, to, message))
            return
        size = size_of(message)
        leaves = self.wires.leaves(net, source, self.now, size) - self.now
        self.at(leaves + delay, partial(self.enter, to, message, size))

    def enter(self, to: str, message: Any, size: int) -> None:
        taken = self.wires.enters(self.net, to, self.now, size) - self.now
        self.at(taken, partial(self.deliver, to, message))

    def deliver(self, to: str, message: Any) -> None:
        if to == m.STORAGE:
            self.at(self.storage_takes, partial(self.store, message))
        elif to == m.COORDINATOR and self.twins:
            awake = [twin for twin in self.twins if self.processes[twin].paused is None]
            self.receive(self.rng.choice([to, *awake]), None, message)
        else:
            self.receive(to, None, message)

    def store(self, message: Any) -> None:
        for to, answer in self.storage.on(message):
            self.post(m.STORAGE, to, answer)

    # gradients

    def local(self, name: str, life: int, message: Any) -> None:
        """What a worker asks of the process that carries it."""
        if self.gangs is not None:
            return self.gangs.local(name, life, message)
        process = self.processes[name]
        assert process.carrier is not None
        if isinstance(message, m.Cancel):
            if self.setup.interrupt:
                stopped = m.Computed(message.lease, ())
                self.at(0.0, partial(self.receive, name, life, stopped))
            return
        answer = process.carrier.on(message)
        draw = partial(drawn, self.setup.pace, self.rng, self.setup.slower.get(name, 1.0))
        if isinstance(message, m.Advance):
            process.advances(message, self.now, draw())
        if answer is None:
            return
        if not isinstance(message, m.Compute):
            self.at(0.0, partial(self.receive, name, life, answer))
            return
        takes = process.takes(message, self.now, draw)
        if isinstance(answer, m.Computed):
            self.keep(name, takes, message, answer)
        self.at(takes, partial(self.computed, name, life, answer, process.slept))

    def keep(self, name: str, takes: float, asked: m.Compute, answer: m.Computed) -> None:
        made = Computation(
            name,
            self.now,
            takes,
            asked.block,
            asked.values,
            asked.keys,
            answer.updates,
            self.processes[name].life,
            asked.version,
            asked.resume,
            answer.loss,
        )
        self.gradients.setdefault(asked.lease, []).append(made)

    def computed(self, name: str, life: int, answer: Any, slept: float) -> None:
        """A gradient would be done now, had the process not slept since it began."""
        process = self.processes[name]
        if not process.alive or process.life != life:
            return
        asleep = 0.0 if process.paused is None else self.now - process.paused
        more = process.slept + asleep - slept
        if more > 0.0:
            self.at(more, partial(self.computed, name, life, answer, slept + more))
        else:
            self.receive(name, life, answer)

    # observation

    def observe(self, event: m.Event) -> None:
        self.events.append(event)
        if event.kind in ("done", "failed"):
            self.ended = True

    def tell(self, kind: str, name: str, text: str) -> None:
        """A fault has fired."""
        self.fired[kind, role_of(name)] += 1
        self.told.append((self.now, kind, name, text))
