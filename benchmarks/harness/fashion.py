"""Fashion-MNIST under each policy: as many samples a step, the same schedule, the same epochs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from widemargin.cluster import Async, Cluster, RoundRobin, Sync
from widemargin.errors import choose
from widemargin.nets import Trainer, Virtual, optimizers

FILE = Path(__file__).parents[2] / ".." / "shared" / "data" / "fashion_mnist"
FILE = FILE / "fashion_mnist.npz"
WORKERS = 4
POLICIES: dict[str, Any] = {
    "single process": None,
    "sync": Sync(0),
    "async": Async(),
    "round robin": RoundRobin(),
}


class Pictures(NamedTuple):
    """Training and test samples. `hold` > 0: so many of the training samples are held out, and
    stand where the test samples would."""

    train: torch.utils.data.TensorDataset
    test: torch.utils.data.TensorDataset


def pictures(hold: int = 0, most: int | None = None) -> Pictures:
    arrays = np.load(FILE)

    def part(name: str, rows: slice) -> torch.utils.data.TensorDataset:
        x = torch.from_numpy(arrays[f"x_{name}"][rows]).float().div_(255.0).unsqueeze(1)
        return torch.utils.data.TensorDataset(x, torch.from_numpy(arrays[f"y_{name}"][rows]).long())

    if not hold:
        return Pictures(part("train", slice(most)), part("test", slice(None)))
    return Pictures(part("train", slice(hold, most and hold + most)), part("train", slice(hold)))


def trained(name: str, build: Callable[[], Any], data: Pictures, asked: Any, seed: int) -> float:
    """The accuracy at the end, of one policy and seed; a line is told."""
    policy, engine = POLICIES[name], None
    if policy is not None:
        kind: Any = Virtual if asked.virtual else Cluster
        engine = kind(workers=WORKERS, servers=asked.servers, policy=policy)
    optimizer = optimizers.Adam(lr=asked.lr, schedule=asked.schedule, decay=asked.decay)
    batch = asked.batch // WORKERS if name == "sync" else asked.batch  # as many samples a step
    loss = torch.nn.functional.cross_entropy
    trainer = Trainer(build, loss, optimizer, engine, seed=seed, average=asked.average)
    trainer.fit(data.train, asked.epochs, batch)
    return float(trainer.evaluate(data.test, ["accuracy"])["accuracy"])


def accuracy(asked: Any, build: Callable[[], Any], told: Callable[..., None]) -> None:
    """A line for each policy and seed, then the table: mean, and points below one process."""
    torch.set_num_threads(1)
    data, found = pictures(asked.hold, asked.most), {}
    for name in asked.only or POLICIES:
        choose("--only", name, POLICIES)
        for seed in asked.seeds:
            began = time.perf_counter()
            reached = trained(name, build, data, asked, seed)
            seconds = round(time.perf_counter() - began, 1)
            told(what=name, seed=seed, accuracy=round(reached, 4), seconds=seconds)
            found.setdefault(name, []).append(reached)
    base = statistics.mean(found.get("single process", [float("nan")]))
    for name, values in found.items():
        mean = statistics.mean(values)
        told(
            what="accuracy",
            policy=name,
            on="held-out" if asked.hold else "test",
            virtual=asked.virtual,
            mean=round(100 * mean, 2),
            below_one_process=round(100 * (base - mean), 2),
            seeds=len(values),
        )
