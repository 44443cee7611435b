"""Faults and stragglers on a real local Ray: what they cost, and how fast it goes on.

    python benchmarks/chaos.py faults --seconds 600 --every 20     linear model and net
    python benchmarks/chaos.py stragglers                          eight workers, two of them slow

`faults` trains for so long without a fault, then for as long with one of a random kind (killed,
stopped, cut off) at a random role every so many seconds, and compares the samples committed. Needs
the extra [nets]. Prints JSON, one line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from widemargin.cluster import Async, Cluster, Sync
from widemargin.ps.messages import OBSERVER, Block, Event
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.run.cluster.plan import space
from widemargin.schedules import Constant

ROLES = ("worker-0", "worker-1", "shard-0.0", "shard-0.1", "coordinator")
KINDS = ("killed", "stopped", "cut off")
PAUSE_S = 6.0  # twice the deadline: who is stopped or cut off counts as dead meanwhile
MANY = 100_000  # epochs: the run is ended by the clock


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


# what is trained


def linear_job() -> Any:
    """Hinge on the RCV1-shaped corpus, 4,096 rows a block; its objective by parameters."""
    from harness import shared

    _, job = shared.job_for({"data": "rcv1_like", "rows": 200_000})
    return job, job.block_size


def net_job() -> Any:
    """A net of about 5 million parameters on noise."""
    import nets
    from widemargin.nets import optimizers
    from widemargin.nets.job import NetJob
    from widemargin.nets.samples import source_of

    rule = optimizers.rule_of(optimizers.SGD(0.01, momentum=0.9), None)
    source = source_of(nets.noise(256 * 64), 256)
    return NetJob.create(nets.wide, nets.cross_entropy, source, rule), 256


JOBS = {"linear": linear_job, "net": net_job}


# faults


class Havoc:
    """Harms a run every so many seconds, and remembers how."""

    def __init__(self, run: Any, every: float, seed: int) -> None:
        self.run, self.every, self.rng = run, every, random.Random(seed)
        self.deeds: list[tuple[float, str, str]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def go(self) -> None:
        while not self.over.wait(self.every):
            kind, role = self.rng.choice(KINDS), self.rng.choice(ROLES)
            try:
                self.harm(kind, role)
            except Exception as error:  # the role was just beginning anew
                told(what="no fault", kind=kind, role=role, error=repr(error))

    def harm(self, kind: str, role: str) -> None:
        import ray

        actor = ray.get_actor(role, namespace=space(self.run.name))
        pid = ray.get(actor.identity.remote(), timeout=5.0)["pid"]
        self.deeds.append((time.time(), kind, role))
        if kind == "killed":
            os.kill(pid, signal.SIGKILL)
        elif kind == "stopped":
            os.kill(pid, signal.SIGSTOP)
            self.over.wait(PAUSE_S)
            os.kill(pid, signal.SIGCONT)
        else:
            ray.get(actor.cut.remote(frozenset({*ROLES, OBSERVER} - {role})), timeout=5.0)
            self.over.wait(PAUSE_S)
            ray.get(actor.cut.remote(frozenset()), timeout=5.0)

    def end(self) -> None:
        self.over.set()
        self.thread.join()


def train(job: Any, seconds: float, every: float | None, seed: int) -> list[Event]:
    """Train for so long from the first commit on; the events."""
    cluster = Cluster(workers=2, servers=1, replicas=2, policy=Sync(), snapshot_every=200)
    with cluster.start(job, MANY, seed=0) as run:
        while not any(event.kind == "commit" for event in run.events()):
            time.sleep(0.1)
        havoc = None if every is None else Havoc(run, every, seed)
        time.sleep(seconds)
        if havoc is not None:
            havoc.end()
        events = list(run.events())
    for at, kind, role in havoc.deeds if havoc else ():
        told(what="fault", kind=kind, role=role, seconds=gap(events, at))
    return events


def gap(events: list[Event], at: float) -> float:
    """The longest time between two commits in the ten seconds after a fault."""
    times = [e.time for e in events if e.kind == "commit" and at - 1.0 < e.time < at + 10.0]
    return round(float(np.diff([*times, max([at, *times])]).max()), 2) if len(times) > 1 else 10.0


def surviving(events: list[Event]) -> list[Event]:
    """The commits of the history that the newest one belongs to, in order."""
    tree = {tuple(e.what["stamp"]): e for e in events if e.kind == "commit"}
    path, stamp = [], max(tree)
    while stamp in tree:
        path.append(tree[stamp])
        stamp = tuple(tree[stamp].what["after"])
    return path[::-1]


def counted(path: list[Event], n_blocks: int) -> dict[int, int]:
    """Blocks committed in each epoch; fails if one was committed twice or an epoch lacks one."""
    seen: dict[int, list[int]] = {}
    for event in path:
        for _, (epoch, number) in event.what["parts"]:
            seen.setdefault(epoch, []).append(number)
    for epoch, blocks in seen.items():
        assert len(set(blocks)) == len(blocks), f"epoch {epoch}: a block twice"
        assert epoch == max(seen) or len(blocks) == n_blocks, f"epoch {epoch} lacks blocks"
    return {epoch: len(blocks) for epoch, blocks in seen.items()}


def faults(asked: argparse.Namespace) -> None:
    for name in asked.jobs:
        job, size = JOBS[name]()
        rate = {}
        for every in (None, asked.every):
            events = train(job, asked.seconds, every, asked.seed)
            path = surviving(events)
            blocks = sum(counted(path, job.n_blocks).values())
            rate[every] = blocks * size / asked.seconds
            kinds = [e.kind for e in events]
            told(
                what="run",
                job=name,
                fault_every=every,
                samples_per_second=round(rate[every]),
                commits=len(path),
                lost_commits=kinds.count("commit") - len(path),
                terms=kinds.count("reign"),
                exactly_once=True,  # `counted` has checked it
            )
        told(what="kept", job=name, share=round(rate[asked.every] / rate[None], 4))


# stragglers


class Sleeper:
    """Gradients that take 0.1 s of sleep; who comes first to the folder takes ten times as long."""

    rule = Rule(Sgd(), Constant(0.1))
    n_keys, sparse, n_blocks = 10, False, 160

    def __init__(self, folder: str, straggles: bool) -> None:
        self.folder, self.straggles = folder, straggles

    def first(self, keys: Any) -> Any:
        return np.zeros((keys.stop - keys.start, 1))

    def open(self) -> Any:
        slow = False
        if self.straggles:
            try:
                (Path(self.folder) / "slow").touch(exist_ok=False)
                slow = True
            except FileExistsError:
                pass
        return Sleep(1.0 if slow else 0.1)


class Sleep:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def touch(self, block: Block) -> None:
        return None

    def compute(self, block: Block, parts: Any, keys: Any) -> Update:
        time.sleep(self.seconds)
        return Update(None, np.concatenate(parts) * 0.0 + 1.0, 1.0)

    def prefetch(self, block: Block) -> None:
        pass

    def close(self) -> None:
        pass


def epoch_seconds(policy: Any, straggles: bool, asked: argparse.Namespace) -> float:
    """The mean over epochs after the first; with stragglers a worker is stopped at random too."""
    with tempfile.TemporaryDirectory() as folder:
        job = Sleeper(folder, straggles)
        cluster = Cluster(workers=8, servers=1, policy=policy, deadline_s=3.0)
        with cluster.start(job, asked.epochs, seed=0) as run:
            over = threading.Event()
            stopper = threading.Thread(target=stop_at_random, args=(run, over), daemon=True)
            if straggles:
                stopper.start()
            run.wait()
            over.set()
            ends = [e.time for e in run.events() if e.kind == "epoch"]
    blocks = counted(surviving(run.known), job.n_blocks)
    assert list(blocks.values()) == [job.n_blocks] * asked.epochs
    return statistics.mean(np.diff(ends))


def stop_at_random(run: Any, over: threading.Event) -> None:
    """Stop the last worker for 0.5 to 2 s, every 2 to 6 s."""
    import ray

    rng = random.Random(0)
    while not over.wait(rng.uniform(2.0, 6.0)):
        try:
            actor = ray.get_actor("worker-7", namespace=space(run.name))
            pid = ray.get(actor.identity.remote(), timeout=5.0)["pid"]
        except Exception:  # it begins anew, or the run has ended
            continue
        os.kill(pid, signal.SIGSTOP)
        over.wait(rng.uniform(0.5, 2.0))
        os.kill(pid, signal.SIGCONT)


def stragglers(asked: argparse.Namespace) -> None:
    base = epoch_seconds(Sync(0), False, asked)
    told(what="no straggler", policy="Sync(0)", epoch_seconds=round(base, 3))
    policies = {"Sync(0)": Sync(0), 'Sync("auto")': Sync("auto"), "Async()": Async()}
    for name, policy in policies.items():
        took = epoch_seconds(policy, True, asked)
        told(what="stragglers", policy=name, epoch_seconds=round(took, 3), ratio=took / base)


def main() -> None:
    known = os.environ.get("PYTHONPATH", "")  # workers import the jobs of this folder
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, known] if known else [here])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["faults", "stragglers"])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every", type=float, default=20.0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    asked = parser.parse_args()
    {"faults": faults, "stragglers": stragglers}[asked.what](asked)


if __name__ == "__main__":
    main()
