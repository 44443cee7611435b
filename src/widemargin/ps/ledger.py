"""The ledger: which block of samples is free, leased or committed in the epoch that runs."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from widemargin.ps.messages import Block, LeaseId


class Held(NamedTuple):
    """A lease: who computes what, since when, from which version."""

    worker: str
    block: Block
    version: int
    since: float


def block_order(n_blocks: int, epoch: int, seed: int, shuffle: bool) -> list[int]:
    """The order in which the blocks of an epoch are leased."""
    if not shuffle:
        return list(range(n_blocks))
    return [int(i) for i in np.random.default_rng([seed, epoch]).permutation(n_blocks)]


class Ledger:
    """One epoch's blocks. A block is free, or leased (perhaps twice), or committed once.

    `leases` holds what is under way. A block that was given back comes first in `free`.
    """

    def __init__(self, n_blocks: int, epochs: int, seed: int, shuffle: bool) -> None:
        self.n_blocks, self.epochs, self.seed, self.shuffle = n_blocks, epochs, seed, shuffle
        self.epoch = 0
        self.leases: dict[LeaseId, Held] = {}
        self.begin(np.zeros(n_blocks, bool))

    def begin(self, committed: Any) -> None:
        order = block_order(self.n_blocks, self.epoch, self.seed, self.shuffle)
        self.committed = committed
        self.left = self.n_blocks - int(committed.sum())
        self.free = deque(i for i in order if not committed[i])

    @property
    def done(self) -> bool:
        return self.epoch >= self.epochs

    def take(
        self, lease: LeaseId, worker: str, version: int, now: float, wanted: Block | None = None
    ) -> Block | None:
        """Lease the block `wanted` if it is free, else the next one."""
        if not self.free or self.done:
            return None
        if wanted is not None and self.has(wanted):
            self.free.remove(wanted.number)
            block = wanted
        else:
            block = Block(self.epoch, self.free.popleft())
        self.leases[lease] = Held(worker, block, version, now)
        return block

    def has(self, block: Block | None) -> bool:
        """Is the block free?"""
        return block is not None and block.epoch == self.epoch and block.number in self.free

    def free_beside(self, wanted: Mapping[str, Block], name: str, skip: int = 0) -> Block | None:
        """The next free block that no other worker reads ahead already, after `skip` such."""
        others = {block for worker, block in wanted.items() if worker != name}
        blocks = (Block(self.epoch, i) for i in self.free)
        return next(islice((b for b in blocks if b not in others), skip, None), None)

    def following(self, wanted: Mapping[str, Block], name: str) -> Block | None:
        """The first block of the next epoch that no other worker reads ahead already."""
        if self.epoch + 1 >= self.epochs:
            return None
        others = {block for worker, block in wanted.items() if worker != name}
        order = block_order(self.n_blocks, self.epoch + 1, self.seed, self.shuffle)
        blocks = (Block(self.epoch + 1, i) for i in order)
        return next((b for b in blocks if b not in others), None)

    def take_again(self, lease: LeaseId, of: LeaseId, worker: str, version: int, now: float) -> Any:
        """Lease a block that another worker is slow with."""
        block = self.leases[of].block
        self.leases[lease] = Held(worker, block, version, now)
        return block

    def give_back(self, lease: LeaseId) -> Held | None:
        """End a lease; its block is free again unless committed or under way elsewhere."""
        held = self.leases.pop(lease, None)
        if held is None or self.committed[held.block.number] or held.block.epoch != self.epoch:
            return held
        if all(other.block != held.block for other in self.leases.values()):
            self.free.appendleft(held.block.number)
        return held

    def commit(self, blocks: list[Block]) -> list[LeaseId]:
        """Count the blocks; return the leases that this ends, those on the same blocks."""
        for block in blocks:
            assert block.epoch == self.epoch, f"{block} committed in epoch {self.epoch}"
            assert not self.committed[block.number], f"{block} committed twice"
            self.committed[block.number] = True
            self.left -= 1
        ended = [lease for lease, held in self.leases.items() if held.block in blocks]
        for lease in ended:
            del self.leases[lease]
        if self.left == 0:
            self.epoch += 1
            self.begin(np.zeros(self.n_blocks, bool))
        return ended

    def slowest(self, worker: str) -> LeaseId | None:
        """The oldest lease of another worker on a block that nobody else tries too."""
        tries: dict[Block, int] = {}
        for held in self.leases.values():
            tries[held.block] = tries.get(held.block, 0) + 1
        others = [
            (held.since, lease)
            for lease, held in self.leases.items()
            if held.worker != worker and tries[held.block] == 1
        ]
        return min(others)[1] if others else None

    def record(self) -> dict[str, Any]:
        """What a snapshot keeps: the epoch and its committed blocks, as bits in base 64."""
        bits = base64.b64encode(np.packbits(self.committed).tobytes()).decode("ascii")
        return {"epoch": self.epoch, "committed": bits}

    def restore(self, record: dict[str, Any], commits: Iterable[list[Block]] = ()) -> None:
        """Back to a record and the commits after it; all leases end."""
        self.leases.clear()
        self.epoch = int(record["epoch"])
        bits = np.frombuffer(base64.b64decode(record["committed"]), np.uint8)
        self.begin(np.unpackbits(bits, count=self.n_blocks).astype(bool))
        for blocks in commits:
            self.commit(blocks)
        self.begin(self.committed)
