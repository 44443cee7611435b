"""A net that no process may hold: parameters and optimizer state of 2.6 GB, 1.5 GB a process.

    python benchmarks/large_net.py            in three partitions on a Ray of this machine
    python benchmarks/large_net.py --whole    in one process, which runs out of memory

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
from widemargin.nets.optimizers import rule_of  # noqa: E402
from widemargin.nets.partitions import planned  # noqa: E402
from widemargin.nets.samples import source_of  # noqa: E402


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
    """In partitions. A server holds its parameters, two slots, what it reads from a snapshot and
    writes to one, a copy for who pulls: ten times its share in all."""
    rule = rule_of(optimizers.AdamW(lr=1e-3), None)
    layers = (8, 8, 7)
    source = source_of(data(), BATCH)
    job = planned(Partitions(PARTITIONS, layers), build, loss, source, rule, microbatch=BATCH // 4)
    told(parameters=job.n_keys, state_bytes=3 * 4 * job.n_keys, limit=LIMIT)
    cluster = Cluster(workers=1, servers=SERVERS, policy=Async(), deadline_s=60.0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[LOSSES] = str(Path(folder) / "losses")
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        )
        began = time.monotonic()
        with cluster.start(job, 1, shuffle=False) as run:
            peak: dict[str, int] = {}
            while not run.wait(timeout=1.0):
                watch(run, peak)
            watch(run, peak)
            seconds = time.monotonic() - began
            at = [event.time for event in run.events() if event.kind == "commit"]
        values = [float(line) for line in Path(os.environ[LOSSES]).read_text().split()]
    told(commits=len(at), seconds=seconds, seconds_a_step=(at[-1] - at[0]) / (len(at) - 1))
    told(first_loss=values[0], last_loss=values[-1], data_bytes=peak)


def watch(run: Any, peak: dict[str, int]) -> None:
    """The most that each kind of process has had of what is limited."""
    import ray

    from widemargin.run.cluster import fleet
    from widemargin.run.cluster.plan import space

    for role in fleet.roles(run.name):
        try:
            actor = ray.get_actor(role, namespace=space(run.name))
            pid = ray.get(actor.identity.remote(), timeout=1.0)["pid"]
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (ray.exceptions.RayError, OSError, ValueError):
            continue
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
        kind = role if role.startswith("worker") else role.split("-")[0]
        peak[kind] = max(peak.get(kind, 0), 1024 * kilobytes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", action="store_true")
    if parser.parse_args().whole:
        whole()
    else:
        import large_net  # so that other processes find its functions by name

        large_net.cut()
