"""Under which names storage keeps snapshots."""

from __future__ import annotations

from widemargin.ps.messages import Stamp


def snapshot_key(stamp: Stamp) -> str:
    return f"{stamp[0]}-{stamp[1]}"


def stamp_of(key: str) -> Stamp:
    """The stamp of the snapshot that `key` is, or is in."""
    term, version = key.split("/")[0].split("-")
    return int(term), int(version)


def part_key(key: str | None, group: int) -> str:
    """Where a snapshot keeps the group's part."""
    return f"{key}/shard-{group}"


def manifest_key(key: str) -> str:
    return f"{key}/manifest"
