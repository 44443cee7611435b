"""Events as a coordinator tells them, written by hand."""

import json
import random

from widemargin.ps.messages import Event

N_BLOCKS, GROUPS = 40, (("shard-0.0", "shard-0.1"), ("shard-1.0", "shard-1.1"))


class Teller:
    """Keeps the clock and the numbers that events agree on."""

    def __init__(self, workers=4, start=1000.0):
        self.now, self.events = start, []
        self.term = self.version = self.done = self.lease = 0
        self.stamp = (0, 0)
        self.names = [f"worker-{i}" for i in range(workers)]

    def tell(self, kind, **what):
        self.events.append(Event(kind, self.now, {"term": self.term, **what}))

    def wait(self, seconds):
        self.now += seconds

    def begin(self, **facts):
        """All take part; the first term runs."""
        self.tell("began", **facts)
        self.open("the coordinator begins")
        for name in self.names:
            self.tell("worker", name=name, life=1)
        self.run(self.version)

    def open(self, why):
        self.term += 1
        self.tell("term", why=why)
        for name in [name for group in GROUPS for name in group if self.term == 1]:
            self.tell("member", name=name, life=1)

    def run(self, version, *, rollback=False):
        self.done -= self.version - version
        self.version, self.stamp = version, (self.term, version)
        self.tell("reign", stamp=self.stamp, known=self.stamp, rollback=rollback)
        self.tell("running", version=version)

    def commit(self, blocks=1, late=0, **more):
        """So many blocks, the next ones in order."""
        parts = []
        for _ in range(blocks):
            self.lease += 1
            parts.append(((self.term, self.lease), divmod(self.done, N_BLOCKS)))
            self.done += 1
        before, self.version = self.stamp, self.version + 1
        self.stamp = (self.term, self.version)
        more.setdefault("void", ())
        self.tell("commit", stamp=self.stamp, after=before, parts=tuple(parts), late=late, **more)
        if self.done % N_BLOCKS == 0:
            self.tell("epoch", epoch=self.done // N_BLOCKS - 1, version=self.version)


def lines(events, first=0):
    """As the observer writes them."""
    rows = [["coordinator", 1, first + n, *event] for n, event in enumerate(events)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def story(start=1000.0, seed=0, workers=8):
    """A run of two minutes in which all kinds of things happen."""
    rng, t = random.Random(seed), Teller(workers, start)
    facts = {"name": "rcv1-sync", "policy": "Sync(backup='auto')", "epochs": 8}
    t.begin(**facts, n_blocks=N_BLOCKS, n_samples=N_BLOCKS * 500)

    def work(commits, left_out=(), b=1):
        for _ in range(commits):
            t.wait(0.12 + 0.1 * rng.random() + (0.5 if not b and left_out else 0.0))
            out = [*left_out, *rng.sample(t.names, b)][: max(b, len(left_out))] if b else []
            loss = 0.2 + 0.9 / (1 + t.version / 12) + 0.02 * rng.random()
            n = min(2, N_BLOCKS - t.done % N_BLOCKS)
            void = tuple((t.term, 0) for _ in out)
            t.commit(
                n, 0 if rng.random() < 0.8 else 1, void=void, without=tuple(out), losses=(loss,)
            )
            if t.version % 20 == 0:
                t.tell("snapshot", version=t.version, key="s")

    work(30, b=0)
    t.tell("gone", name="worker-2", why="silent")
    t.tell("void", block=(0, 1), worker="worker-2")
    t.wait(2.1)
    work(6)
    t.tell("worker", name="worker-2", life=2)
    work(25)
    t.tell("lost", name="shard-1.0", why="silent")
    t.wait(0.8)
    t.tell("member", name="shard-1.0", life=2)
    work(8, b=1)
    t.tell("full", name="shard-1.0")
    work(16, left_out=("worker-5",), b=2)
    t.wait(1.4)
    t.open("the coordinator begins")
    for name in t.names:  # they live on
        t.tell("worker", name=name, life=2 if name == "worker-2" else 1)
    for name in [name for group in GROUPS for name in group]:
        t.tell("member", name=name, life=2 if name == "shard-1.0" else 1)
    t.wait(0.9)
    t.run(t.version)
    work(22, left_out=("worker-5",), b=2)
    for name in ("worker-0", "worker-1"):
        t.tell("gone", name=name, why="silent")
    for name in GROUPS[0]:
        t.tell("lost", name=name, why="silent")
    t.open("shard-0.1 silent")
    t.wait(3.0)
    for name in GROUPS[0]:
        t.tell("member", name=name, life=3)
    t.run(t.version - t.version % 20, rollback=True)
    t.wait(1.0)
    work(4, b=1)
    for name in ("worker-0", "worker-1"):
        t.tell("worker", name=name, life=2)
        t.wait(0.7)
    work(30, b=1)
    t.tell("error", block=(3, 7), error="ArithmeticError: a worker's gradient is not finite")
    t.tell("void", block=(3, 7), worker="worker-3")
    work(12, b=1)
    return t
