"""Local steps on a character model: bytes per sample and final loss, beside sync.

    python benchmarks/local_steps.py                     sync, DiLoCo, streaming DiLoCo, Downpour
    python benchmarks/local_steps.py sync diloco         some of them
    python benchmarks/local_steps.py --steps 400         shorter

Needs the extra [nets]. Workers and servers exist in virtual time, in this process; gradients and
messages are real. All arrays in pushes and in answers to pulls are counted, also in vain. Prints
JSON, one line a run. `loss` is the mean cross entropy of the last tenth of the text, which nobody
trains on, in nats a character.

So short a text makes but 20 outer steps, in which momentum 0.9, chosen for hundreds, has not come
to rest: "diloco" and "streaming" have 0.3, "paper" has 0.9, "averages" none.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from widemargin.nets import Downpour, LocalSGD, Trainer, Virtual, optimizers
from widemargin.ps.policy import Async, Sync

TEXT = Path(__file__).parents[1] / ".." / "shared" / "data" / "language" / "input.txt"
WORKERS, SERVERS = 2, 4
LENGTH, BATCH = 64, 16  # characters of a sample, samples of a batch
ADAM = optimizers.AdamW(lr=4e-3)
cross_entropy = torch.nn.functional.cross_entropy


class Characters(torch.nn.Module):
    """A GRU that tells the next character; outputs (batch, characters, length)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(n, 32)
        self.gru = torch.nn.GRU(32, 128, batch_first=True)
        self.out = torch.nn.Linear(128, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.embedding(x))[0]).transpose(1, 2)


class Windows(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A text cut into samples: characters, and those that come after them."""

    def __init__(self, codes: torch.Tensor) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return (len(self.codes) - 1) // LENGTH

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        part = self.codes[i * LENGTH : (i + 1) * LENGTH + 1]
        return part[:-1], part[1:]


def kinds(every: int) -> dict[str, tuple[Any, Any, Any]]:
    """Optimizer, local steps and engine of each run."""
    sync = Virtual(WORKERS, SERVERS, policy=Sync())
    outer = optimizers.SGD(lr=0.9, momentum=0.3, nesterov=True)
    paper = optimizers.SGD(lr=0.7, momentum=0.9, nesterov=True)
    return {
        "sync": (ADAM, None, sync),
        "diloco": (ADAM, LocalSGD(every, outer), sync),
        "streaming": (ADAM, LocalSGD(every, outer, fragments=4), sync),
        "paper": (ADAM, LocalSGD(every, paper), sync),
        "overlap": (ADAM, LocalSGD(every, outer, overlap=True), sync),
        "overlap-eager": (ADAM, LocalSGD(every, outer, overlap=True, mix=0.0), sync),
        "overlap-paper": (ADAM, LocalSGD(every, paper, overlap=True), sync),
        "overlap-streaming": (ADAM, LocalSGD(every, outer, fragments=4, overlap=True), sync),
        "averages": (ADAM, LocalSGD(every, optimizers.SGD(lr=1.0)), sync),
        "downpour": (
            optimizers.Adagrad(lr=0.02),
            Downpour(5, 10, lr=0.1),
            Virtual(WORKERS, SERVERS, policy=Async()),
        ),
    }


def measured(name: str, every: int, train: Windows, test: Windows, epochs: int, n: int) -> Any:
    """Train once; bytes and loss."""
    optimizer, local, engine = kinds(every)[name]
    counts = Counting(engine)
    trainer = Trainer(lambda: Characters(n), cross_entropy, optimizer, counts, local=local)
    began = time.monotonic()
    rows = trainer.fit(train, epochs, BATCH, test)
    payload, peak = moved(counts.run), counts.peak
    samples = epochs * len(train)
    return {
        "run": name,
        "loss": round(rows[-1].values["loss"], 4),
        "bytes_per_sample": round(payload / samples, 1),
        "peak_bytes_per_commit": peak,
        "commits": rows[-1].version,
        "seconds": round(time.monotonic() - began, 1),
    }


def moved(run: Any) -> int:
    """Bytes pushed and pulled so far."""
    wires = run.simulation.wires
    return int(wires.pushed + wires.pulled)


class Counting:
    """An engine that notes the most bytes between two commits, once all workers have begun."""

    def __init__(self, engine: Virtual) -> None:
        self.engine, self.peak = engine, 0

    def start(self, job: Any, epochs: int, seed: int) -> Any:
        self.run: Any = self.engine.start(job, epochs, seed)
        return self

    def events(self) -> Any:
        before, commits = 0, 0
        for event in self.run.events():
            if event.kind == "commit":
                now, commits = moved(self.run), commits + 1
                if commits > 1:
                    self.peak = max(self.peak, now - before)
                before = now
            yield event

    def kept(self, key: str | None = None) -> Any:
        return self.run.kept(key)

    def stop(self) -> None:
        self.run.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", default=["sync", "diloco", "streaming", "downpour"])
    parser.add_argument("--every", type=int, default=100, help="sync_every")
    parser.add_argument("--steps", type=int, help="batches in all; else 4 epochs of the text")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = TEXT.read_text()
    letters = sorted(set(text))
    place = {letter: i for i, letter in enumerate(letters)}
    codes = torch.tensor([place[letter] for letter in text])
    held, epochs = len(codes) * 9 // 10, 4
    train, test = Windows(codes[:held]), Windows(codes[held:])
    if asked.steps:
        train = Windows(codes[: asked.steps * BATCH * LENGTH // epochs + 1])
    for name in asked.runs:
        print(
            json.dumps(measured(name, asked.every, train, test, epochs, len(letters))), flush=True
        )


if __name__ == "__main__":
    main()
