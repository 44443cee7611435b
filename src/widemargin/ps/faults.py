"""Faults by schedule: what fails, when, and for how long.

crash       a process dies and is started again: nothing of its memory is left
pause       a process stands still, as under SIGSTOP, and goes on where it was
partition   links are cut: between two processes, in one direction only, or all of one process
hold        links are held up: what is sent waits, and comes when they are free, though its sender
            may be dead by then and another in its place
twin        another coordinator begins while the first goes on, at once or after it was stopped, as
            when a node is cut off and what ran on it is started elsewhere; messages to
            "coordinator" reach one of the two
slow        storage answers late
leave       a worker dies for good
join        a worker comes in addition

Messages that are lost, doubled or overtaken are drawn by the network while the faults last.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.simulate import Simulation
from widemargin.ps.simulate_process import role_of

KINDS = ("crash", "restart", "pause", "partition", "duplicate", "reorder", "drop")
ROLES = ("worker", "shard", "coordinator")
FOREVER = float("inf")


class Fault(NamedTuple):
    """One of them. `links` are (from, to), "*" being everybody."""

    time: float
    kind: str
    name: str
    duration: float
    links: tuple[tuple[str, str], ...] = ()


def draw(
    rng: random.Random,
    names: Sequence[str],
    *,
    at: str | None,
    count: int,
    horizon: float,
    deadline_s: float,
) -> list[Fault]:
    """So many faults before `horizon`, each kind at each role as likely (slow storage and
    twins, which have one role each, twice); or `at` one role."""
    targets = [*ROLES, *(["partition"] if any(map(partitioned, names)) else [])]
    roles = {role: [name for name in names if role_of(name) == role] for role in targets}
    faults, leaving = [], roles["worker"][1:]
    kinds = [(kind, role) for kind in ("crash", "pause", "partition", "hold") for role in targets]
    kinds += [("partition", m.STORAGE), *[("slow", m.STORAGE)] * 2]
    kinds += [("twin", m.COORDINATOR)] * 2
    kinds += [("join", "worker"), ("leave", "worker")]
    kinds = [(kind, role) for kind, role in kinds if at in (None, role)]
    for i in range(count):
        kind, role = rng.choice(kinds)
        time, duration = rng.random() * horizon, draw_duration(rng, deadline_s)
        if kind == "join":
            faults.append(Fault(time, kind, f"worker-new{i}", 0.0))
        elif kind == "leave":
            if leaving:
                name = leaving.pop(rng.randrange(len(leaving)))
                faults.append(Fault(time, kind, name, FOREVER))
        else:
            name = rng.choice(roles.get(role, [m.STORAGE]))
            links = draw_links(rng, name, names) if kind in ("partition", "hold") else ()
            faults.append(Fault(time, kind, name, duration, links))
    return sorted(faults)


def partitioned(name: str) -> bool:
    return role_of(name) == "partition"


def draw_duration(rng: random.Random, deadline_s: float) -> float:
    """A moment; too short to be a death; about as long as one; longer."""
    low, high = rng.choice([(0.0, 0.02), (0.02, 0.8), (0.8, 1.3), (1.3, 3.0)])
    return deadline_s * (low + (high - low) * rng.random())


def draw_links(rng: random.Random, name: str, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """All links of a process, or one; both ways, or one."""
    other = rng.choice([other for other in [*names, "*", "*", "*"] if other != name])
    links = ((name, other), (other, name))
    return rng.choice([links, links, links[:1], links[1:]])


def inject(sim: Simulation, faults: Sequence[Fault]) -> None:
    """Have the faults come when their time has come."""
    for fault in faults:
        sim.at(fault.time, partial(BEGIN[fault.kind], sim, fault))


def healed(faults: Sequence[Fault]) -> float:
    """When the last fault that ends has ended."""
    ends = [f.time + (f.duration if f.duration < FOREVER else 0.0) for f in faults]
    return max(ends, default=0.0)


def _crash(sim: Simulation, fault: Fault) -> None:
    process = sim.processes[fault.name]
    if not process.alive:
        return
    sim.tell("crash", fault.name, f"{fault.name} crashes")
    sim.crash(fault.name)
    sim.at(fault.duration, partial(_restart, sim, fault.name))


def _restart(sim: Simulation, name: str) -> None:
    if not sim.processes[name].alive and name not in sim.left:
        sim.start(name)
        sim.tell("restart", name, f"{name} starts again, life {sim.processes[name].life}")


def _pause(sim: Simulation, fault: Fault) -> None:
    process = sim.processes[fault.name]
    if process.alive and process.paused is None:
        sim.tell("pause", fault.name, f"{fault.name} stops for {fault.duration:.3f} s")
        sim.pause(fault.name)
        sim.at(fault.duration, partial(sim.wake, fault.name, process.life))


def _partition(sim: Simulation, fault: Fault) -> None:
    told = ", ".join(f"{source}→{to}" for source, to in fault.links)
    sim.tell("partition", fault.name, f"cut for {fault.duration:.3f} s: {told}")
    sim.wires.sever(fault.links)
    sim.at(fault.duration, partial(sim.wires.mend, fault.links))


def _hold(sim: Simulation, fault: Fault) -> None:
    told = ", ".join(f"{source}→{to}" for source, to in fault.links)
    sim.tell("hold", fault.name, f"held up for {fault.duration:.3f} s: {told}")
    sim.wires.hold(fault.links)
    sim.at(fault.duration, partial(_loosen, sim, fault.links))


def _loosen(sim: Simulation, links: tuple[tuple[str, str], ...]) -> None:
    for source, to, message in sim.wires.loosen(links):
        sim.carry(source, to, message)


def _twin(sim: Simulation, fault: Fault) -> None:
    """At once, or after the old one has stood still for some time; then it wakes beside the new."""
    process, deadline_s = sim.processes[m.COORDINATOR], sim.settings.deadline_s
    if not process.alive:
        return
    stopped = sim.rng.choice([0.0, sim.rng.random(), 2.0 * sim.rng.random()]) * deadline_s
    wakes = sim.rng.choice([0.0, 0.1, 0.2, 1.0]) * deadline_s * sim.rng.random()
    if stopped and process.paused is None:
        sim.pause(m.COORDINATOR)
    told = f"another coordinator starts in {stopped:.3f} s, the old one wakes {wakes:.3f} s later"
    sim.tell("twin", fault.name, f"{told} and is gone after {fault.duration:.3f} s")
    sim.at(stopped, partial(_replace, sim, process.life, wakes, wakes + fault.duration))


def _replace(sim: Simulation, life: int, wakes: float, until: float) -> None:
    process = sim.processes[m.COORDINATOR]
    if process.alive and process.life == life:
        sim.replace_coordinator(wakes, until)


def _slow(sim: Simulation, fault: Fault) -> None:
    sim.tell("slow", fault.name, f"storage takes {fault.duration / 4:.3f} s longer")
    _delay(sim, fault.duration / 4)
    sim.at(fault.duration, partial(_delay, sim, -fault.duration / 4))


def _delay(sim: Simulation, more: float) -> None:
    sim.storage_takes = max(0.0, sim.storage_takes + more)


def _leave(sim: Simulation, fault: Fault) -> None:
    sim.tell("leave", fault.name, f"{fault.name} leaves")
    sim.left.add(fault.name)
    sim.crash(fault.name)


def _join(sim: Simulation, fault: Fault) -> None:
    sim.tell("join", fault.name, f"{fault.name} joins")
    sim.join(fault.name)


BEGIN = {
    "crash": _crash,
    "pause": _pause,
    "partition": _partition,
    "hold": _hold,
    "twin": _twin,
    "slow": _slow,
    "leave": _leave,
    "join": _join,
}
