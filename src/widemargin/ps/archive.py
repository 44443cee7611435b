"""The snapshot that is being made: all groups' parts, then the manifest that makes it whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from widemargin.ps.messages import Stamp
from widemargin.ps.shard import part_key


def snapshot_key(stamp: Stamp) -> str:
    return f"{stamp[0]}-{stamp[1]}"


def stamp_of(key: str) -> Stamp:
    """The stamp of the snapshot that `key` is, or is in."""
    term, version = key.split("/")[0].split("-")
    return int(term), int(version)


def manifest_key(key: str) -> str:
    return f"{key}/manifest"


@dataclass
class Pending:
    """A snapshot on its way: parts not saved yet, and what the manifest will say."""

    key: str
    term: int
    stamp: Stamp
    record: dict[str, Any]
    missing: set[int]
    since: float
    asked: float = -1e9
    tries: int = field(default=0)

    def saved(self, key: str) -> None:
        self.missing = {g for g in self.missing if part_key(self.key, g) != key}

    @property
    def manifest(self) -> dict[str, Any]:
        return {"key": self.key, "stamp": list(self.stamp), "ledger": self.record}
