"""Less on the wire: bytes a step and final loss of a small net for each compression.

    python benchmarks/compression.py              the table; about 3 minutes of one core
    python benchmarks/compression.py --speed      GB of float32 a second that each codec encodes

The net predicts the next of the characters of `language/input.txt` from the eight before it, by
synchronous SGD of four workers and two servers in virtual time. Bytes are those of the arrays that
one worker pushes in one step. The loss is that of held-out text, in nats, of the averaged
parameters. Needs the extra [nets].
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from widemargin.cluster import BFloat16, Int8, Sync, TopK
from widemargin.nets import Trainer, Virtual, optimizers
from widemargin.ps.compression import decode, encode, seed_of
from widemargin.ps.feedback import Packer
from widemargin.ps.gradients import Update
from widemargin.ps.messages import Block
from widemargin.schedules import Averaged

TEXT = Path(__file__).parents[1] / ".." / "shared" / "data" / "language" / "input.txt"
CONTEXT, CHARACTERS, WIDTH, HIDDEN = 8, 65, 12, 96
CODECS = {
    "none": None,
    "bf16": BFloat16(),
    "bf16, at random": BFloat16(stochastic=True),
    "int8": Int8(),
    "int8, feedback": Int8(feedback=True),
    "top-k 1 %": TopK(0.01, feedback=False),
    "top-k 1 %, feedback": TopK(0.01),
}


def characters() -> torch.nn.Module:
    """Eight characters to the scores of the next."""
    return torch.nn.Sequential(
        torch.nn.Embedding(CHARACTERS, WIDTH),
        torch.nn.Flatten(),
        torch.nn.Linear(CONTEXT * WIDTH, HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Linear(HIDDEN, CHARACTERS),
    )


def samples(train: int, test: int) -> list[torch.utils.data.TensorDataset]:
    """The beginning of the text, and its end."""
    text = np.frombuffer(TEXT.read_bytes(), np.uint8)
    codes = np.searchsorted(np.unique(text), text)
    windows = np.lib.stride_tricks.sliding_window_view(codes, CONTEXT + 1)
    parts = []
    for part in (windows[:train], windows[-test:]):
        x = torch.from_numpy(part.astype(np.int64))
        parts.append(torch.utils.data.TensorDataset(x[:, :-1], x[:, -1]))
    return parts


class Watched:
    """An engine that remembers its run."""

    def __init__(self, engine: Virtual) -> None:
        self.engine = engine
        self.run: Any = None

    def start(self, job: Any, epochs: int, seed: int) -> Any:
        self.run = self.engine.start(job, epochs, seed)
        return self.run


def table(options: argparse.Namespace) -> None:
    train, test = samples(options.train, options.test)
    loss, plain, whole = torch.nn.functional.cross_entropy, 0.0, 0.0
    print(f"{'':21} {'bytes':>8} {'':>6} {'loss':>8} {'against none':>13} {'seconds':>8}")
    for name, codec in CODECS.items():
        if options.only and name not in options.only:
            continue
        engine = Watched(Virtual(options.workers, 2, policy=Sync(0), compression=codec))
        rule = optimizers.SGD(schedule=Averaged(options.lr, options.decay))
        trainer = Trainer(
            characters, loss, rule, engine, average=0.995, seed=options.seed, progress=False
        )
        commits: list[Any] = []
        began = time.perf_counter()
        trainer.fit(
            train,
            options.epochs,
            options.batch,
            callbacks=[
                lambda event, seen=commits: seen.append(event) if is_commit(event) else None
            ],
        )
        seconds = time.perf_counter() - began
        found = trainer.evaluate(test)["loss"]
        pushes = sum(len(event.what["parts"]) for event in commits)
        size = engine.run.simulation.wires.pushed / pushes
        plain, whole = plain or found, whole or size
        print(
            f"{name:21} {size:8,.0f} {whole / size:5.1f}x {found:8.4f} {found / plain - 1:+13.2%} "
            f"{seconds:8.1f}",
            flush=True,
        )
    print(f"{len(commits):,} steps of {options.workers} gradients of {options.batch} samples")


def is_commit(event: Any) -> bool:
    return bool(event.kind == "commit")


def speed() -> None:
    """Of a gradient of 5 million entries, on one core; medians of nine."""
    g = np.random.default_rng(0).normal(size=(5_000_000, 1)).astype(np.float32)
    update, seed = Update(None, g, 32.0), seed_of(0, Block(0, 0), 0)
    print(f"{'GB of float32 a second':50} {'encode':>8} {'decode':>8}")
    for codec in (BFloat16(), BFloat16(stochastic=True), Int8()):
        sent = encode(codec, update, 0, seed)
        there = rate(lambda c=codec: encode(c, update, 0, seed), g.nbytes)
        print(f"{codec!s:50} {there:8.1f} {rate(lambda s=sent: decode(s), g.nbytes):8.1f}")
    alone = TopK(feedback=False)
    print(f"{alone!s:50} {rate(lambda: encode(alone, update, 0, seed), g.nbytes):8.1f}")
    for codec in (BFloat16(feedback=True), Int8(feedback=True), TopK()):
        packer, count = Packer(codec, [(0, len(g))], 0), iter(range(1, 1000))

        def pack(packer: Packer = packer, count: Any = count) -> None:
            i = next(count)
            packer.pack((1, i), (1, i - 1), Block(0, i), (update,))

        print(f"{codec!s:50} {rate(pack, g.nbytes):8.1f}")


def rate(work: Any, size: int) -> float:
    times = []
    for _ in range(11):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return size / statistics.median(times[2:]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--train", type=int, default=200_000)
    parser.add_argument("--test", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--decay", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    speed() if options.speed else table(options)


if __name__ == "__main__":
    main()
