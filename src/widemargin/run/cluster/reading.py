"""The parameters in the folder of a run, read from where its files are.

A file that was opened can be read on this machine's disks although a later snapshot has taken its
place. On folders shared with other machines that remove it, reading ends with a SnapshotError.
Through Ray's client the folder is the cluster's, and so is who reads it: rows come from there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin.data.rows import Array
from widemargin.errors import SnapshotError
from widemargin.ps.kept import Kept, Rows
from widemargin.ps.keys import part_key
from widemargin.ps.snapshot import open_shard
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.plan import Plan


class There(NamedTuple):
    """A file of a shard on the cluster's side of Ray's client."""

    path: str

    def rows(self, tensor: str, start: int = 0, stop: int | None = None) -> Array:
        from widemargin.run.cluster.engine import on_cluster

        array: Array = on_cluster(_rows, self.path, tensor, start, stop)
        return array


def kept(plan: Plan, key: str | None) -> Kept:
    """The parameters of a snapshot, None: the newest; LookupError where it is not there."""
    from widemargin.run.cluster.engine import is_client, on_cluster

    paths: list[str] = on_cluster(paths_of, plan, key)
    parts: list[Rows] = []
    try:
        for path in paths:
            parts.append(There(path) if is_client() else open_shard(path))
            parts[-1].rows("t")  # there, too, it is known now whether there is such a file
    except SnapshotError as error:
        raise LookupError(str(error)) from None
    return Kept(plan.rule, tuple(parts), tuple(plan.parts))


def paths_of(plan: Plan, key: str | None) -> list[str]:
    """The files of a snapshot, one a group."""
    folder = Folder(plan.folder, len(plan.parts))
    if key is None:
        newest = folder.load("latest")
        if newest is None:
            raise LookupError("there is no snapshot yet")
        key = newest["key"]
    return [str(folder.file(part_key(key, g))) for g in range(len(plan.parts))]


def _rows(path: str, tensor: str, start: int, stop: int | None) -> Any:
    from widemargin.ps.snapshot import opened

    with opened(path) as file:
        return file.rows(tensor, start, stop)
