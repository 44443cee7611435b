"""All together: replicas of two processes, two servers, async, against one process.

    python benchmarks/together.py                     fashion_mnist; a process is killed on the way
    python benchmarks/together.py --virtual --hold 10000 --lr 0.01    on held-out samples, to tune
    python benchmarks/together.py --samples 2000 --epochs 1

Both have the same net, beginning, batches, epochs and rule, Adagrad on the servers; what differs is
the order of the commits and how old the parameters of a gradient may be. A process of the second
replica is killed when a share of all commits are done. With `--virtual` the replicas are three
workers in virtual time, and nothing is killed. Needs the extra [nets]. Prints JSON, a line a run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

import nets
from harness import fashion
from harness.once import counted, surviving
from widemargin.cluster import Async, Cluster
from widemargin.nets import Trainer, Virtual, optimizers
from widemargin.ps.messages import Event

REPLICAS, PARTITIONS, SERVERS, STALENESS = 3, 2, 2, 4
HARMED = "worker-1"
AROUND_S = 20.0  # before the kill and after the return, in which commits are counted


class Fit(NamedTuple):
    accuracy: float  # after the last epoch
    events: list[Event]


class Kill:
    """A callback: SIGKILL of the second process of a replica, once, after so many commits."""

    def __init__(self, after: int) -> None:
        self.after, self.commits, self.at = after, 0, 0.0

    def __call__(self, event: Event) -> None:
        self.commits += event.kind == "commit"
        if self.commits < self.after or self.at:
            return
        import ray
        from ray.util import list_named_actors

        name = f"{HARMED}/1"
        (space,) = (a["namespace"] for a in list_named_actors(True) if a["name"] == name)
        actor = ray.get_actor(name, namespace=space)
        pid = ray.get(actor.identity.remote(), timeout=10.0)["pid"]
        self.at = time.time()
        os.kill(pid, signal.SIGKILL)


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def fitted(what: str, data: fashion.Pictures, asked: Any, kill: Any = None, **engine: Any) -> Fit:
    began, events = time.perf_counter(), []
    rule = optimizers.Adagrad(lr=asked.lr)
    options = {"microbatch": asked.microbatch, "seed": asked.seed, "average": asked.average}
    trainer = Trainer(nets.convolutional, nets.cross_entropy, rule, **options, **engine)
    callbacks = [events.append, *([kill] if kill else [])]
    rows = trainer.fit(
        data.train, asked.epochs, asked.batch, data.test, metrics=["accuracy"], callbacks=callbacks
    )
    once = counted(surviving(events), -(-len(data.train) // asked.batch))
    assert len(once) == asked.epochs and len(set(once.values())) == 1
    late = [event.what["late"] for event in events if event.kind == "commit"]
    by_epoch = [round(row.values["accuracy"], 4) for row in rows]
    told(
        what=what,
        lr=asked.lr,
        seed=asked.seed,
        seconds=round(time.perf_counter() - began, 1),
        commits=len(late),
        exactly_once=True,  # `counted` has checked it
        mean_late=round(sum(late) / len(late), 2),
        most_late=max(late),
        by_epoch=by_epoch,
    )
    return Fit(by_epoch[-1], events)


def cost(events: list[Event], at: float) -> None:
    """What a kill at this time did: who was gone, until when, and what the others did meanwhile."""
    commits = [event.time for event in events if event.kind == "commit"]
    returns = [e.time for e in events if e.kind == "worker" and e.time > at]
    if not returns:
        told(what="killed", back_after=None, note="the run ended before the replica was back")
        return
    back = min(returns)
    meanwhile = [at, *(t for t in commits if at < t < back), back]
    told(
        what="killed",
        gone=[e.what["name"] for e in events if e.kind == "gone"],
        servers_lost=sum(event.kind == "lost" for event in events),
        back_after=round(back - at, 2),
        commits_meanwhile=len(meanwhile) - 2,
        longest_pause=round(max(b - a for a, b in zip(meanwhile, meanwhile[1:], strict=False)), 2),
        commits_per_second={
            "before": rate(commits, at - AROUND_S, at),
            "meanwhile": rate(commits, at, back),
            "after": rate(commits, back, back + AROUND_S),
        },
    )


def rate(times: list[float], start: float, stop: float) -> float:
    return round(sum(start < t <= stop for t in times) / (stop - start), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--microbatch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.015)
    parser.add_argument("--average", type=float, help="the decay of the averaged parameters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, help="of the training set")
    parser.add_argument("--hold", type=int, default=0, help="training samples to measure on")
    parser.add_argument("--virtual", action="store_true")
    parser.add_argument("--kill", type=float, default=0.4, help="after this share of all commits")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))  # workers import `nets`
    data = fashion.pictures(asked.hold, asked.samples)
    alone = fitted("single process", data, asked, partitions=1)
    engine = {"workers": REPLICAS, "servers": SERVERS, "policy": Async(max_staleness=STALENESS)}
    if asked.virtual:
        apart = fitted("3 workers, virtual", data, asked, cluster=Virtual(**engine), partitions=1)
    else:
        kill = Kill(int(asked.kill * asked.epochs * -(-len(data.train) // asked.batch)))
        cluster = Cluster(**engine)
        apart = fitted("3 replicas of 2", data, asked, kill, cluster=cluster, partitions=PARTITIONS)
        cost(apart.events, kill.at)
    told(
        what="difference",
        on="held-out" if asked.hold else "test",
        points=round(100 * (apart.accuracy - alone.accuracy), 2),
    )


if __name__ == "__main__":
    main()
