"""Which policy, how many workers, servers, backups and replicas: all that is worth a try, compared.

For each number of workers and each kind of policy, servers are doubled until that wins little;
then backups, then a second replica are tried. Of all these the best is the one with the fewest
machine-hours among those that are nearly as fast as the fastest, or by `goal` the cheapest, and of
which 99 of 100 gradients are at most `most_late` commits late. Chen et al., Revisiting distributed
synchronous SGD, 2016, section 2.1, show how the test error grows with the mean of that number.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from widemargin.ps.plan import Prediction, World, name_of, predict
from widemargin.ps.plan_case import Case
from widemargin.ps.plan_pace import draw, mean
from widemargin.ps.policy import Async, Policy, RoundRobin, Sync, best_backup

KINDS = ("sync", "backup", "async", "bounded", "round_robin")
GAIN = 0.03  # twice the servers must win so much
OVER = 4.0  # times as much as a NIC carries
NEARLY = 1.05  # times the fastest
STEPS = 20  # of which the mean arrivals say how many backups are worth a try


class Choices(NamedTuple):
    """What may be tried. `servers`, `backups`, `replicas`: None: as many as turn out good."""

    workers: tuple[int, ...]
    kinds: tuple[str, ...] = KINDS
    servers: tuple[int, ...] | None = None
    backups: tuple[int, ...] | None = None
    replicas: tuple[int, ...] | None = None
    most_late: int = 16
    goal: str = "time"


class Task(NamedTuple):
    """One number of workers under one kind of policy."""

    world: World
    choices: Choices
    workers: int
    kind: str


def tasks(world: World, choices: Choices) -> list[Task]:
    return [Task(world, choices, w, kind) for w in choices.workers for kind in choices.kinds]


def tried(task: Task) -> Prediction:
    """The best servers, backups and replicas of a task, by the time of an epoch or its cost."""
    world, choices = task.world, task.choices
    best = by_servers(task, policies(task)[0])
    for policy in policies(task)[1:]:
        best = better(choices, best, predict(world, best.case._replace(policy=policy)))
    for replicas in choices.replicas or ((1, 2) if world.failures.mtbf < float("inf") else (1,)):
        if replicas != best.case.replicas:
            best = better(choices, best, predict(world, best.case._replace(replicas=replicas)))
    return best


def policies(task: Task) -> list[Policy]:
    """Those of a kind."""
    match task.kind:
        case "sync":
            return [Sync(0)]
        case "backup":
            return [Sync(b) for b in backups(task)]
        case "async":
            return [Async()]
        case "bounded":
            return [Async(task.choices.most_late)]
    return [RoundRobin()]


def backups(task: Task) -> list[int]:
    """Numbers around the one that is best for steps of which all gradients begin together."""
    if task.choices.backups is not None:
        return [b for b in task.choices.backups if b < task.workers] or [0]
    pace, rng, W = task.world.figures.pace, random.Random(task.world.seed), task.workers
    slower = task.world.figures.slower
    steps = [sorted(draw(pace, i, slower.get(i, 1.0), rng) for i in range(W)) for _ in range(STEPS)]
    likely = best_backup([sum(times) / STEPS for times in zip(*steps, strict=True)])
    around = {1, likely // 2, likely, 2 * likely}
    return sorted(b for b in around if 0 < b < W) or [0]


def by_servers(task: Task, policy: Policy) -> Prediction:
    """Double the servers while that wins something."""
    choices = task.choices
    first = (choices.replicas or (1,))[0]
    given = choices.servers
    counts = given or doubled(task)
    best: Prediction | None = None
    for servers in counts:
        new = predict(task.world, Case(policy, task.workers, servers, first))
        if best is not None and given is None and new.epoch > best.epoch * (1.0 - GAIN):
            break
        best = new if best is None else better(choices, best, new)
    assert best is not None
    return best


def doubled(task: Task) -> list[int]:
    """1, 2, 4, … up to the workers; not those whose NICs are full several times over."""
    figures = task.world.figures
    full = task.workers * figures.model_bytes / figures.bandwidth / mean(figures.pace)
    counts = [2**i for i in range(task.workers.bit_length())]
    return [n for n in counts if n >= full / OVER] or counts[-1:]


def better(choices: Choices, one: Prediction, other: Prediction) -> Prediction:
    if choices.goal == "cost":
        return other if other.hours < one.hours else one
    if min(one.epoch, other.epoch) * NEARLY < max(one.epoch, other.epoch):
        return other if other.epoch < one.epoch else one
    return other if other.hours < one.hours else one


class Choice(NamedTuple):
    """The best of all, and why; None: none keeps `most_late`."""

    best: Prediction | None
    reason: str


def choose(predictions: Iterable[Prediction], choices: Choices) -> Choice:
    """Name the best in one sentence."""
    known = list(predictions)
    kept = [each for each in known if each.late99 <= choices.most_late]
    if not kept:
        least = min(known, key=lambda each: each.late99)
        return Choice(
            None,
            f"No case keeps 99 of 100 gradients within {choices.most_late} commits; "
            f"{name_of(least.case.policy)} with {least.case.workers} workers comes nearest, at "
            f"{least.late99:.0f}.",
        )
    cheapest = min(kept, key=lambda each: each.hours)
    if choices.goal == "cost":
        return Choice(
            cheapest, sentence(cheapest, known, choices, "needs the fewest machine-hours")
        )
    fastest = min(each.epoch for each in kept)
    best = min((e for e in kept if e.epoch <= NEARLY * fastest), key=lambda each: each.hours)
    why = "is the fastest"
    if best.epoch > fastest:
        why = f"is within {100 * (NEARLY - 1):.0f} % of the fastest with the fewest machine-hours"
    return Choice(best, sentence(best, known, choices, why))


def sentence(best: Prediction, known: Sequence[Prediction], choices: Choices, why: str) -> str:
    case, of = best.case, len(known)
    told = f"{name_of(case.policy)} with {case.workers:,} workers and {counted(case)} {why}"
    bound = f"whose gradients are at most {choices.most_late} commits late (99 of 100)"
    late = sum(each.late99 > choices.most_late for each in known)
    if not late:
        return f"{told} of the {of} cases, all of them such {bound}."
    return f"{told} of the {of - late} cases {bound}; {late} of {of} are not."


def counted(case: Case) -> str:
    servers = f"{case.servers:,} server{'s' * (case.servers != 1)}"
    return servers if case.replicas == 1 else f"{servers} of {case.replicas} replicas"
