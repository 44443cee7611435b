"""Nets through the parameter server: the cost of a step, and what a policy does to accuracy.

    python benchmarks/nets.py overhead            seconds a step, against DistributedDataParallel
    python benchmarks/nets.py memory              the peak of a worker beyond its module
    python benchmarks/nets.py accuracy            fashion_mnist under each policy
    python benchmarks/nets.py accuracy --virtual  the same in virtual time, in this process
    python benchmarks/nets.py accuracy --virtual --hold 10000     on held-out samples, to tune

Needs the extra [nets]. All prints JSON, one line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from widemargin.cluster import Cluster, Sync
from widemargin.nets import Trainer, optimizers

WORKERS = 2
cross_entropy = torch.nn.functional.cross_entropy


def wide(hidden: int = 1664) -> torch.nn.Module:
    """About 5 million parameters."""
    return torch.nn.Sequential(
        torch.nn.Linear(784, 2048),
        torch.nn.ReLU(),
        torch.nn.Linear(2048, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, 10),
    )


def convolutional() -> torch.nn.Module:
    """A small net for pictures of 28 × 28."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 5, stride=2, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(32 * 7 * 7, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 10),
    )


def noise(samples: int) -> torch.utils.data.TensorDataset:
    x = torch.randn(samples, 784, generator=torch.Generator().manual_seed(0))
    return torch.utils.data.TensorDataset(x, torch.arange(samples) % 10)


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


# seconds a step


def ddp_process(rank: int, port: int, batch: int, steps: int, out: str) -> None:
    """One of two processes of torch's own data parallelism."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=WORKERS)
    torch.manual_seed(0)
    module = torch.nn.parallel.DistributedDataParallel(wide())
    optimizer = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    x, y = noise(batch * WORKERS).tensors
    x, y = x[rank::WORKERS], y[rank::WORKERS]
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(module(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    torch.distributed.destroy_process_group()
    if rank == 0:
        Path(out).write_text(json.dumps(times))


def ddp(batch: int, steps: int) -> float:
    """Median seconds of a step."""
    port = 20000 + os.getpid() % 20000
    with tempfile.NamedTemporaryFile() as file:
        torch.multiprocessing.spawn(ddp_process, (port, batch, steps, file.name), WORKERS)
        return statistics.median(json.loads(Path(file.name).read_text())[3:])


def alone(batch: int, steps: int) -> float:
    """Median seconds of a gradient, with nothing else to do."""
    torch.set_num_threads(1)
    module, (x, y) = wide(), noise(batch).tensors
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        cross_entropy(module(x), y).backward()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def ours(batch: int, steps: int, build: Any = wide, **cluster: Any) -> tuple[float, list[float]]:
    """Median seconds between the commits, and all of them."""
    at: list[float] = []

    def note(event: Any) -> None:
        if event.kind == "commit":
            at.append(event.time)

    engine = Cluster(workers=WORKERS, policy=Sync(0), **cluster)
    trainer = Trainer(build, cross_entropy, optimizers.SGD(0.01, momentum=0.9), engine)
    trainer.fit(noise(batch * WORKERS * steps), 1, batch, callbacks=[note])
    gaps = np.diff(at)[3:]
    return float(np.median(gaps)), [round(float(gap), 4) for gap in gaps]


def overhead(options: argparse.Namespace) -> None:
    """DDP is timed before and after each of ours; its step is the mean of the two medians."""
    configurations = {
        "sync": {"servers": options.servers},
        "replicas and snapshots": {
            "servers": options.servers,
            "replicas": 2,
            "snapshot_every": 20,
        },
    }
    for batch in options.batches:
        before, gradient = ddp(batch, options.steps), alone(batch, 10)
        for name, cluster in configurations.items():
            if options.only and name not in options.only:
                continue
            step, gaps = ours(batch, options.steps, **cluster)
            after = ddp(batch, options.steps)
            theirs = (before + after) / 2
            told(
                what=name,
                batch=batch,
                gradient=round(gradient, 4),
                step=round(step, 4),
                mean=round(statistics.mean(gaps), 4),
                ddp=[round(before, 4), round(after, 4)],
                ratio=round(step / theirs, 3),
            )
            before = after


# memory


class Watch:
    """The largest resident memory of the processes that called `loss`, in bytes, by kind."""

    def __init__(self, folder: str) -> None:
        self.folder, self.peak, self.first = Path(folder), {}, {}
        self.going = True
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self) -> None:
        while self.going:
            for file in self.folder.iterdir():
                try:
                    lines = Path(f"/proc/{file.name}/status").read_text().splitlines()
                except OSError:
                    continue
                kinds = {p[0]: int(p[1]) for p in map(str.split, lines) if p[0].startswith("Rss")}
                used = kinds["RssAnon:"] * 1024, kinds["RssShmem:"] * 1024
                best = self.peak.get(file.name, (0, 0))
                self.peak[file.name] = tuple(map(max, used, best))
            time.sleep(0.002)

    def end(self) -> None:
        self.going = False
        self.thread.join()


class Noting:
    """A loss that tells in which process it is, and what was resident before the first one."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, outputs: Any, targets: Any) -> Any:
        (Path(self.folder) / str(os.getpid())).touch()
        return cross_entropy(outputs, targets)


def memory(options: argparse.Namespace) -> None:
    """With few samples, so that parameters and what is done with them are nearly all there is."""
    build = Broad()
    n = sum(p.numel() for p in build().parameters()) * 4
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(folder)
        engine = Cluster(workers=WORKERS, servers=options.servers)
        trainer = Trainer(build, Noting(folder), optimizers.SGD(0.01, momentum=0.9), engine)
        trainer.fit(noise(8 * WORKERS * 30), 1, 8)
        watch.end()
    base = bare()
    for anon, shared in watch.peak.values():
        told(
            what="memory",
            parameters=n,
            anonymous=(anon - base) / n - 1,
            shared=shared / n,
            note="in sizes of the parameters, beyond the module and an idle worker",
        )


class Broad:
    """About 50 million parameters."""

    def __call__(self) -> torch.nn.Module:
        return wide(23000)


def bare() -> int:
    """Anonymous memory of a process that has imported what a worker imports."""
    import subprocess

    code = (
        "import ray, torch, widemargin.nets.job, widemargin.run.cluster.host as h;"
        "m = torch.nn.Linear(784, 10); m(torch.zeros(8, 784)).sum().backward();"
        "print(open('/proc/self/status').read())"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [line.split() for line in lines.stdout.splitlines() if line.startswith("RssAnon")]
    return int(found[0][1]) * 1024


# accuracy


def accuracy(options: argparse.Namespace) -> None:
    from harness import fashion

    fashion.accuracy(options, convolutional, told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["overhead", "memory", "accuracy"])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.99)
    parser.add_argument("--schedule", default="constant")
    parser.add_argument("--decay", type=float, default=0.0, help='d of the schedule "inverse"')
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--hold", type=int, default=0, help="training samples to measure on")
    parser.add_argument("--most", type=int, help="training samples")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--virtual", action="store_true")
    options = parser.parse_args()
    {"overhead": overhead, "memory": memory, "accuracy": accuracy}[options.what](options)


if __name__ == "__main__":
    main()
