"""The storage of a run is a folder: the term, and snapshots of which the newest is "latest".

    run.json            what the run is of; another job is refused
    events.jsonl        what happened (see `observer`)
    term                the newest term
    snapshots/120-3/    of version 120, in term 3 (see `ps.snapshot`)

Every file appears whole or not at all. No file is locked, so that a process that is stopped holds
up nobody: who writes for an older term than `term` names, or begins one that was begun, is told so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from widemargin.files import written_whole
from widemargin.ps import messages as m
from widemargin.ps import snapshot
from widemargin.ps.keys import manifest_key, part_key, snapshot_key, stamp_of

KEPT = 2  # snapshots


class Folder:
    """Answers `Save`, `Load` and `Outdate`; `groups` parts make a snapshot."""

    def __init__(self, path: str | os.PathLike[str], groups: int) -> None:
        self.path, self.groups = Path(path), groups
        self.snapshots = self.path / "snapshots"

    def on(self, message: Any) -> list[m.Send]:
        match message:
            case m.Save(term, key, value, tell):
                reigns = self.term()
                if term < reigns or (key == "term" and term == reigns):
                    return [m.Send(m.COORDINATOR, m.Loaded("term", reigns))]
                self.save(key, value)
                return [m.Send(tell, m.Saved(key, term))]
            case m.Load(key, tell):
                return [m.Send(tell, m.Loaded(key, self.load(key)))]
            case m.Outdate():
                snapshot.prune(self.snapshots, KEPT)
        return []

    def term(self) -> int:
        return int(self.read("term") or 0)

    # small files

    def read(self, name: str) -> Any:
        """What a file holds, or None."""
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None

    def write(self, name: str, value: Any) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path / name) as stream:
            stream.write(json.dumps(value).encode())
            stream.flush()
            os.fsync(stream.fileno())

    # what roles keep

    def place(self, key: str) -> Path:
        """The folder of the snapshot that a key belongs to."""
        term, version = stamp_of(key)
        return self.snapshots / snapshot.folder_name(version, term)

    def file(self, key: str) -> Path:
        """The file of a part of a snapshot."""
        return self.place(key) / f"{key.split('/')[1]}.safetensors"

    def load(self, key: str) -> Any:
        if key == "latest":
            found = snapshot.latest(self.snapshots)
            return None if found is None else snapshot.read_manifest(found)
        if "/" not in key:
            return self.read(key)
        return snapshot.read_shard(self.file(key))[0]

    def save(self, key: str, value: Any) -> None:
        if "/" not in key:
            self.write(key, value)
        elif key.endswith("/manifest"):
            snapshot.write_manifest(self.place(key), value, range(self.groups))
        else:
            snapshot.write_shard(self.file(key), value, {"stamp": stamp_of(key)})

    # whole snapshots

    def begin(self, parts: Iterable[Mapping[str, Any]], ledger: dict[str, Any]) -> None:
        """The snapshot of version 0, from which a run begins."""
        key = snapshot_key((0, 0))
        g = 0
        for arrays in parts:
            self.save(part_key(key, g), arrays)
            g += 1
            del arrays  # before the next is made
        self.save(manifest_key(key), {"key": key, "stamp": [0, 0], "ledger": ledger})

    def newest(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """The newest snapshot: its manifest and its parts; None: there is none."""
        manifest = self.load("latest")
        if manifest is None:
            return None
        return manifest, [self.load(part_key(manifest["key"], g)) for g in range(self.groups)]
