"""Many simulated runs, spread over processes; what comes out depends on the seeds alone."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from widemargin.ps.faults import KINDS
from widemargin.ps.simulate_stragglers import BACKUPS, Steps, steps
from widemargin.ps.simulate_trial import Outcome, Plan, trial

S = TypeVar("S")
T = TypeVar("T")
BATCH = 10  # runs that a process takes at a time
ALONE = 2 * BATCH  # so few are done before another process would have begun


class Summary(NamedTuple):
    """What came of all runs."""

    runs: int
    policies: dict[str, int]
    faults: dict[str, dict[str, int]]  # how often each kind fired, by the role that it hit
    samples: int
    commits: int
    pushed: int  # bytes of gradients that workers sent
    rollbacks: int
    virtual: float  # seconds
    recovery: float  # the longest time to the end after the last fault, as a share of the bound
    failures: list[Outcome]


def trials(plan: Plan, seeds: range, processes: int) -> Iterator[Outcome]:
    """The outcome of each seed, in their order."""
    batches = [seeds[i : i + BATCH] for i in range(0, len(seeds), BATCH)]
    alone = processes == 1 or len(seeds) <= ALONE
    for outcomes in spread(partial(batch, plan), batches, 1 if alone else processes):
        yield from outcomes


def against_backups(seed: int, processes: int) -> Iterator[Steps]:
    """A run of synchronous steps for each number of backups."""
    return spread(partial(steps, seed=seed), BACKUPS, processes)


def spread(work: Callable[[S], T], items: Iterable[S], processes: int) -> Iterator[T]:
    """work(item) of each, in order, in so many processes; 1: in this one."""
    if processes == 1:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def batch(plan: Plan, seeds: range) -> list[Outcome]:
    return [trial(plan, seed) for seed in seeds]


def summary(outcomes: Iterable[Outcome]) -> Summary:
    """Add up. Kinds that are counted whatever happens come first, at 0 if they did not fire."""
    done = list(outcomes)
    fired: Counter[tuple[str, str]] = Counter()
    for outcome in done:
        fired.update(outcome.fired)
    faults: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for kind, role in sorted(fired):
        faults.setdefault(kind, {})[role] = fired[kind, role]
    return Summary(
        runs=len(done),
        policies=dict(sorted(Counter(outcome.policy for outcome in done).items())),
        faults=faults,
        samples=sum(outcome.samples for outcome in done),
        commits=sum(outcome.commits for outcome in done),
        pushed=sum(outcome.pushed for outcome in done),
        rollbacks=sum(outcome.rollbacks for outcome in done),
        virtual=sum(outcome.virtual for outcome in done),
        recovery=max((outcome.recovery for outcome in done), default=0.0),
        failures=[outcome for outcome in done if outcome.violations],
    )
