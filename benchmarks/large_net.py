"""A net that no process may hold: parameters and optimizer state of 2.6 GB, 1.5 GB a process.

    python benchmarks/large_net.py            in three partitions on a Ray of this machine
    python benchmarks/large_net.py --whole    in one process, which runs out of memory

From the first values to the saved files: `fit` evaluates each epoch here, and `save` writes a file
for each partition, of which one at a time is read again.

The limit is RLIMIT_DATA, what a process may allocate for itself, set here and inherited by all that
this process starts: Ray's own processes, servers and partitions. (RLIMIT_AS would count what
torch's libraries map and Ray's shared store; RLIMIT_RSS does nothing on Linux.) A thread's stack
counts in full, so stacks are 1 MB. Prints JSON, a line a measurement.
Needs the extra [nets], 18 GB of memory in all and 6 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

LIMIT = 1_500_000_000
WIDTH, LAYERS, PARTITIONS, SERVERS = 3072, 23, 3, 12
SAMPLES, BATCH, CLASSES = 160, 16, 10
LOSSES = "WIDEMARGIN_LOSSES"  # names the file that the last partition writes its losses to

for kind, bytes_ in ((resource.RLIMIT_DATA, LIMIT), (resource.RLIMIT_STACK, 1 << 20)):
    resource.setrlimit(kind, (bytes_, resource.getrlimit(kind)[1]))

import torch  # noqa: E402  under the limit

from widemargin.cluster import Async, Cluster  # noqa: E402
from widemargin.nets import Partitions, Trainer, optimizers  # noqa: E402


class Residual(torch.nn.Module):  # type: ignore[misc]
    """x + tanh(W x + b) / 4."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        return x + torch.tanh(self.line(x)) / 4


def build() -> torch.nn.Module:
    return torch.nn.Sequential(*(Residual() for _ in range(LAYERS)))


def loss(outputs: Any, targets: Any) -> Any:
    value = torch.nn.functional.cross_entropy(outputs, targets)
    if LOSSES in os.environ:
        with open(os.environ[LOSSES], "a") as stream:
            print(float(value), file=stream)
    return value


def data() -> torch.utils.data.TensorDataset:
    """Points around the centres of their classes."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(SAMPLES) % CLASSES
    x = torch.randn(CLASSES, WIDTH, generator=generator)[y]
    return torch.utils.data.TensorDataset(x + torch.randn(x.shape, generator=generator), y)


def told(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def whole() -> None:
    """The same in one process: it does not fit."""
    trainer = Trainer(build, loss, optimizers.AdamW(lr=1e-3), partitions=1)
    try:
        trainer.fit(data(), 1, BATCH)
    except (MemoryError, RuntimeError) as error:
        told(processes=1, error=f"{type(error).__name__}: {str(error).splitlines()[0]}")


def cut() -> None:
    """In partitions. A server holds its parameters and two slots, and as much again while it reads
    or writes a snapshot: six times its share in all. This process holds a partition at most."""
    here, peak, commits = Path(__file__).parent, dict[str, int](), []
    cut = Partitions(PARTITIONS, (8, 8, 7))
    cluster = Cluster(workers=1, servers=SERVERS, policy=Async(), deadline_s=10.0)
    trainer = Trainer(
        build, loss, optimizers.AdamW(lr=1e-3), cluster, microbatch=BATCH // 4, partitions=cut
    )

    def watch(event: Any) -> None:
        if event.kind == "commit":
            commits.append(event.time)
        elif event.kind in ("gone", "lost", "term", "failed"):
            told(**{event.kind: event.what}, data_bytes=dict(peak))
        look(peak)

    with tempfile.TemporaryDirectory() as folder:
        os.environ[LOSSES] = str(Path(folder) / "losses")
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(here), os.environ.get("PYTHONPATH", "")])
        )
        began = time.monotonic()
        rows = trainer.fit(data(), 1, BATCH, data(), metrics=["accuracy"], callbacks=[watch])
        seconds = time.monotonic() - began
        values = [float(line) for line in Path(os.environ[LOSSES]).read_text().split()]
        told(commits=len(commits), seconds=seconds, first_loss=values[0], evaluated=rows[0].values)
        began = time.monotonic()
        trainer.save(Path(folder) / "net")
        own(peak)
        index = json.loads((Path(folder) / "net" / "model.safetensors.index.json").read_text())
        size, files = index["metadata"]["total_size"], len(set(index["weight_map"].values()))
        told(saved_bytes=size, files=files, seconds=time.monotonic() - began)
    told(parameters=size // 4, state_bytes=3 * size, limit=LIMIT, data_bytes=peak)
    told(seconds_a_step=(commits[-1] - commits[0]) / (len(commits) - 1))


def look(peak: dict[str, int]) -> None:
    """The most that each kind of process has had of what is limited."""
    import ray

    from widemargin.run.cluster import fleet
    from widemargin.run.cluster.plan import space

    own(peak)
    for name in fleet.runs():
        for role in fleet.roles(name):
            kind = role if role.startswith("worker") else role.split("-")[0]
            with suppress(ray.exceptions.RayError, OSError, ValueError):
                actor = ray.get_actor(role, namespace=space(name))
                note(peak, kind, ray.get(actor.identity.remote(), timeout=1.0)["pid"])


def own(peak: dict[str, int]) -> None:
    note(peak, "driver", os.getpid())


def note(peak: dict[str, int], kind: str, pid: int) -> None:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
    peak[kind] = max(peak.get(kind, 0), 1024 * kilobytes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", action="store_true")
    if parser.parse_args().whole:
        whole()
    else:
        import large_net  # so that other processes find its functions by name

        large_net.cut()
