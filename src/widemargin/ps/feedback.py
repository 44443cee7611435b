"""Error feedback: what compression left behind of a worker's gradients goes into the next one.

    a = g + e,    ĝ = C(a) is sent,    e ← a − ĝ  once ĝ is committed

So over the gradients of a worker that were committed Σ ĝ + e = Σ g: nothing is lost, it comes
later. Stich et al., 2018, Algorithm 1; Karimireddy et al., 2019, Algorithm 2.

A gradient that was pushed may still be void: it came late, or its lease was taken away. Then e has
to stay as it was. So the next e is kept beside it, named by the lease, until the coordinator says
with the next lease which one of this worker's it last committed (`Lease.last`). It says so in the
same message that gives the work, so no loss, doubling or overtaking parts the two.

e is dropped when a term begins: the coordinator that knew died, or parameters went back to a
snapshot. And it ends with its worker's life. What that costs is as if the gradients that make up e
had not been computed: ‖e‖ ≤ (2 / δ) max ‖g‖ for ‖a − C(a)‖² ≤ (1 − δ) ‖a‖² (Karimireddy et al.,
Lemma 3), and e is what is still to come of gradients of about the last 1 / δ commits. Over named
keys, e waits at a key until a block touches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps.compression import Codec, Encoded, decode, encode, seed_of
from widemargin.ps.gradients import Update
from widemargin.ps.messages import Block, LeaseId


class Rest(NamedTuple):
    """What a gradient leaves behind at the keys it named, None: all."""

    keys: Array | None
    values: Array


class Packer:
    """Encodes a worker's gradients; keeps what they leave behind.

    `starts` are the first keys of the groups and `ends` those after their last. `left` is e, group
    after group; None: 0.
    """

    def __init__(self, codec: Codec, parts: Sequence[tuple[int, int]], seed: int) -> None:
        self.codec, self.parts, self.seed = codec, parts, seed
        self.left: list[Array | None] = [None] * len(parts)
        self.at: LeaseId | None = None  # `left` is what this one left behind
        self.term = -1
        self.pending: LeaseId | None = None  # pushed, and nothing heard of it yet
        self.rests: list[Rest] = []  # what that one leaves behind, if it counts

    def pack(
        self, lease: LeaseId, last: LeaseId | None, block: Block, updates: Sequence[Update]
    ) -> tuple[Encoded, ...]:
        """The gradient of a block, group after group, as it is sent; `last` is the newest lease of
        this worker that was committed."""
        seeds = [seed_of(self.seed, block, g) for g in range(len(updates))]
        if not self.codec.feedback:
            each = zip(updates, self.parts, seeds, strict=True)
            return tuple(encode(self.codec, g, start, seed) for g, (start, _), seed in each)
        self.settle(lease[0], last)
        sent, rests = [], []
        for group, g in enumerate(updates):
            start = self.parts[group][0]
            whole = g._replace(values=self.added(group, g))
            sent.append(encode(self.codec, whole, start, seeds[group]))
            rests.append(Rest(g.keys, less(whole, decode(sent[-1]), start)))
        self.pending, self.rests = lease, rests
        return tuple(sent)

    def settle(self, term: int, last: LeaseId | None) -> None:
        """What became of the gradient before this one."""
        if term != self.term:
            self.forget(term)
        elif last is not None and last == self.pending:
            for group, rest in enumerate(self.rests):
                self.keep(group, rest)
            self.at = last
        self.pending, self.rests = None, []

    def forget(self, term: int) -> None:
        """Begin anew with e = 0."""
        self.term, self.at, self.left = term, None, [None] * len(self.parts)

    def keep(self, group: int, rest: Rest) -> None:
        if rest.keys is None:
            self.left[group] = rest.values
            return
        start, end = self.parts[group]
        left = self.left[group]
        if left is None:
            left = np.zeros((end - start, rest.values.shape[1]), rest.values.dtype)
        left[rest.keys.astype(np.int64) - start] = rest.values
        self.left[group] = left

    def added(self, group: int, g: Update) -> Array:
        """g + e, in room of its own."""
        left, start = self.left[group], self.parts[group][0]
        if left is None:
            return g.values.copy()
        if g.keys is None:
            return g.values + left
        total: Array = g.values + left[g.keys.astype(np.int64) - start]
        return total


def less(whole: Update, sent: Update, start: int) -> Array:
    """a − ĝ, in the room of a."""
    rest = whole.values
    if sent.keys is None or (whole.keys is not None and len(sent.keys) == len(whole.keys)):
        rest -= sent.values
    elif whole.keys is None:
        rest[sent.keys.astype(np.int64) - start] -= sent.values
    else:
        rest[np.searchsorted(whole.keys, sent.keys)] -= sent.values
    return rest


def packer_of(codec: Any, parts: Sequence[tuple[int, int]], seed: int) -> Packer | None:
    """The packer of a run's codec; None where nothing is encoded."""
    return None if codec is None else Packer(codec, parts, seed)
