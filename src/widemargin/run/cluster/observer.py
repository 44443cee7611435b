"""The observer: an actor that collects what the roles tell, and looks after the number of workers
and after the coordinator.

Events are kept in the run's folder too, so that a new life of the observer, and a run that goes on
from a snapshot, know them all.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from widemargin.ps.messages import OBSERVER, Event
from widemargin.run.cluster import fleet
from widemargin.run.cluster import plan as plans
from widemargin.run.cluster.plan import Plan
from widemargin.run.cluster.tally import Tally
from widemargin.run.cluster.warden import Warden
from widemargin.watching.state import facts_of

LOOK_S = 0.5  # how often nodes and workers are counted


class Observer:
    """Ray calls all but `keep`, which is a thread of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        plan: Plan = plans.get(name, "plan")
        self.plan = plan
        self.file = Path(plan.folder) / "events.jsonl"
        self.lock, self.unwritten = threading.Lock(), b""
        self.events: list[Event] = []
        self.known: dict[tuple[str, int], int] = {}  # of each life of a role, how many are known
        self.commits: set[Any] = set()  # their stamps
        self.tally = Tally()
        self.read()
        if plans.get(name, "begun") is None:  # the first life of it: what is known is of others
            plans.put(name, "begun", True)
            facts = facts_of(name, plan.settings)._asdict()
            self.record(OBSERVER, time.time_ns(), 0, [Event("began", time.time(), facts)])
        self.asked = time.monotonic()
        threading.Thread(target=self.keep, name="keeper", daemon=True).start()
        warden = Warden(plan, lambda: self.tally.phase == "ended")
        threading.Thread(target=warden.keep, name="warden", daemon=True).start()

    def read(self) -> None:
        """What earlier lives kept. Nothing is cut off: others may be reading the file."""
        data = self.file.read_bytes() if self.file.exists() else b""
        if data and not data.endswith(b"\n"):
            self.unwritten = b"\n"  # else the next line would be lost with the torn one
        for line in data.splitlines():
            try:
                role, life, number, kind, at, what = json.loads(line)
            except ValueError:  # torn: the last line of a process that died
                continue
            self.take(role, life, number, Event(kind, at, frozen(what)))

    def take(self, role: str, life: int, number: int, event: Event) -> bool:
        """Is it new?"""
        if number < self.known.get((role, life), 0):
            return False
        self.known[role, life] = number + 1
        if event.kind == "commit":
            if event.what["stamp"] in self.commits:  # taken over by a new coordinator
                return False
            self.commits.add(event.what["stamp"])
        self.events.append(event)
        self.tally.add(event)
        return True

    def record(self, role: str, life: int, first: int, events: list[Event]) -> None:
        """OSError while they cannot be written; they are once who told them tells them again."""
        with self.lock:
            for number, event in enumerate(events, first):
                if self.take(role, life, number, event):
                    line = [role, life, number, event.kind, event.time, event.what]
                    self.unwritten += json.dumps(line, default=str).encode() + b"\n"
            with self.file.open("ab", buffering=0) as stream:
                written = stream.write(self.unwritten)
            self.unwritten = self.unwritten[written:]
            if self.unwritten:
                raise OSError(f"{self.file}: the disk has no room for {len(self.unwritten)} bytes")

    def since(self, n: int) -> list[Event]:
        self.asked = time.monotonic()
        return self.events[n:]

    def status(self) -> dict[str, Any]:
        return {"name": self.name, "workers_wanted": self.wanted(), **self.tally.summary()}

    def identity(self) -> dict[str, Any]:
        import ray

        node = ray.get_runtime_context().get_node_id()
        return {"role": OBSERVER, "pid": os.getpid(), "node": node, "life": 0}

    # the number of workers

    def wanted(self) -> int:
        found: int = plans.get(self.name, "wanted") or 0
        return found

    def scale(self, workers: int) -> None:
        plans.put(self.name, "wanted", workers)
        fleet.man(self.plan, workers)

    def keep(self) -> None:
        """Workers for new nodes, an end for runs that lack workers or that nobody asks about."""
        short = None
        while True:
            time.sleep(LOOK_S)
            try:
                self.welcome()
                short = self.count(short)
                self.leave()
            except Exception:  # Ray's head does not answer: it may again
                traceback.print_exc()

    def welcome(self) -> None:
        """A node more: its share of workers, up to the most."""
        before, after = plans.get(self.name, "nodes"), set(fleet.nodes())
        if before is None or before == after:  # None: the actors are not all begun
            return
        plans.put(self.name, "nodes", after)
        first, _, most = self.plan.workers
        wanted = self.wanted()
        if self.tally.phase != "ended" and after - before and wanted < most:
            share = max(1, first // max(1, len(before)))
            self.scale(min(most, wanted + share * len(after - before)))

    def count(self, since: float | None) -> float | None:
        """Since when there are fewer workers than the least; ends the run after `give_up_s`."""
        least, limit = self.plan.workers[1], self.plan.settings.give_up_s
        n = len(self.tally.workers)
        if n >= least or self.tally.phase == "ended":
            return None
        since = since or time.monotonic()
        if time.monotonic() - since > limit:
            reason = (
                f"{n} of min_workers={least} workers have been alive for {limit:g} s (give_up_s). "
                "Start the run again when there are more: it goes on from its last snapshot."
            )
            life = time.time_ns()
            self.record(OBSERVER, life, 0, [Event("failed", time.time(), {"reason": reason})])
        return since

    def leave(self) -> None:
        """Nobody has asked for the end for long: leave only a given folder."""
        quiet = time.monotonic() - self.asked
        if self.tally.phase == "ended" and quiet > self.plan.linger_s:
            if self.plan.spare:
                shutil.rmtree(self.plan.folder, ignore_errors=True)
            fleet.dissolve(self.name)


def frozen(value: Any) -> Any:
    """JSON's lists as tuples, as they were told."""
    if isinstance(value, list):
        return tuple(frozen(v) for v in value)
    if isinstance(value, dict):
        return {k: frozen(v) for k, v in value.items()}
    return value
