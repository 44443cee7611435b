"""Which engine a trainer's run has, and where its snapshots go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from widemargin.nets.engines import Engine, Serial, SerialRun
from widemargin.nets.virtual import Virtual
from widemargin.ps import messages as m
from widemargin.ps.compression import Codec
from widemargin.ps.kept import Kept
from widemargin.ps.policy import Sync
from widemargin.ps.settings import Settings
from widemargin.ps.snapshot import latest
from widemargin.run.cluster import running
from widemargin.run.cluster.engine import Cluster
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.start import fingerprint, refuse_other_job

Resume = Literal["auto", "must", "never"]
PathLike = str | os.PathLike[str]
POLL_S = 0.05


def engine_of(
    cluster: Engine | Cluster | None, checkpoint: PathLike | None, device: str, resume: Resume
) -> Engine:
    """The engine of a fit, its storage in the folder `checkpoint`."""
    refuse_resume(checkpoint, resume)
    if isinstance(cluster, Cluster):
        if checkpoint is not None:
            cluster = replace(cluster, snapshot_to=checkpoint)
        on_gpu = device.startswith("cuda") and cluster.device is None
        return OnCluster(replace(cluster, device="cuda") if on_gpu else cluster)
    if checkpoint is None:
        return Serial() if cluster is None else cluster
    if isinstance(cluster, Virtual):
        raise ValueError(
            "checkpoint has no meaning in virtual time: a run there begins anew from its seed. "
            "Leave it out."
        )
    serial = cluster if isinstance(cluster, Serial) else Serial()
    return InFolder(Path(checkpoint), serial.snapshot_every, serial.compression)


def refuse_resume(checkpoint: PathLike | None, resume: Resume) -> None:
    """ValueError where what `resume` asks for cannot be."""
    if resume not in ("auto", "must", "never"):
        raise ValueError(f"resume={resume!r} is unknown. Choose from: 'auto', 'must', 'never'.")
    held = checkpoint is not None and latest(Path(checkpoint) / "snapshots") is not None
    if resume == "must" and not held:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} holds no run to go on with. Give resume='auto'."
        )
    if resume == "never" and held:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} holds a run, and resume='never'. Give another folder, "
            "or resume='auto'."
        )


@dataclass(frozen=True)
class InFolder:
    """This process, its snapshots in a folder from which a cluster of one server can go on too."""

    path: Path
    snapshot_every: int
    compression: Codec | str | None = None

    def start(self, job: Any, epochs: int, seed: int) -> SerialRun:
        known = Folder(self.path, 0).read("run.json") or {"servers": 1}
        groups = int(known["servers"])
        folder = Folder(self.path, groups)
        members = tuple((f"shard-{g}.0",) for g in range(groups))
        settings = Settings(job.n_blocks, epochs, Sync(), members, seed, job.shuffle)
        told = fingerprint(job, settings)
        if len(known) == 1:
            folder.write("run.json", {"name": "", **told})
        else:
            refuse_other_job(str(self.path), str(known.pop("name", "")), known, told)
        engine = Serial(folder, self.snapshot_every, groups, self.compression)
        return engine.start(job, epochs, seed)


@dataclass(frozen=True)
class OnCluster:
    """A cluster as an engine of nets."""

    cluster: Cluster

    def start(self, job: Any, epochs: int, seed: int) -> RunOnCluster:
        run = self.cluster.start(job, epochs, seed=seed, shuffle=job.shuffle)
        return RunOnCluster(run)


class RunOnCluster:
    """A cluster's run, its events one by one."""

    def __init__(self, run: running.Run) -> None:
        self.run = run

    def events(self) -> Iterator[m.Event]:
        """All since the run last began: one that goes on tells what was before, too."""
        events = self.run.events()
        began = [i for i, event in enumerate(events) if event.kind == "began"]
        told = began[-1] if began else 0
        while True:
            while told < len(events):
                yield events[told]
                told += 1
                if events[told - 1].kind in ("done", "failed"):
                    return
            time.sleep(POLL_S)
            events = self.run.events()

    def kept(self, key: str | None = None) -> Kept:
        return self.run.kept(key)

    def stop(self) -> None:
        self.run.stop()
