"""The storage of a run is a folder: the term, and snapshots of which the newest is `latest`.

    run.json                       what the run is of; another job is refused
    term                           the newest term
    latest                         the manifest of the newest whole snapshot
    snapshots/3-120/shard-0.safetensors
    snapshots/3-120/manifest       term 3, version 120

Every file appears whole or not at all. No file is locked, so that a process that is stopped holds
up nobody: who writes for an older term than `term` names is refused.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.keys import manifest_key, part_key, snapshot_key, stamp_of

OLD_DRAFT_S = 600.0  # a draft untouched for so long is of a process that died


class Folder:
    """Answers `Save`, `Load` and `Outdate`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on(self, message: Any) -> list[m.Send]:
        match message:
            case m.Save(term, key, value, tell):
                if term < self.term():
                    return []
                self.write(key, value)
                return [m.Send(tell, m.Saved(key))]
            case m.Load(key, tell):
                return [m.Send(tell, m.Loaded(key, self.read(key)))]
            case m.Outdate(oldest):
                self.prune(oldest)
        return []

    def term(self) -> int:
        return int(self.read("term") or 0)

    # one record

    def file(self, key: str) -> Path:
        if "/" not in key:
            return self.path / key
        name = key if key.endswith("/manifest") else f"{key}.safetensors"
        return self.path / "snapshots" / name

    def read(self, key: str) -> Any:
        """What is under a key, or None."""
        from safetensors.numpy import load

        file = self.file(key)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        return load(data) if file.suffix else json.loads(data)

    def write(self, key: str, value: Any) -> None:
        from safetensors.numpy import save

        file = self.file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, save(value) if file.suffix else json.dumps(value).encode())
        if key.endswith("/manifest"):
            replace(self.file("latest"), json.dumps(value).encode())

    def prune(self, oldest: m.Stamp) -> None:
        """Remove snapshots before `oldest`, and drafts of processes that died."""
        for snapshot in (self.path / "snapshots").glob("*-*"):
            if stamp_of(snapshot.name) < oldest:
                shutil.rmtree(snapshot, ignore_errors=True)
        for draft in self.path.rglob(".*.part"):
            if time.time() - draft.stat().st_mtime > OLD_DRAFT_S:
                draft.unlink(missing_ok=True)

    # whole snapshots

    def begin(self, parts: Sequence[Mapping[str, Any]], ledger: dict[str, Any]) -> None:
        """The snapshot of version 0, from which a run begins."""
        key = snapshot_key((0, 0))
        for g, arrays in enumerate(parts):
            self.write(part_key(key, g), dict(arrays))
        self.write(manifest_key(key), {"key": key, "stamp": [0, 0], "ledger": ledger})

    def newest(self, groups: int) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """The newest snapshot: its manifest and its parts; None: there is none."""
        manifest = self.read("latest")
        if manifest is None:
            return None
        return manifest, [self.read(part_key(manifest["key"], g)) for g in range(groups)]


def replace(file: Path, data: bytes) -> None:
    """Write a file so that it has its old content or the new one, also after a power cut."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
