"""Which engine a trainer's run has, and where its snapshots go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from widemargin.nets.engines import Engine, Serial
from widemargin.nets.virtual import Virtual
from widemargin.run.cluster.folder import Folder

Resume = Literal["auto", "must", "never"]


def engine_of(
    cluster: Engine | None, checkpoint: str | os.PathLike[str] | None, resume: Resume
) -> Engine:
    """The engine of a fit, its storage in the folder `checkpoint`."""
    refuse_resume(checkpoint, resume)
    if checkpoint is None:
        return Serial() if cluster is None else cluster
    if isinstance(cluster, Virtual):
        raise ValueError(
            "checkpoint has no meaning in virtual time: a run there begins anew from its seed. "
            "Leave it out."
        )
    if cluster is None or isinstance(cluster, Serial):
        every = 0 if cluster is None else cluster.snapshot_every
        return Serial(Folder(checkpoint), every)
    return cluster


def refuse_resume(checkpoint: str | os.PathLike[str] | None, resume: Resume) -> None:
    """ValueError where what `resume` asks for cannot be."""
    if resume not in ("auto", "must", "never"):
        raise ValueError(f"resume={resume!r} is unknown. Choose from: 'auto', 'must', 'never'.")
    held = checkpoint is not None and (Path(checkpoint) / "latest").exists()
    if resume == "must" and not held:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} holds no run to go on with. Give resume='auto'."
        )
    if resume == "never" and held:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} holds a run, and resume='never'. Give another folder, "
            "or resume='auto'."
        )
