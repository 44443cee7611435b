"""Simulated storage: what survives everything, and what it was asked to keep as whole snapshots."""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.job import Job, Range
from widemargin.ps.keys import manifest_key, part_key, snapshot_key, stamp_of
from widemargin.ps.ledger import Ledger
from widemargin.ps.parameters import Parameters
from widemargin.ps.settings import Settings


class Kept(NamedTuple):
    """A snapshot at the moment at which its manifest came: a part is None if it was not there."""

    stamp: m.Stamp
    ledger: dict[str, Any]
    parts: tuple[Any, ...]


class Storage:
    """Keeps what is saved; the latest snapshot only gets newer.

    Writes of older terms are refused, and the coordinator is told which term is obeyed.
    """

    def __init__(self, records: dict[str, Any], groups: int) -> None:
        self.records, self.groups = dict(records), groups
        self.snapshots: list[Kept] = []

    def on(self, message: Any) -> list[m.Send]:
        match message:
            case m.Save(term, key, value, tell):
                return self.save(term, key, value, tell)
            case m.Load(key, tell):
                return [m.Send(tell, m.Loaded(key, self.records.get(key)))]
            case m.Outdate(oldest):
                for old in [k for k in self.records if "/" in k and stamp_of(k) < oldest]:
                    del self.records[old]
        return []

    def save(self, term: int, key: str, value: Any, tell: str) -> list[m.Send]:
        if term < self.records.get("term", 0):
            return [m.Send(m.COORDINATOR, m.Loaded("term", self.records["term"]))]
        self.records[key] = value
        if key.endswith("/manifest") and stamp_of(key) >= tuple(self.records["latest"]["stamp"]):
            self.records["latest"] = value
            parts = tuple(self.records.get(part_key(value["key"], g)) for g in range(self.groups))
            self.snapshots.append(Kept(stamp_of(key), value["ledger"], parts))
        return [m.Send(tell, m.Saved(key))]


def beginning(settings: Settings, job: Job, parts: tuple[Range, ...]) -> dict[str, Any]:
    """What storage holds before a run: a snapshot of version 0."""
    ledger = Ledger(settings.n_blocks, settings.epochs, settings.seed, settings.shuffle)
    key = snapshot_key((0, 0))
    manifest = {"key": key, "stamp": [0, 0], "ledger": ledger.record()}
    records: dict[str, Any] = {manifest_key(key): manifest, "latest": manifest}
    for g, keys in enumerate(parts):
        store = Parameters.create(job.rule, job.first(keys), keys.start)
        records[part_key(key, g)] = store.arrays()
    return records
