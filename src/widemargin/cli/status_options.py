"""`widemargin status`: its options. What they start is in `status.py`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from widemargin.cli.early import work_of
from widemargin.cli.options import Json, Work

EXAMPLE = "Example: widemargin status runs/rcv1 --watch"


def status(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            show_default=False,
            help="The name of a run on a Ray, or the folder of one, also when its Ray is gone.",
        ),
    ],
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="ADDRESS", show_default="auto", help="Of the Ray where a run of this name is."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every second, until the run ends.")
    ] = False,
    dashboard: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve a page that follows the run, until interrupted; 0: any free port.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Who may see the page: the address to listen on.")
    ] = "127.0.0.1",
    json: Json = False,
) -> Work:
    """How a run on a cluster stands: progress, workers and shards, deaths and recoveries.

    With --json and --watch, one object a line.
    """
    return lambda: work_of("status").status(
        work_of("status").Asked(run, address, watch, dashboard, host, json)
    )
