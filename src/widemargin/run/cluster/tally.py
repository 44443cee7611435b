"""What the events of a run amount to."""

from __future__ import annotations

from typing import Any

from widemargin.ps.messages import Event


class Tally:
    """Fed event by event."""

    def __init__(self) -> None:
        self.phase = "starting"
        self.term = self.version = self.epoch = 0
        self.commits = self.late = self.voids = self.deaths = self.snapshots = 0
        self.workers: set[str] = set()
        self.members: set[str] = set()
        self.reason = ""

    def add(self, event: Event) -> None:
        what = event.what
        self.term = max(self.term, what.get("term", 0))
        match event.kind:
            case "commit":
                self.commits += 1
                self.version, self.late = what["stamp"][1], what["late"]
            case "epoch":
                self.epoch = what["epoch"] + 1
            case "term":
                self.phase = "recovering" if self.commits else "starting"
            case "running":
                self.phase, self.version = "running", what["version"]
            case "worker":
                self.workers.add(what["name"])
            case "gone":
                self.workers.discard(what["name"])
                self.deaths += 1
            case "member":
                self.members.add(what["name"])
            case "lost" if what["why"] in ("silent", "began anew"):
                self.members.discard(what["name"])
                self.deaths += 1
            case "void":
                self.voids += 1
            case "snapshot":
                self.snapshots += 1
            case "done" | "failed":
                self.phase, self.reason = "ended", what.get("reason", "")
            case "began":  # a run that goes on from a snapshot: all actors are new
                self.phase, self.workers, self.members = "starting", set(), set()

    def summary(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "term": self.term,
            "version": self.version,
            "epoch": self.epoch,
            "commits": self.commits,
            "late": self.late,
            "void": self.voids,
            "deaths": self.deaths,
            "snapshots": self.snapshots,
            "workers": sorted(self.workers),
            "members": sorted(self.members),
            "reason": self.reason,
        }
