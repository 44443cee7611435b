"""All together: replicas of two processes, two servers, async, against one process.

    python benchmarks/together.py                  fashion_mnist, 3 replicas × 2 partitions
    python benchmarks/together.py --samples 2000 --epochs 1

Both have the same net, batches, epochs and rule, Adagrad on the servers; what differs is the order
of the commits and how old the parameters of a gradient may be. Needs the extra [nets]. Prints JSON,
a line a run.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import nets
from harness import fashion
from widemargin.cluster import Async, Cluster
from widemargin.nets import Trainer, optimizers

REPLICAS, PARTITIONS, SERVERS, STALENESS = 3, 2, 2, 4


def fitted(what: str, options: argparse.Namespace, **engine: Any) -> float:
    """The accuracy after the last epoch."""
    train, test = fashion.pictures(most=options.samples)
    began, events = time.perf_counter(), []
    trainer = Trainer(
        nets.convolutional,
        nets.cross_entropy,
        optimizers.Adagrad(lr=options.lr),
        seed=options.seed,
        **engine,
    )
    rows = trainer.fit(
        train,
        options.epochs,
        options.batch,
        test,
        metrics=["accuracy"],
        callbacks=[events.append],
    )
    late = [event.what["late"] for event in events if event.kind == "commit"]
    by_epoch = [round(row.values["accuracy"], 4) for row in rows]
    seconds = round(time.perf_counter() - began, 1)
    print(
        json.dumps(
            {
                "what": what,
                "epochs": options.epochs,
                "seconds": seconds,
                "commits": len(late),
                "most_late": max(late),
                "by_epoch": by_epoch,
            }
        ),
        flush=True,
    )
    return by_epoch[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=None, help="of the training set")
    options = parser.parse_args()
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))  # workers import `nets`
    alone = fitted("single process", options)
    cluster = Cluster(workers=REPLICAS, servers=SERVERS, policy=Async(max_staleness=STALENESS))
    apart = fitted("3 replicas of 2", options, cluster=cluster, partitions=PARTITIONS)
    print(json.dumps({"difference_points": round(100 * (apart - alone), 2)}))


if __name__ == "__main__":
    main()
