"""How long an epoch takes on a cluster that is not there yet, and how late its gradients are.

A short run of the model in `plan_flow` gives the time of an epoch without failures; the same run,
in which workers die, what the death of one costs; `plan_failures` the rest. A run too long to be
simulated goes on at the pace of the middle half of a short one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from widemargin.ps.plan_case import Case, Committed, Deaths, Figures
from widemargin.ps.plan_failures import Failures, best_period, losses, stretch, young
from widemargin.ps.plan_flow import Flow
from widemargin.ps.plan_pace import mean
from widemargin.ps.policy import Async, Policy, Sync

EACH, FEWEST = 6, 480  # gradients of a worker that are simulated, and of all at least
NEARLY_ALL = 0.9  # of the blocks
AT_ONCE = 0.4  # workers that die in the time in which each computes one gradient


class World(NamedTuple):
    """All that is given: the figures, the work of an epoch, failures, what a machine costs."""

    figures: Figures
    n_blocks: int
    failures: Failures = Failures()
    price: float | None = None  # of a machine, an hour
    seed: int = 0


class Prediction(NamedTuple):
    """What to expect of a case. Seconds; `late` counts commits."""

    case: Case
    calm: float  # of an epoch without failures
    epoch: float  # with them
    late: float  # mean
    late99: float  # the 99th percentile
    period: float  # between snapshots; infinite: one at the end of an epoch
    young: float  # what Young's formula says of it
    machines: int  # workers, and all replicas of all servers
    hours: float  # of machines, an epoch
    cost: float | None

    @property
    def commits(self) -> str:
        return name_of(self.case.policy)


def name_of(policy: Policy) -> str:
    """The policy in words.

    >>> name_of(Sync(4)), name_of(Async(16))
    ('sync, 4 backups', 'async, at most 16 late')
    """
    match policy:
        case Sync(0):
            return "sync"
        case Sync(backup):
            return f"sync, {backup} backup{'s' * (backup != 1)}"
        case Async(None):
            return "async"
        case Async(most):
            return f"async, at most {most} late"
    return "round robin"


def predict(world: World, case: Case) -> Prediction:
    """Simulate, then add what failures cost."""
    figures, failures = world.figures, world.failures
    short = min(world.n_blocks, max(EACH * case.workers, FEWEST))
    flow = Flow(figures, case, short, seed=world.seed).run()
    calm = flow.ends[-1] + (world.n_blocks - short) * slope(flow.committed)
    late = np.array([commit.late for commit in flow.committed])
    worker = of_a_death(world, case, short, flow)
    stall = failures.snapshot / case.servers
    rate = losses(failures, case.servers, case.replicas)
    least = max(stall, calm / world.n_blocks, 1e-3)
    period = best_period(stall, rate, failures.server, least)
    slower = 1.0 + (case.workers * worker + pauses(world, case)) / failures.mtbf
    work = calm * slower
    epoch = work + stall if period > work else work * stretch(period, stall, rate, failures.server)
    if rate and period > work:  # a snapshot at the end of the epoch all the same
        period, epoch = work, work * stretch(work, stall, rate, failures.server)
    machines = case.workers + case.servers * case.replicas
    hours = machines * epoch / 3600.0
    return Prediction(
        case,
        calm,
        epoch,
        float(late.mean()),
        float(np.percentile(late, 99)),
        period,
        young(stall, rate),
        machines,
        hours,
        None if world.price is None else hours * world.price,
    )


def slope(committed: Sequence[Committed]) -> float:
    """Seconds a block, over the middle half of the commits."""
    n = len(committed)
    if n < 4:
        return committed[-1].time / sum(each.parts for each in committed)
    first, last = n // 4, 3 * n // 4
    blocks = sum(each.parts for each in committed[first + 1 : last + 1])
    return (committed[last].time - committed[first].time) / blocks


def of_a_death(world: World, case: Case, n_blocks: int, calm: Flow) -> float:
    """Seconds that the death of one worker costs all: those of its own work at least.

    Until nearly all is committed: what is waited for at the end comes once an epoch.
    """
    failures = world.failures
    if math.isinf(failures.mtbf):
        return 0.0
    own = (failures.worker + mean(world.figures.pace) / 2.0) / case.workers
    deaths = Deaths(AT_ONCE / case.workers, failures.worker)
    flow = Flow(world.figures, case, n_blocks, seed=world.seed, deaths=deaths).run()
    most = NEARLY_ALL * n_blocks
    until = reached(flow.committed, most)
    deaths_until = sum(time < until for time in flow.died)
    return max(own, (until - reached(calm.committed, most)) / max(deaths_until, 1))


def reached(committed: Sequence[Committed], blocks: float) -> float:
    """When so many were committed."""
    counts = np.cumsum([each.parts for each in committed])
    return committed[int(np.searchsorted(counts, blocks))].time


def pauses(world: World, case: Case) -> float:
    """Seconds lost to the deaths of servers with replicas, of which each stops commits until it is
    noticed, and of the coordinator, after which gradients under way are computed again; at one
    death of each process."""
    failures = world.failures
    coordinator = failures.coordinator + mean(world.figures.pace)
    if case.replicas == 1:
        return coordinator  # the deaths of servers are counted as losses
    noticed = min(failures.server, world.figures.deadline_s)
    return coordinator + case.servers * case.replicas * noticed
