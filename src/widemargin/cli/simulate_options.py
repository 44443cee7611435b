"""`widemargin simulate`: its options. What they start is in `simulate.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from widemargin.cli.early import work_of
from widemargin.cli.options import Json, Processes, Work

EXAMPLE = "Example: widemargin simulate --policy all --schedules 2000 --seed 0"
DRAWN = "drawn for each run"


def simulate(
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Workers of a run.")] = 8,
    servers: Annotated[int, typer.Option(min=1, metavar="N", help="Ranges of parameters.")] = 3,
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="sync, async, round_robin, or all in turn.")
    ] = "all",
    replicas: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", show_default=DRAWN, help="Members that keep a range."),
    ] = None,
    backup: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="B|auto", show_default=DRAWN, help="Workers that a sync step goes without."
        ),
    ] = None,
    staleness: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0, metavar="S", show_default=DRAWN, help="Most commits an async gradient is late."
        ),
    ] = None,
    faults: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, metavar="N", show_default="5 to 15", help="Faults of a run; 0: none."),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, metavar="K", help="Processes that are a worker together.")
    ] = 1,
    compression: Annotated[
        str, typer.Option(metavar="NAME", help="Of gradients: none, bf16, int8 or topk.")
    ] = "none",
    local: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="H", help="Workers take H steps of their own to a push."),
    ] = None,
    fragments: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, metavar="P", show_default=DRAWN, help="With --local: parts pushed in turn."
        ),
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="With --local and sync: steps go on while pushed.")
    ] = False,
    schedules: Annotated[int, typer.Option(min=1, metavar="N", help="Runs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the first run; each has the next.")] = 0,
    replay: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, metavar="SEED", help="One run, told event by event."),
    ] = None,
    stragglers: Annotated[
        bool, typer.Option("--stragglers", help="What slow workers and backups cost, instead.")
    ] = False,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="With --stragglers: draw it (needs matplotlib)."),
    ] = None,
    n_jobs: Processes = None,
    json: Json = False,
) -> Work:
    """Training on a cluster that fails, in virtual time: are all promises kept?

    Every run trains a small model while processes die, stop and lose each other, and checks that
    each sample counted once an epoch, that the weights are right to the last bit, and that the run
    recovered in time. Exit code 1, and the seed to replay, if not.
    """

    def begin() -> int:
        work = work_of("simulate")
        asked = work.Asked(schedules, seed, replay, plot, n_jobs, json)
        if stragglers:
            return int(work.stragglers(asked))
        options = (workers, servers, policy, replicas, backup, staleness, faults, compression)
        plan = work.together(work.plan(*options), partitions)
        plan = work.with_rounds(plan, local, fragments, overlap)
        return int(work.simulate(plan, asked))

    return begin
