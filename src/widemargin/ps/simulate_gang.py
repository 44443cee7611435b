"""Simulated processes that are one worker together: what they do in each other's company.

The partners of a gang compute in step: the n-th gradient of each belongs to the n-th of the others,
as messages of a pipeline do, whatever each of them believes it computes. A partner that is gone, or
a link between two that is cut, leaves all waiting, until that counts as lost.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.job import Carrier
from widemargin.ps.leader import Leader
from widemargin.ps.partition import Partition, partner
from widemargin.ps.policy import Sync
from widemargin.ps.settings import owned, partitions, read_by
from widemargin.ps.simulate_pace import drawn

if TYPE_CHECKING:
    from widemargin.ps.simulate import Simulation

OPENING = 0.05  # most seconds until a part is open
BEGINNING = 0.1  # and until a process that ended is there again
LOST_AFTER = 3.0  # deadlines, after which one who waits for partners gives them up


class Seat(NamedTuple):
    """A process in one of its lives."""

    name: str
    life: int


@dataclass
class Meeting:
    """A gang: who is there, and what each has been asked for so far."""

    seats: dict[int, Seat] = field(default_factory=dict)
    asked: dict[int, list[m.Compute]] = field(default_factory=lambda: defaultdict(list))
    done: int = 0  # gradients that were computed


class Gangs:
    """The gangs of a simulation."""

    def __init__(self, sim: Simulation) -> None:
        self.sim, self.k = sim, partitions(sim.settings)
        self.own = [owned(sim.settings, k) for k in range(self.k)]
        self.reads = [read_by(sim.settings, k) for k in range(self.k)]
        self.meetings: dict[str, Meeting] = defaultdict(Meeting)
        self.places: dict[Seat, tuple[str, int]] = {}  # where a process is, as which partition

    def join(self, worker: str) -> None:
        settings = self.sim.settings
        self.sim.add(worker, partial(Leader, settings, worker))
        for k in range(1, self.k):
            name = partner(worker, k)
            self.sim.add(name, partial(Partition, settings, name))

    def local(self, name: str, life: int, message: Any) -> None:
        """What a partner asks of the process that carries it."""
        sim, seat = self.sim, Seat(name, life)
        match message:
            case m.Meet():
                self.answer(0.0, seat, m.Place(f"{name} in life {life}"))
            case m.Open(_, k, place):
                self.meetings[place].seats[k] = seat
                self.places[seat] = (place, k)
                self.answer(sim.rng.random() * OPENING, seat, m.Opened(""))
            case m.Compute():
                self.ask(seat, message)
            case m.Quit():
                sim.tell("quit", name, f"{name} ends: {message.why}")
                sim.crash(name)
                sim.at(sim.rng.random() * BEGINNING, partial(self.begin_anew, seat))
            case m.Touch():
                carrier = sim.processes[name].carrier
                assert carrier is not None
                self.answer(0.0, seat, carrier.on(message))

    def answer(self, delay: float, seat: Seat, message: Any) -> None:
        self.sim.at(delay, partial(self.sim.receive, seat.name, seat.life, message))

    def begin_anew(self, seat: Seat) -> None:
        process = self.sim.processes[seat.name]
        if not process.alive and process.life == seat.life and seat.name not in self.sim.left:
            self.sim.start(seat.name)

    # gradients

    def ask(self, seat: Seat, message: m.Compute) -> None:
        place, k = self.places[seat]
        meeting = self.meetings[place]
        meeting.asked[k].append(message)
        number = len(meeting.asked[k])
        limit = LOST_AFTER * self.sim.settings.deadline_s
        self.sim.at(limit, partial(self.give_up, seat, meeting, number))
        if all(len(meeting.asked[j]) > meeting.done for j in range(self.k)) and self.whole(meeting):
            self.compute(meeting)

    def whole(self, meeting: Meeting) -> bool:
        """Are all alive, and all links between them?"""
        sim, seats = self.sim, meeting.seats.values()
        lives = all(
            sim.processes[s.name].alive and sim.processes[s.name].life == s.life for s in seats
        )
        cut = any(sim.wires.severed(a.name, b.name) for a in seats for b in seats if a != b)
        return lives and not cut

    def give_up(self, seat: Seat, meeting: Meeting, number: int) -> None:
        if meeting.done < number:
            self.answer(0.0, seat, m.Severed("partners do not answer"))

    def compute(self, meeting: Meeting) -> None:
        """The next gradient of each, of what all of them hold; it takes them the same time."""
        sim, n = self.sim, meeting.done
        meeting.done += 1
        asked = [meeting.asked[k][n] for k in range(self.k)]
        values, keys = self.joined(asked, "values"), self.joined(asked, "keys")
        worker = meeting.seats[0].name
        takes = drawn(sim.setup.pace, sim.rng, sim.setup.slower.get(worker, 1.0))
        carrier = Carrier(sim.setup.job.open(), sim.parts)
        answers = {}
        for ask in asked:
            if ask.lease not in answers:
                whole = ask._replace(values=values, keys=keys)
                answers[ask.lease] = answer = carrier.compute(whole)
                sim.keep(worker, takes, whole, answer)
        for k, ask in enumerate(asked):
            seat, made = meeting.seats[k], answers[ask.lease]
            own = made._replace(updates=tuple(made.updates[g] for g in self.own[k]))
            slept = sim.processes[seat.name].slept
            sim.at(takes, partial(sim.computed, seat.name, seat.life, own, slept))

    def joined(self, asked: list[m.Compute], name: str) -> tuple[Any, ...]:
        """What all partners hold, group by group; in sync they hold the same of what they share."""
        settings = self.sim.settings
        held = [
            dict(zip(r, getattr(a, name), strict=True))
            for r, a in zip(self.reads, asked, strict=True)
        ]
        whole = tuple(held[k][g] for g, k in enumerate(settings.owner))
        if isinstance(settings.policy, Sync) and len({ask.lease for ask in asked}) == 1:
            for each in held:
                assert all(np.array_equal(v, whole[g]) for g, v in each.items()), "partners differ"
        return whole
