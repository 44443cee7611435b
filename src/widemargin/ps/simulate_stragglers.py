"""What slow workers cost, and what doing without them wins: experiments in virtual time.

After Chen et al., Revisiting distributed synchronous SGD, 2016: of W workers a synchronous step
waits for the first N = W − b. A larger b makes a step shorter, but it averages fewer gradients, so
what counts is the time of a *pass* over the data: blocks · step time / N.
"""

from __future__ import annotations

import random
from functools import partial
from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.policy import Async, Policy, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_job import Problem
from widemargin.ps.simulate_net import Net
from widemargin.ps.simulate_pace import Pace

MANY = 100  # workers of the figure
BACKUPS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
STEPS = 40  # of a run, about
HEAVY = Pace(mean=1.0, spread=0.08, tail=0.02, alpha=1.2, longest=60.0)
FEW = 8  # workers of the table
SLOW = 10.0  # times slower one of them is
PACE = Pace(mean=1.0, spread=0.08)
PASS = 400  # blocks of it
FOREVER = 1e9


class Steps(NamedTuple):
    """A run of synchronous steps with b backups."""

    backup: int
    step: float  # seconds, mean
    passed: float  # seconds of a pass over as many blocks as there are workers
    arrivals: Array  # (steps, W): seconds from a step's begin to the k-th gradient; of b = 0


class Passed(NamedTuple):
    """A pass over the data with a slow worker and one that stops at random."""

    name: str
    seconds: float
    ratio: float  # to the same without stragglers
    commits: int
    blocks: int  # different ones that were committed


def settings(policy: Policy, n_blocks: int, seed: int = 0) -> Settings:
    return Settings(
        n_blocks=n_blocks,
        epochs=1,
        policy=policy,
        groups=(("shard-0.0",),),
        seed=seed,
        deadline_s=20.0,
        retry_s=2.0,
        tick_s=0.5,
    )


def steps(backup: int, workers: int = MANY, seed: int = 0, pace: Pace = HEAVY) -> Steps:
    """Simulate with so many backups."""
    n_blocks = STEPS * (workers - backup)
    names = tuple(f"worker-{i:03}" for i in range(workers))
    problem = Problem(n_blocks=n_blocks, n_keys=2, n=n_blocks)
    setup = Setup(settings(Sync(backup), n_blocks), problem, names, Net(), pace, seed=seed)
    sim = Simulation(setup)
    sim.run(FOREVER)
    times = [event.time for event in sim.events if event.kind == "commit"]
    full = [e for e in sim.events if e.kind == "commit" and len(e.what["parts"]) == workers]
    arrivals = np.array([arrived(sim, event, times) for event in full[1:]])
    step = float(np.mean(np.diff(times[:-1])))
    return Steps(backup, step, step * workers / (workers - backup), arrivals)


def arrived(sim: Simulation, commit: m.Event, times: list[float]) -> Array:
    """When the gradients of a commit came, since the commit before it."""
    begun = max(time for time in times if time < commit.time)
    made = [sim.gradients[lease][0] for lease, _ in commit.what["parts"]]
    return np.sort([one.begun + one.takes - begun for one in made])


def passes(seed: int = 0) -> list[Passed]:
    """The table: no straggler, then synchronous without and with backups, and asynchronous."""
    rows = [one_pass("sync, no straggler", Sync(0), straggling=False, seed=seed)]
    for name, policy in [
        ("sync, backup 0", Sync(0)),
        ("sync, backup 1", Sync(1)),
        ("sync, backup 2", Sync(2)),
        ("sync, backup auto", Sync("auto")),
        ("async", Async()),
    ]:
        rows.append(one_pass(name, policy, straggling=True, seed=seed))
    return [row._replace(ratio=row.seconds / rows[0].seconds) for row in rows]


def one_pass(name: str, policy: Policy, *, straggling: bool, seed: int) -> Passed:
    names = tuple(f"worker-{i}" for i in range(FEW))
    slower = {names[0]: SLOW} if straggling else {}
    problem = Problem(n_blocks=PASS, n_keys=2, n=PASS)
    of_run = settings(policy, PASS, seed)
    sim = Simulation(Setup(of_run, problem, names, Net(), PACE, slower, seed=seed))
    if straggling:
        sim.at(0.0, partial(stop_at_random, sim, names[1], random.Random(seed)))
    sim.run(FOREVER)
    commits = [event for event in sim.events if event.kind == "commit"]
    blocks = {block for commit in commits for _, block in commit.what["parts"]}
    return Passed(name, commits[-1].time - commits[0].time, 1.0, len(commits), len(blocks))


def stop_at_random(sim: Simulation, name: str, rng: random.Random) -> None:
    """Stop a process for 1 to 5 s, every 5 to 15 s."""
    run, stop = rng.uniform(5.0, 15.0), rng.uniform(1.0, 5.0)

    def begin() -> None:
        sim.pause(name)
        sim.at(stop, partial(sim.wake, name, sim.processes[name].life))
        sim.at(stop, partial(stop_at_random, sim, name, rng))

    sim.at(run, begin)
