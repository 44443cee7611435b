"""One simulated run under faults, all of it drawn from a seed, and what the oracle says of it."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Literal, NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.compression import codec_of
from widemargin.ps.faults import ROLES, Fault, draw, healed, inject
from widemargin.ps.local import cadence_of
from widemargin.ps.optimizers import Adagrad, Adam, AdamW, Momentum, Nesterov, Sgd
from widemargin.ps.oracle import Record, record, returns, samples_counted, violations
from widemargin.ps.oracle_feedback import encoded_as_promised
from widemargin.ps.partition import partner
from widemargin.ps.policy import Async, Policy, RoundRobin, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_job import Problem, rule_of
from widemargin.ps.simulate_local import rounds
from widemargin.ps.simulate_net import Net
from widemargin.ps.simulate_pace import Pace

FAMILIES = ("sync", "async", "round_robin")
ONE_ROLE = 0.3  # of the runs have all faults at one role
RULES = (
    rule_of(Sgd(), 0.05),
    rule_of(Momentum(0.5), 0.03),
    rule_of(Nesterov(0.5), 0.03),
    rule_of(Adagrad(), 0.1),
    rule_of(Adam(), 0.03),
    rule_of(AdamW(), 0.03),
)


class Plan(NamedTuple):
    """What all runs share; None: drawn anew for each."""

    workers: int = 8
    servers: int = 3
    policy: str = "all"
    replicas: int | None = None
    backup: int | Literal["auto"] | None = None
    staleness: int | None = None
    faults: int | None = None  # how many, besides what the network does
    compression: str = "none"
    partitions: int = 1  # processes of a worker
    local: int | None = None  # batches of a round; None: each is pushed by itself
    fragments: int | None = None  # with `local`
    overlap: bool = False  # with `local`, under sync

    @property
    def drawn(self) -> str:
        """What schedules are drawn from, with the seed: they are the same with any compression, and
        with what is left at its default as if there were no such option."""
        told = {name: value for name, value in self._asdict().items() if name != "compression"}
        usual = {"local": None, "fragments": None, "overlap": False, "partitions": 1}
        told = {k: v for k, v in told.items() if k not in usual or v != usual[k]}
        return f"Plan({', '.join(f'{name}={value!r}' for name, value in told.items())})"


class Scenario(NamedTuple):
    """A run that is to be simulated."""

    setup: Setup
    faults: tuple[Fault, ...] = ()
    calm: float = 0.0  # from when on the network fails no message


class Outcome(NamedTuple):
    """What came of a run."""

    seed: int
    policy: str
    fired: Counter[tuple[str, str]]
    samples: int
    commits: int
    pushed: int  # bytes of gradients
    rollbacks: int
    virtual: float  # seconds
    recovery: float  # from when all faults had ended, as a share of the bound
    violations: list[str]


def scenario(plan: Plan, seed: int) -> Scenario:
    """The run of a seed."""
    rng = random.Random(f"{plan.drawn} {seed}")
    policy = draw_policy(plan, rng, seed)
    replicas = plan.replicas or rng.choice([1, 2])
    n_groups = max(plan.servers, plan.partitions)
    groups = tuple(tuple(f"shard-{g}.{r}" for r in range(replicas)) for g in range(n_groups))
    workers = tuple(f"worker-{i}" for i in range(plan.workers))
    rule, sparse = rng.choice(RULES), rng.random() < 0.3
    problem = Problem(rule, n_blocks=rng.choice([9, 16, 24]), n_keys=12, sparse=sparse, n=150)
    job = problem if plan.local is None else rounds(plan, rng, problem, policy)
    settings = Settings(
        n_blocks=job.n_blocks,
        epochs=2,
        policy=policy,
        groups=groups,
        seed=seed,
        sparse=job.sparse,
        snapshot_every=rng.choice([0, 3, 5, 8]),
        deadline_s=0.5,
        quiet_s=rng.choice([0.2, 0.3, math.inf]),
        retry_s=0.1,
        tick_s=0.08,
        give_up_s=60.0,
        owner=(owner := owners(plan.partitions, n_groups)),
        reads=draw_reads(rng, owner),
        cadence=cadence_of(job),
        compression=codec_of(plan.compression),
        workers=plan.workers,
    )
    fair = rng.uniform(0.4, 1.6)  # about how long a run without faults takes
    horizon = fair * rng.choice([1.0, 2.0, 4.0])  # until when there are faults
    pace, slower = draw_pace(rng, fair * plan.workers / (2 * problem.n_blocks), workers)
    count = rng.randint(5, 20) if plan.faults is None else plan.faults
    names = [name for group in groups for name in group] + [m.COORDINATOR, *workers]
    names += [partner(name, k) for name in workers for k in range(1, plan.partitions)]
    roles = (*ROLES, *(["partition"] if plan.partitions > 1 else []))
    at = rng.choice(roles) if rng.random() < ONE_ROLE else None
    faults = draw(rng, names, at=at, count=count, horizon=horizon, deadline_s=settings.deadline_s)
    net = draw_net(rng) if count else Net()
    setup = Setup(settings, job, workers, net, pace, slower, rng.random() < 0.5, seed)
    return Scenario(setup, tuple(faults), horizon if count else 0.0)


def owners(partitions: int, groups: int) -> tuple[int, ...]:
    """The partition that each group belongs to, as equally as can be; none where there is one."""
    return tuple(g * partitions // groups for g in range(groups)) if partitions > 1 else ()


def draw_reads(rng: random.Random, owner: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """What each partition pulls: its own groups, and sometimes one that all share."""
    shared = rng.randrange(len(owner)) if owner and rng.random() < 0.4 else None
    return tuple(
        tuple(g for g, k in enumerate(owner) if k == mine or g == shared)
        for mine in sorted(set(owner))
    )


def draw_policy(plan: Plan, rng: random.Random, seed: int) -> Policy:
    match FAMILIES[seed % 3] if plan.policy == "all" else plan.policy:
        case "sync":
            return Sync(rng.choice([0, 1, 2, "auto"]) if plan.backup is None else plan.backup)
        case "async":
            drawn = rng.choice([None, 0, 1, 3, 6, 9])
            return Async(drawn if plan.staleness is None else plan.staleness)
    return RoundRobin()


def draw_pace(
    rng: random.Random, mean: float, workers: tuple[str, ...]
) -> tuple[Pace, dict[str, float]]:
    """Constant, lognormal or heavy-tailed; some workers are slower."""
    paces = [Pace(), Pace(spread=0.3), Pace(spread=0.1, tail=0.1)]
    pace = rng.choice(paces)._replace(mean=mean, longest=10.0 * mean)
    return pace, {name: rng.choice([1.0, 1.0, 1.0, 3.0]) for name in workers}


def draw_net(rng: random.Random) -> Net:
    return Net(
        latency=0.002,
        drop=rng.choice([0.0, 0.01, 0.04]),
        double=rng.choice([0.0, 0.01, 0.04]),
        overtake=rng.choice([0.0, 0.02, 0.08]),
        late=rng.choice([0.02, 0.1, 0.6]),
        bandwidth=rng.choice([float("inf"), float("inf"), 1e5]),
    )


def run(scenario: Scenario) -> tuple[Simulation, Record]:
    """Simulate until the run ends, or until it should have ended."""
    sim = Simulation(scenario.setup)
    inject(sim, scenario.faults)
    sim.at(scenario.calm, lambda: setattr(sim, "net", sim.net.calm()))
    quiet = max(healed(scenario.faults), scenario.calm + scenario.setup.net.late)
    until = quiet + bound(scenario)
    sim.run(until)
    return sim, record(sim, quiet, until)


def bound(scenario: Scenario) -> float:
    """Within how many seconds after the last fault a run must have ended.

    Ten deadlines for deaths to be seen and terms to begin; then all epochs anew, as if one worker
    did every block, each at the longest time of a gradient and two retries.
    """
    settings, pace = scenario.setup.settings, scenario.setup.pace
    stays = [
        name
        for name in scenario.setup.workers
        if (name, "leave") not in {(fault.name, fault.kind) for fault in scenario.faults}
    ]
    slowest = min(scenario.setup.slower.get(name, 1.0) for name in stays)
    longest = min(pace.longest, pace.mean * slowest * 10.0)
    blocks = settings.n_blocks * settings.epochs
    return 10.0 * settings.deadline_s + blocks * (longest + 2.0 * settings.retry_s)


def trial(plan: Plan, seed: int) -> Outcome:
    """Simulate the run of a seed and judge it."""
    drawn = scenario(plan, seed)
    try:
        sim, seen = run(drawn)
    except Exception as error:  # a role that raises has broken a promise, too
        told = f"{type(error).__name__}: {error}"
        policy = type(drawn.setup.settings.policy).__name__
        return Outcome(seed, policy, Counter(), 0, 0, 0, 0, 0.0, 0.0, [told])
    commits = [event for event in sim.events if event.kind == "commit"]
    return Outcome(
        seed,
        repr(drawn.setup.settings.policy),
        sim.fired,
        samples_counted(seen),
        len(commits),
        sim.wires.pushed,
        len(returns(sim.events)),
        sim.now,
        max(0.0, (sim.now - seen.quiet) / (seen.until - seen.quiet)),
        violations(seen) + encoded_as_promised(sim),
    )
