"""A Ray of several nodes on this machine, a run on it with a driver of its own, and their faults.

killed      SIGKILL: a worker, a server, the coordinator, a whole node (another comes in its place),
            the driver (the same command is given again, and attaches by the name of the run)
stopped     SIGSTOP for a while, then SIGCONT: a worker, a server, the coordinator
cut off     for a while nothing that it sends arrives: the same
"""

from __future__ import annotations

import json
import os
import pickle
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from widemargin.ps.messages import OBSERVER

ROLES = ("worker-0", "worker-1", "shard-0.0", "shard-0.1", "coordinator")
TARGETS = {"killed": (*ROLES, "node", "driver"), "stopped": ROLES, "cut off": ROLES}
NODES = 3
ROOM = 300 << 20  # bytes of the object store of a node
ANSWER_S = 5.0


class Fault(NamedTuple):
    """What was done, and when; `back`: when a driver had attached again."""

    time: float
    kind: str
    role: str
    back: float | None = None


class Place:
    """A Ray of NODES nodes; leaving the `with` block ends it."""

    def __enter__(self) -> Place:
        from widemargin.run.cluster.private import FAST, QUIET, set_up_token

        set_up_token(None)
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
        import ray
        from ray.cluster_utils import Cluster as Nodes

        head = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        sizes = {"num_cpus": 3, "object_store_memory": ROOM}
        self.nodes = Nodes(
            initialize_head=True, head_node_args={**head, **sizes, "_system_config": dict(FAST)}
        )
        self.sizes = sizes
        for _ in range(NODES - 1):
            self.nodes.add_node(**sizes, wait=False)
        self.nodes.wait_for_nodes()
        ray.init(address=self.nodes.address, **QUIET)
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()
        self.nodes.shutdown()

    def lose_node(self, rng: random.Random) -> None:
        """One that is not the head goes, another comes."""
        head = self.nodes.head_node.node_id
        others = [node for node in self.nodes.list_all_nodes() if node.node_id != head]
        self.nodes.remove_node(rng.choice(others), allow_graceful=False)
        self.nodes.add_node(**self.sizes, wait=False)


class Driven:
    """A run whose driver is a process of its own, so that it can be killed. `run` watches it."""

    def __init__(self, place: Place, job: Any, epochs: int, folder: Path, **options: Any) -> None:
        from widemargin.run.cluster.private import Connection
        from widemargin.run.cluster.running import Run

        self.name, self.folder = f"chaos-{secrets.token_hex(3)}", folder / "run"
        wanted = {"address": place.nodes.address, "snapshot_to": str(self.folder), **options}
        self.file = folder / "wanted.pickle"
        self.file.write_bytes(pickle.dumps((wanted, job, epochs, self.name)))
        self.driver = self.drive()
        self.run = Run(self.name, Connection(False, None, None))

    def drive(self) -> subprocess.Popen[str]:
        """Give the command; returns once it has begun the run, or attached to it."""
        command = [sys.executable, __file__, str(self.file)]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        for line in driver.stdout:
            if line.startswith("{"):
                return driver
        raise RuntimeError(f"the driver ended with {driver.wait()}")

    def end(self) -> None:
        self.driver.kill()
        self.driver.wait()
        self.run.stop()


def main() -> None:
    """The driver: begins the run of a file, or goes on with it, and follows its events."""
    wanted, job, epochs, name = pickle.loads(Path(sys.argv[1]).read_bytes())
    from widemargin.cluster import Cluster

    run = Cluster(**wanted).start(job, epochs, seed=0, name=name)
    run.events()
    print(json.dumps({"name": run.name}), flush=True)
    while not run.wait(1.0):
        pass


class Havoc:
    """Harms a run every so many seconds, one thing after another, and remembers how."""

    def __init__(self, place: Place, driven: Driven, every: float, pause: float, rng: Any) -> None:
        self.place, self.driven, self.every, self.pause, self.rng = place, driven, every, pause, rng
        self.deeds: list[Fault] = []
        self.missed: list[str] = []

    def go(self, until: float) -> None:
        """In the main thread, where alone Ray begins a node, until then or the run's end."""
        due = time.time() + self.every / 2
        while not self.driven.run.wait(max(0.0, min(due, until) - time.time())) and due < until:
            due += self.every
            kind = self.rng.choice(list(TARGETS))
            role = self.rng.choice(TARGETS[kind])
            try:
                self.harm(kind, role)
            except Exception as error:  # what was to be harmed was just beginning anew
                self.missed.append(f"{kind} {role}: {error!r}")

    def harm(self, kind: str, role: str) -> None:
        if role == "node":
            self.deeds.append(Fault(time.time(), kind, role))
            self.place.lose_node(self.rng)
        elif role == "driver":
            at = time.time()
            self.driven.driver.kill()
            self.driven.driver = self.driven.drive()
            self.deeds.append(Fault(at, kind, role, time.time()))
        else:
            self.harm_actor(kind, role)

    def harm_actor(self, kind: str, role: str) -> None:
        import ray

        from widemargin.run.cluster.plan import space

        actor = ray.get_actor(role, namespace=space(self.driven.name))
        pid = ray.get(actor.identity.remote(), timeout=ANSWER_S)["pid"]
        self.deeds.append(Fault(time.time(), kind, role))
        if kind == "killed":
            os.kill(pid, signal.SIGKILL)
        elif kind == "stopped":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.pause)
            wake(pid)
        else:
            ray.get(actor.cut.remote(frozenset({*ROLES, OBSERVER} - {role})), timeout=ANSWER_S)
            time.sleep(self.pause)
            ray.get(actor.cut.remote(frozenset()), timeout=ANSWER_S)


def wake(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:  # it was ended meanwhile
        pass


if __name__ == "__main__":
    main()
