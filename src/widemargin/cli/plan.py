"""`widemargin plan`: what is given or measured, all that is tried, and the best of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from widemargin.cli.output import Progress, put_json
from widemargin.cli.plan_table import report, show
from widemargin.cli.units import amount, bandwidth, counts, span
from widemargin.errors import choose as entry
from widemargin.ps import plan_grid as grid
from widemargin.ps import plan_pace as paces
from widemargin.ps.plan import World
from widemargin.ps.plan_case import Figures
from widemargin.ps.plan_failures import Failures
from widemargin.ps.simulate_many import spread
from widemargin.threads import cores
from widemargin.watching.figures import Measured, measured

BLOCKS, LATENCY, RECOVERY = 10_000, 0.0005, 3.0  # of an epoch; seconds; seconds
COPIED = 2.0 / 1e9  # seconds a byte: parameters and as much of the optimizer, at 1 GB/s
GOALS = {"time": "time", "cost": "cost"}


class Given(NamedTuple):
    """Figures, as they were typed; None: not."""

    model_bytes: str | None
    step_seconds: str | None
    gradients: str | None
    run: str | None
    bandwidth: str
    latency: str | None
    mtbf: str | None
    recovery: str | None
    snapshot_seconds: str | None
    blocks: int | None
    price: float | None
    seed: int


class Asked(NamedTuple):
    """How it is done and shown."""

    plot: Path | None
    n_jobs: int | None
    json: bool


def choices(
    workers: str,
    servers: str | None,
    backups: str | None,
    replicas: str | None,
    max_late: int,
    goal: str,
) -> grid.Choices:
    several = counts("--workers", workers)
    return grid.Choices(
        several,
        servers=None if servers is None else counts("--servers", servers),
        backups=None if backups is None else backups_of(backups, max(several)),
        replicas=None if replicas is None else counts("--replicas", replicas),
        most_late=max_late,
        goal=entry("--goal", goal, GOALS),
    )


def backups_of(text: str, workers: int) -> tuple[int, ...]:
    numbers = counts("--backups", text, least=0)
    if min(numbers) >= workers:
        raise ValueError(
            f"--backups must begin below --workers, of which there are up to {workers}, got "
            f"{text!r}. A step needs one gradient at least."
        )
    return numbers


def world(given: Given) -> World:
    """All figures, measured where they are not given."""
    known = None if given.run is None else read(given.run)
    size = model_bytes(given, known)
    figures = Figures(
        size,
        pace(given, known),
        bandwidth("--bandwidth", given.bandwidth),
        span("--latency", given.latency) if given.latency else lately(known),
    )
    if given.price is not None and not 0.0 <= given.price < math.inf:
        raise ValueError(f"--price must be a number of at least 0, got {given.price!r}.")
    blocks = given.blocks or (known.n_blocks if known else None) or BLOCKS
    return World(figures, blocks, failures(given, known, size), given.price, given.seed)


def read(run: str) -> Measured:
    """What a run tells of itself."""
    from widemargin.cli.status import source_of
    from widemargin.watching.sources import all_events

    with source_of(run, None) as (source, facts):
        return measured(run, all_events(source), facts)


def model_bytes(given: Given, known: Measured | None) -> float:
    if given.model_bytes is not None:
        return amount("--model-bytes", given.model_bytes)
    if known is None:
        raise ValueError("--model-bytes is needed, as in 400M; or --from RUN, which measured it.")
    return float(known.model_bytes)


def pace(given: Given, known: Measured | None) -> paces.Gradients:
    """How long gradients take: of a law, if it or their seconds are given; else as measured."""
    laws = {**dict.fromkeys(paces.LAWS, ""), "measured": ""}
    if given.gradients is not None:
        entry("--gradients", given.gradients, laws)
    if known is not None and given.gradients in (None, "measured") and given.step_seconds is None:
        return paces.Measured(known.seconds)
    if given.gradients == "measured":
        raise ValueError(
            "--gradients measured needs --from RUN and no --step-seconds: the times are the run's."
        )
    law = given.gradients or "lognormal"
    if given.step_seconds is not None:
        return paces.law(law, span("--step-seconds", given.step_seconds))
    if known is None:
        raise ValueError("--step-seconds is needed, as in 0.3; or --from RUN, which measured it.")
    every = sorted(took for each in known.seconds for took in each)
    return paces.law(law, every[len(every) // 2])


def lately(known: Measured | None) -> float:
    return LATENCY if known is None or known.latency is None else known.latency


def failures(given: Given, known: Measured | None, size: float) -> Failures:
    measured = {} if known is None else known.recovery
    said = None if given.recovery is None else span("--recovery", given.recovery)
    worker, server, coordinator = (
        said or measured.get(role) or RECOVERY for role in ("worker", "shard", "coordinator")
    )
    copied = given.snapshot_seconds
    return Failures(
        math.inf if given.mtbf is None else span("--mtbf", given.mtbf),
        worker,
        server,
        coordinator,
        COPIED * size if copied is None else span("--snapshot-seconds", copied),
    )


def plan(given: Given, choices: grid.Choices, asked: Asked) -> None:
    of = world(given)
    todo = sorted(grid.tasks(of, choices), key=lambda task: -task.workers)  # the longest first
    done: dict[tuple[int, str], Any] = {}
    with Progress("cases", len(todo)) as bar:
        for task, each in zip(todo, spread(grid.tried, todo, asked.n_jobs or cores()), strict=True):
            done[task.workers, task.kind] = each
            bar.advance(1)
    tried = {kind: [done[w, kind] for w in choices.workers] for kind in choices.kinds}
    choice = grid.choose([each for row in tried.values() for each in row], choices)
    if asked.plot is not None:
        from widemargin.cli.plan_plot import draw

        draw(tried, choice, of, asked.plot)
    if asked.json:
        put_json(report(of, tried, choice))
    else:
        show(of, tried, choice)
        if asked.plot is not None:
            print(f"\nfigure         {asked.plot}")
