"""Faults and stragglers on a real local Ray: what they cost, and how fast it goes on.

    python benchmarks/chaos.py faults --seconds 600 --every 20     linear model and net
    python benchmarks/chaos.py faults --seconds 40 --every 8 --jobs linear
    python benchmarks/chaos.py stragglers                          eight workers, two of them slow

`faults` trains on a Ray of three nodes for so long without a fault; then for as long with one of a
random kind (killed, stopped, cut off) at a random role (worker, server, coordinator, node, driver)
every so many seconds, and on without faults to where the first came. It compares the samples
committed in the time, checks that each counts once an epoch, compares the losses after as many
epochs, and tells how long commits paused after each fault. A measurement takes 2 × seconds, what
the faults took, and half a minute. Needs the extra [nets]. Prints JSON, one line a measurement.
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
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.havoc import Driven, Fault, Havoc, Place
from harness.once import counted, surviving
from harness.trained import JOBS, Trained
from widemargin.cluster import Async, Cluster, Sync
from widemargin.ps.messages import Block, Event
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.plan import space
from widemargin.run.cluster.running import outcome
from widemargin.schedules import Constant

MANY = 100_000  # epochs: the run is ended by the clock
FINISH_S = 900.0  # for a run with faults to come as far as the one without


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


# faults


class Trial(NamedTuple):
    """A run: its events and faults, samples a second, and where it stood at its end."""

    events: list[Event]
    deeds: list[Fault]
    missed: list[str]
    rate: float
    tenths: list[int]  # the rate in each tenth of the time
    epochs: int
    loss: float


def train(
    place: Place, what: Trained, asked: argparse.Namespace, every: float | None, epochs: int
) -> Trial:
    """Train for so long from the first commit on, with faults to the end of the epochs."""
    settings = {"workers": 2, "servers": 1, "replicas": 2, "policy": Sync()}
    pause = asked.pause or 2 * asked.deadline
    with tempfile.TemporaryDirectory(prefix="wm-") as temporary:
        folder = Path(temporary)
        driven = Driven(place, what.job, epochs, folder, deadline_s=asked.deadline, **settings)
        havoc = Havoc(place, driven, every or 0.0, pause, random.Random(asked.seed))
        try:
            until = asked.seconds + (began := first_commit(driven.run))
            if every is None:
                driven.run.wait(max(0.0, until - time.time()))
            else:
                havoc.go(until)
                driven.run.wait(FINISH_S)
            events, manifest = list(driven.run.events()), Folder(driven.folder, 1).load("latest")
            theta = outcome(driven.run.plan)[0]
        finally:
            driven.end()
    path = surviving(events, tuple(manifest["stamp"]) if every is not None else None)
    counted(path, what.job.n_blocks)
    timely = [e for e in path if e.time <= until]
    samples = sum(len(e.what["parts"]) for e in timely) * what.size
    ended = until if path[-1].time > until else path[-1].time  # who is done first is no slower
    rate, epochs = samples / (ended - began), manifest["ledger"]["epoch"]
    tenths = rates(timely, began, ended, what.size)
    return Trial(events, havoc.deeds, havoc.missed, rate, tenths, epochs, what.loss(theta))


def rates(commits: list[Event], began: float, ended: float, size: int) -> list[int]:
    """Samples a second in each tenth of the time."""
    edges = np.linspace(began, ended, 11)
    blocks = [len(e.what["parts"]) for e in commits]
    counts, _ = np.histogram([e.time for e in commits], edges, weights=blocks)
    return [round(count * size / (edges[1] - edges[0])) for count in counts]


def first_commit(run: Any) -> float:
    """When it was."""
    while True:
        for event in run.events():
            if event.kind == "commit":
                return float(event.time)
        time.sleep(0.1)


def pause_after(events: list[Event], fault: Fault, window: float) -> float:
    """Seconds: the longest time without a commit that began before the window after a fault was
    over; of a driver, until it had attached again if that was longer."""
    times = [e.time for e in events if e.kind == "commit" and e.time > fault.time - 5.0]
    gaps = [
        after - max(before, fault.time)
        for before, after in zip(times, times[1:], strict=False)
        if after > fault.time and before < fault.time + window
    ]
    return max([*gaps, 0.0 if fault.back is None else fault.back - fault.time])


def faults(asked: argparse.Namespace) -> None:
    with Place() as place:
        for name in asked.jobs:
            what = JOBS[name]()
            calm = train(place, what, asked, None, MANY)
            report(name, calm, what, None)
            harmed = train(place, what, asked, asked.every, calm.epochs)
            report(name, harmed, what, asked.every)
            recovery(name, harmed, asked.every)
            told(
                what="kept",
                job=name,
                share=round(harmed.rate / calm.rate, 4),
                faults=len(harmed.deeds),
                loss_ratio=round(harmed.loss / calm.loss, 5),
                epochs=(calm.epochs, harmed.epochs),
            )


def report(name: str, trial: Trial, what: Trained, every: float | None) -> None:
    kinds = [e.kind for e in trial.events]
    told(
        what="run",
        job=name,
        fault_every=every,
        samples_per_second=round(trial.rate),
        in_each_tenth=trial.tenths,
        commits=kinds.count("commit"),
        lost_commits=kinds.count("commit") - len(surviving(trial.events)),
        terms=kinds.count("reign"),
        alarms=Counter(str(e.what["why"]) for e in trial.events if "why" in e.what),
        left_out=trial.missed,
        epochs=trial.epochs,
        loss=trial.loss,
        exactly_once=True,  # `counted` has checked it
    )


def recovery(name: str, trial: Trial, every: float) -> None:
    """The table: seconds by role and kind."""
    found: dict[tuple[str, str], list[float]] = {}
    for fault in trial.deeds:
        took = pause_after(trial.events, fault, every / 2)
        role = fault.role.split("-")[0].replace("shard", "server")
        found.setdefault((role, fault.kind), []).append(took)
        told(what="fault", job=name, kind=fault.kind, role=fault.role, seconds=round(took, 2))
    for (role, kind), seconds in sorted(found.items()):
        middle, most = round(statistics.median(seconds), 2), round(max(seconds), 2)
        told(what="recovery", job=name, role=role, kind=kind, n=len(seconds), s=middle, worst=most)


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
    parser.add_argument("--deadline", type=float, default=1.5)
    parser.add_argument("--pause", type=float, help="of who is stopped or cut off: 2 deadlines")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    asked = parser.parse_args()
    {"faults": faults, "stragglers": stragglers}[asked.what](asked)


if __name__ == "__main__":
    main()
