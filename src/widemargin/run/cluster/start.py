"""The folder of a run before its actors begin: a first snapshot, or one to go on from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from widemargin.errors import ClusterError
from widemargin.ps.job import Job, Range
from widemargin.ps.ledger import Ledger
from widemargin.ps.parameters import beginning, refuse_theta
from widemargin.ps.settings import Settings
from widemargin.run.cluster.folder import Folder


def prepare(folder: str, name: str, job: Job, settings: Settings, parts: tuple[Range, ...]) -> str:
    """Make the folder ready; returns the name under which its run goes on."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    store, told = Folder(path, len(parts)), fingerprint(job, settings)
    if store.load("latest") is not None:
        before: dict[str, Any] = store.read("run.json") or {}
        refuse_other_job(folder, before.pop("name", ""), before, told)
    else:
        ledger = Ledger(settings.n_blocks, settings.epochs, settings.seed, settings.shuffle)
        first = (begun(job, part) for part in parts)  # one range after the other is in memory
        store.begin(first, ledger.record())
    store.write("run.json", {"name": name, **told})
    return name


def begun(job: Job, part: Range) -> dict[str, Any]:
    """The arrays of a range before the first commit; ValueError for values that no server takes."""
    theta = job.first(part)
    refuse_theta(theta)
    return beginning(job.rule, theta)


def name_of(folder: str) -> str | None:
    """The name of the run that a folder holds."""
    record = Folder(folder, 0).read("run.json")
    return None if record is None else str(record["name"])


def fingerprint(job: Job, settings: Settings) -> dict[str, Any]:
    """What must be the same for a run to go on; a job may add its own `fingerprint`."""
    kind = type(job)
    return {
        "job": f"{kind.__module__}.{kind.__qualname__}",
        "rule": repr(job.rule),
        "n_blocks": job.n_blocks,
        "n_keys": job.n_keys,
        "sparse": job.sparse,
        "seed": settings.seed,
        "shuffle": settings.shuffle,
        "servers": len(settings.groups),
        "fingerprint": getattr(job, "fingerprint", None),
    }


def refuse_other_job(folder: str, name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    differ = [key for key in now if before.get(key) != now[key]]
    if differ:
        told = "; ".join(f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in differ)
        raise ClusterError(
            f"snapshot_to={os.fspath(folder)!r} holds the run {name!r} of another job: {told}. "
            "Give it back what it was begun with, or another folder."
        )
