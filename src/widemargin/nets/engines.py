"""Where a net is trained: what every engine offers, and the one of this process.

An engine starts a run of a job. The run tells events (`ps.messages.Event`), the same ones wherever
it is: "commit", "epoch" (the version an epoch ended with), "snapshot" (a version that `kept` can
give now), "done", "failed", and who came and went.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from widemargin.data.rows import Array
from widemargin.errors import SnapshotError, TrainingError
from widemargin.ps import messages as m
from widemargin.ps.compression import Codec, codec_of, decode
from widemargin.ps.feedback import packer_of
from widemargin.ps.job import Job, Range, RoundTask, Task, loss_of, ranges, split_update
from widemargin.ps.kept import Kept, of_arrays
from widemargin.ps.keys import manifest_key, part_key, snapshot_key, stamp_of
from widemargin.ps.ledger import Ledger
from widemargin.ps.local import cadence_of
from widemargin.ps.parameters import Parameters, Update
from widemargin.ps.rounds import Recall, refuse_compression, refuse_groups

WORKER, SERVER = "worker-0", "shard-0.0"


class Run(Protocol):
    """A run under way."""

    def events(self) -> Iterator[m.Event]:
        """All that happens, until the run ends."""
        ...

    def kept(self, key: str | None = None) -> Kept:
        """The parameters of a snapshot, None: the last; θ̄ where the rule keeps it.

        LookupError where there is none, or none any more.
        """
        ...

    def stop(self) -> None:
        """End the run, now; what it holds is let go of."""
        ...


class Engine(Protocol):
    """Where runs are."""

    def start(self, job: Any, epochs: int, seed: int) -> Run: ...


class Records(Protocol):
    """The storage of a run: a folder, or memory."""

    def on(self, message: Any) -> list[m.Send]: ...


class Memory:
    """Storage that ends with the process, and keeps the last snapshot alone."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def on(self, message: Any) -> list[m.Send]:
        match message:
            case m.Save(term, key, value, tell):
                self.kept[key] = value
                if key.endswith("/manifest"):
                    self.kept["latest"] = value
                return [m.Send(tell, m.Saved(key, term))]
            case m.Load(key, tell):
                return [m.Send(tell, m.Loaded(key, self.kept.get(key)))]
            case m.Outdate(oldest):
                for key in [k for k in self.kept if "/" in k and stamp_of(k) < oldest]:
                    del self.kept[key]
        return []


def loaded(records: Records, key: str) -> Any:
    """What is kept under a key, or None."""
    return records.on(m.Load(key, ""))[0].message.value


def parts_of(records: Records, key: str, groups: int) -> list[Any]:
    """The arrays of all groups of a snapshot; LookupError where they are not there any more."""
    try:
        parts = [loaded(records, part_key(key, g)) for g in range(groups)]
    except SnapshotError as error:
        raise LookupError(str(error)) from None
    if not key or any(part is None for part in parts):
        raise LookupError(f"there is no snapshot {key!r}")
    return parts


class Serial(NamedTuple):
    """One worker and one server in this process, by turns: the same steps, bit for bit.

    Snapshots go to `records` at the end of each epoch and every `snapshot_every` commits; a run
    begins from the last one there.
    """

    records: Records | None = None
    snapshot_every: int = 0
    groups: int = 1  # key ranges, as a cluster would keep them
    compression: Codec | str | None = None  # of gradients: what it does to them, without a wire

    def start(self, job: Job, epochs: int, seed: int) -> SerialRun:
        records = Memory() if self.records is None else self.records
        return SerialRun(job, epochs, seed, self._replace(records=records))


class SerialRun:
    """A run of `Serial`: one block after another."""

    def __init__(self, job: Job, epochs: int, seed: int, engine: Serial) -> None:
        assert engine.records is not None
        self.job, self.records, self.every = job, engine.records, engine.snapshot_every
        self.ledger = Ledger(job.n_blocks, epochs, seed, getattr(job, "shuffle", True))
        self.term = int(loaded(self.records, "term") or 0) + 1
        self.version, self.key, self.began = 0, "", time.monotonic()
        latest = loaded(self.records, "latest")
        if latest is None:
            parts = [_created(job, keys) for keys in ranges(job.n_keys, engine.groups)]
        else:
            self.key, self.version = latest["key"], int(latest["stamp"][1])
            parts = parts_of(self.records, self.key, engine.groups)
            self.ledger.restore(latest["ledger"])
        starts = np.cumsum([0, *(len(part["theta"]) for part in parts)])
        self.shards = [
            Parameters.restore(job.rule, part, int(start))
            for part, start in zip(parts, starts[:-1], strict=True)
        ]
        self.cuts = [Range(int(a), int(b)) for a, b in zip(starts, starts[1:], strict=False)]
        self.packer = packer_of(codec_of(engine.compression), self.cuts, seed)
        self.last: m.LeaseId | None = None  # the newest that was committed
        self.records.on(m.Save(self.term, "term", self.term, ""))
        self.task: Task | None = None
        cadence = cadence_of(job)
        refuse_groups(cadence, len(parts))
        refuse_compression(cadence, self.packer is not None)
        self.recall = Recall(cadence, len(parts))

    def events(self) -> Iterator[m.Event]:
        yield self._event("running", version=self.version)
        for name in (WORKER, SERVER):
            yield self._event("worker" if name == WORKER else "member", name=name, life=1)
        self.task = self.job.open()
        try:
            while not self.ledger.done:
                yield from self._step()
        finally:
            self.stop()
        yield self._event("done", stamp=(self.term, self.version), key=self.key)

    def kept(self, key: str | None = None) -> Kept:
        return of_arrays(self.job.rule, parts_of(self.records, key or self.key, len(self.shards)))

    def stop(self) -> None:
        if self.task is not None:
            self.task.close()
        self.task = None

    def _step(self) -> Iterator[m.Event]:
        """One block, from its lease to its commit."""
        assert self.task is not None
        ledger, before = self.ledger, (self.term, self.version)
        lease = (self.term, self.version + 1)
        block = ledger.take(lease, WORKER, self.version, 0.0)
        assert block is not None
        if ledger.free:
            self.task.prefetch(m.Block(block.epoch, ledger.free[0]))
        loss = self._apply(lease, block)
        self.version += 1
        stamp = (self.term, self.version)
        ledger.commit([block])
        parts = ((lease, block),)
        told = {"stamp": stamp, "after": before, "parts": parts, "losses": (loss,)}
        yield self._event("commit", **told, void=(), late=0)
        ended = ledger.epoch > block.epoch
        if ended:
            yield self._event("epoch", epoch=block.epoch, version=self.version)
        if ended or (self.every and self.version % self.every == 0):
            yield self._snapshot(stamp)

    def _apply(self, lease: m.LeaseId, block: m.Block) -> float | None:
        """Do the step of a block; its mean loss before."""
        assert self.task is not None
        values = [shard.read() for shard in self.shards]
        for part in values:
            part.flags.writeable = False
        try:
            pieces, loss = self._pieces(lease, block, values)
        except Exception as error:
            raise TrainingError(
                f"the gradient of block {block.number} of epoch {block.epoch} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        for shard, piece in zip(self.shards, pieces, strict=True):
            if piece is not None:
                shard.check(piece)
                shard.apply([piece])
        return loss

    def _pieces(
        self, lease: m.LeaseId, block: m.Block, values: Sequence[Any]
    ) -> tuple[Sequence[Update | None], float | None]:
        """For each shard the update of a block, and the block's loss."""
        assert self.task is not None
        if self.recall.cadence is not None:
            updates = self._round(lease, block, values)
            return updates, loss_of(updates)
        update = self.task.compute(block, values, None)
        pieces: tuple[Any, ...] = split_update(update, self.cuts)
        if self.packer is not None:
            pieces = self.packer.pack(lease, self.last, block, pieces)
        self.last = lease
        return tuple(map(decode, pieces)), update.loss

    def _round(
        self, lease: m.LeaseId, block: m.Block, values: Sequence[Any]
    ) -> Sequence[Update | None]:
        view = ((SERVER,),) * len(values)
        letter = m.Lease(lease, block, self.version, True, view, view, None, self.last)
        resume, wanted = self.recall.begin(letter)
        pulled = tuple(part if g in wanted else None for g, part in enumerate(values))
        version = self.version if wanted else self.recall.oldest(letter)
        keys = (None,) * len(values)
        ask = m.Compute(lease, block, version, pulled, keys, resume=resume)
        pieces = cast(RoundTask, self.task).round(ask)
        self.recall.done(letter, version, bool(wanted))
        self.last = lease
        return pieces

    def _snapshot(self, stamp: m.Stamp) -> m.Event:
        self.key = snapshot_key(stamp)
        manifest = {"key": self.key, "stamp": list(stamp), "ledger": self.ledger.record()}
        for g, shard in enumerate(self.shards):
            self._save(part_key(self.key, g), shard.arrays())
        self._save(manifest_key(self.key), manifest)
        self.records.on(m.Outdate(stamp))
        return self._event("snapshot", version=self.version, key=self.key)

    def _save(self, key: str, value: Any) -> None:
        self.records.on(m.Save(self.term, key, value, ""))

    def _event(self, kind: str, **what: Any) -> m.Event:
        now = time.monotonic() - self.began
        return m.Event(kind, now, {"term": self.term, **what})


def _created(job: Job, keys: Range) -> dict[str, Array]:
    """The arrays of a store before the first commit."""
    return Parameters.create(job.rule, job.first(keys), keys.start).arrays()
