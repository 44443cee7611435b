"""`widemargin plan`: its options. What they start is in `plan.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from widemargin.cli.early import work_of
from widemargin.cli.options import Json, Processes, Work

EXAMPLE = (
    "Example: widemargin plan --model-bytes 400M --step-seconds 0.3 --workers 8:1024 "
    "--bandwidth 10G --mtbf 6h"
)


def text(help: str, metavar: str, default: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar=metavar, show_default=default, help=help)
    return option


def plan(
    model_bytes: Annotated[
        Optional[str],  # noqa: UP045
        text("Of the parameters; a gradient is as large.", "SIZE", "of --from"),
    ] = None,
    step_seconds: Annotated[
        Optional[str],  # noqa: UP045
        text("Of one gradient, stragglers apart.", "TIME", "of --from"),
    ] = None,
    gradients: Annotated[
        Optional[str],  # noqa: UP045
        text(
            "How its time varies: constant, lognormal (0.2), published (of Chen et al., 2016), "
            "heavy (5 % stragglers), measured (those of --from).",
            "LAW",
            "lognormal, or measured",
        ),
    ] = None,
    run: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--from",
            metavar="RUN",
            show_default="none",
            help="A run's folder, or its name on a Ray: gradients, bytes and waits as measured.",
        ),
    ] = None,
    workers: Annotated[
        str, typer.Option(metavar="N|A,B|A:B", help="Numbers to try; A:B doubles.")
    ] = "8:64",
    servers: Annotated[
        Optional[str],  # noqa: UP045
        text("Numbers to try.", "N|A,B|A:B", "doubled while that wins 3 %"),
    ] = None,
    backups: Annotated[
        Optional[str],  # noqa: UP045
        text("Backups of sync to try.", "N|A,B|A:B", "around the best for one step"),
    ] = None,
    replicas: Annotated[
        Optional[str],  # noqa: UP045
        text("Of a server, to try.", "N|A,B", "1; with --mtbf also 2"),
    ] = None,
    bandwidth: Annotated[
        str, typer.Option(metavar="RATE", help="Of a machine: 10G is 10 Gbit/s, 10GB bytes.")
    ] = "inf",
    latency: Annotated[
        Optional[str],  # noqa: UP045
        text("Of a message.", "TIME", "of --from, or 0.5ms"),
    ] = None,
    mtbf: Annotated[
        Optional[str],  # noqa: UP045
        text("Between two failures of one process.", "TIME", "none fails"),
    ] = None,
    recovery: Annotated[
        Optional[str],  # noqa: UP045
        text("From a failure until work goes on.", "TIME", "of --from, or 3s"),
    ] = None,
    snapshot_seconds: Annotated[
        Optional[str],  # noqa: UP045
        text(
            "Work stands still while one server would copy the whole model.",
            "TIME",
            "twice the model at 1 GB/s",
        ),
    ] = None,
    blocks: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, metavar="N", show_default="of --from, or 10000", help="Gradients of an epoch."
        ),
    ] = None,
    price: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="P", show_default="none", help="Of a machine, an hour."),
    ] = None,
    max_late: Annotated[
        int,
        typer.Option(min=0, metavar="S", help="Commits that 99 of 100 gradients may be late."),
    ] = 16,
    goal: Annotated[str, typer.Option(metavar="GOAL", help="time or cost.")] = "time",
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="Draw it (needs matplotlib)."),
    ] = None,
    n_jobs: Processes = None,
    json: Json = False,
) -> Work:
    """How many workers and servers, under which policy: time, cost and staleness, before you rent.

    A model of the parameter server's time, which decides with the same policies. Every process has
    a machine of its own: machine-hours count workers and servers.
    """

    def begin() -> None:
        work = work_of("plan")
        given = work.Given(
            model_bytes, step_seconds, gradients, run, bandwidth, latency, mtbf, recovery,
            snapshot_seconds, blocks, price, seed,
        )  # fmt: skip
        choices = work.choices(workers, servers, backups, replicas, max_late, goal)
        work.plan(given, choices, work.Asked(plot, n_jobs, json))

    return begin
