"""What workers pushed, judged: every gradient encoded as it should be, and none of it lost.

Gradients are computed again from what was pulled. For each worker, life and term, in the order of
its leases, with e = 0 at first:

    a = g + e,    what was pushed is C(a), bit for bit;    if it was committed, e ← a − ĝ

And over what a worker had committed when it last encoded, Σ ĝ + e = Σ g with the e that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.compression import decode, encode, seed_of
from widemargin.ps.gradients import Update
from widemargin.ps.job import split_update
from widemargin.ps.simulate import Simulation
from widemargin.ps.simulate_process import Computation

ROUNDING = 1e-5  # of the sums of one chain, relative to the largest


class Link(NamedTuple):
    """One computation of a worker, and the gradient of its block."""

    lease: m.LeaseId
    made: Computation
    gradient: tuple[Update, ...]


def encoded_as_promised(sim: Simulation) -> list[str]:
    """Each push that is not what it should be; each worker that has lost or doubled something."""
    if sim.settings.compression is None:
        return []
    parts = [e.what["parts"] for e in sim.events if e.kind == "commit"]
    committed = {lease for part in parts for lease, _ in part}
    wrong: list[str] = []
    for links in chains(sim):
        chain = Chain(sim)
        wrong += [told for link in links for told in chain.follow(link, committed)]
        wrong += chain.held_by(links[-1])
    return wrong


def chains(sim: Simulation) -> Iterator[list[Link]]:
    """The computations of each worker, life and term, in their order."""
    task, done = sim.setup.job.open(), []
    for lease, several in sim.gradients.items():
        for made in several:
            keys = None if made.keys[0] is None else np.concatenate(made.keys)
            g = split_update(task.compute(made.block, made.values, keys), sim.parts)
            done.append(Link(lease, made, g))

    def owner(link: Link) -> tuple[str, int, int]:
        return link.made.worker, link.made.life, link.lease[0]

    for _, links in groupby(sorted(done, key=lambda link: (owner(link), link.lease)), key=owner):
        yield list(links)


class Chain:
    """e of one worker, kept over all keys of each group, and the sums that it has to answer for."""

    def __init__(self, sim: Simulation) -> None:
        self.sim, self.before = sim, list[Array]()
        like = [np.asarray(sim.setup.job.first(part)) for part in sim.parts]
        self.e = [np.zeros_like(part) for part in like]
        self.owed = [np.zeros_like(part) for part in like]  # Σ g − Σ ĝ

    def follow(self, link: Link, committed: set[m.LeaseId]) -> Iterator[str]:
        settings, self.before = self.sim.settings, [each.copy() for each in self.owed]
        codec = settings.compression
        assert codec is not None
        for group, (g, sent) in enumerate(zip(link.gradient, link.made.updates, strict=True)):
            start, at = self.sim.parts[group].start, self.places(group, g.keys)
            whole = g._replace(values=g.values + self.e[group][at])
            expected = encode(codec, whole, start, seed_of(settings.seed, link.made.block, group))
            if not same(expected, sent):
                told = f"{link.made.worker} pushed for {link.made.block}, lease {link.lease}, group"
                yield f"{told} {group}: not C(g + e) of what it had left behind"
            if codec.feedback and link.lease in committed:
                back = decode(sent)
                named = self.places(group, back.keys)
                self.e[group][at] = whole.values
                self.e[group][named] -= back.values
                self.owed[group][at] += g.values
                self.owed[group][named] -= back.values

    def places(self, group: int, keys: Any) -> Any:
        if keys is None:
            return slice(None)
        return keys.astype(np.int64) - self.sim.parts[group].start

    def held_by(self, last: Link) -> Iterator[str]:
        """Σ ĝ + e = Σ g up to what `last` was encoded with, if its worker lives and is there."""
        process = self.sim.processes[last.made.worker]
        packer = None if process.carrier is None else process.carrier.packer
        if packer is None or process.life != last.made.life or packer.pending != last.lease:
            return
        for group, owed in enumerate(self.before):
            left = packer.left[group]
            e = np.zeros_like(owed) if left is None else left
            if not np.allclose(e, owed, rtol=ROUNDING, atol=ROUNDING):
                off = float(np.abs(e - owed).max())
                yield f"{last.made.worker} holds an e in group {group} that is off by {off:.3g}"


def same(one: Any, other: Any) -> bool:
    """Equal, arrays bit for bit."""
    if isinstance(one, tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return bool(one == other)
