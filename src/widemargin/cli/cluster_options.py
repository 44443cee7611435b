"""`widemargin train`: options that say on which processes a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

GROUP = "Cluster (any of these: steps are taken on Ray)"


def _option(help: str, metavar: str, default: str | None = None, **how: Any) -> Any:
    shown: Any = False if default is None else default
    return typer.Option(
        help=help, metavar=metavar, rich_help_panel=GROUP, show_default=shown, **how
    )


Workers = Annotated[
    Optional[int],  # noqa: UP045
    _option("Processes that compute gradients.", "N", "2", min=1),
]
Servers = Annotated[
    Optional[int],  # noqa: UP045
    _option("Ranges of the weights, each with servers of its own.", "N", "1", min=1),
]
Policy = Annotated[
    Optional[str],  # noqa: UP045
    _option("When gradients count: sync, async or round_robin.", "NAME", "sync"),
]
Backup = Annotated[
    Optional[str],  # noqa: UP045
    _option("Workers that a step of sync does not wait for, or auto.", "N", "0"),
]
Staleness = Annotated[
    Optional[int],  # noqa: UP045
    _option("Commits by which a gradient of async may be late.", "S", "any number", min=0),
]
Replicas = Annotated[
    Optional[int],  # noqa: UP045
    _option("Processes that keep each range of the weights.", "R", "1", min=1),
]
Compression = Annotated[
    Optional[str],  # noqa: UP045
    _option("How gradients are sent: none, bf16, int8 or topk.", "NAME", "none"),
]
Address = Annotated[
    Optional[str],  # noqa: UP045
    _option("Of a Ray that is there, as host:port or auto.", "RAY", "one of its own, here"),
]
SnapshotTo = Annotated[
    Optional[Path],  # noqa: UP045
    _option("Folder that all machines see; the same command goes on from it.", "DIR"),
]
Dashboard = Annotated[
    Optional[int],  # noqa: UP045
    _option("Serve the live page of the run to this machine.", "PORT", "no page"),
]
NAMES = (
    "workers",
    "servers",
    "policy",
    "backup",
    "staleness",
    "replicas",
    "compression",
    "address",
)


def grouped(said: dict[str, Any]) -> dict[str, Any] | None:
    """Takes these options out of all that were said: those that say something, or None."""
    own = {name: said.pop(name) for name in (*NAMES, "snapshot_to", "dashboard")}
    return {name: value for name, value in own.items() if value is not None} or None
