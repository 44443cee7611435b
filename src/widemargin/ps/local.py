"""Local steps: a worker trains by itself for a while, and pushes what came of it.

`Rounds` makes a job of rounds from a job of batches. In a round of h batches, from θ as it was
pulled, or as the worker left it,

    θ⁽ⁱ⁺¹⁾ = the inner rule's step from θ⁽ⁱ⁾ with the gradient gᵢ of batch i,    i = 1 … h

and the update that is pushed, and to which the servers apply the outer rule, is

    Δ = θ_pulled − θ⁽ʰ⁾     or, accrued,     g = g₁ + … + g_h

Δ with Nesterov's momentum outside is DiLoCo (Douillard et al., Distributed low-communication
training of language models, 2023); of one fragment at a time, Streaming DiLoCo (Douillard et al.,
Streaming DiLoCo with overlapping communication, 2025). Accrued gradients are Downpour SGD (Dean et
al., Large scale distributed deep networks, 2012, appendix, algorithm 1.1).

With overlap a round goes on from the worker's own θ, before the commit of its last is known, and
merges what was pulled at its end. Of a group with base b, which is what its own steps began from,
and u = b − θ, what they have done since its last push, and G pulled

    b ← mix b + (1 − mix) G,     θ ← b − u,     Δ = u at its turn, then b ← θ

so each step counts in one Δ, wholly, and θ keeps what G cannot contain yet. Streaming DiLoCo mixes
G itself with θ, and drops (1 − mix) of u; mix = 0 and rounds for steps is the eager update of
Kale, Douillard & Donchev (Eager updates for overlapped communication and computation in DiLoCo,
2025) but for the outer rule, which here is the servers' alone.

The state of the inner rule is the worker's own. It goes on from round to round, as far as they were
committed (see `rounds.Recall`), and begins anew with θ where the worker does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps import messages as m
from widemargin.ps.job import Job, Range, Task
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.ps.rounds import Cadence, pushes
from widemargin.schedules import Constant, rate


class Rounds(NamedTuple):
    """A `Job` whose blocks are rounds of `steps` blocks of another, the last of an epoch shorter.

    The inner rate of a round is that of its schedule after version · steps steps.
    """

    job: Job
    inner: Rule
    rule: Rule  # of the servers
    steps: int
    cadence: Cadence = Cadence()
    accrued: bool = False  # push the sum of the gradients, not Δ

    @property
    def n_blocks(self) -> int:
        return -(-self.job.n_blocks // self.steps)

    @property
    def n_keys(self) -> int:
        return self.job.n_keys

    @property
    def sparse(self) -> bool:
        return False

    @property
    def shuffle(self) -> bool:
        return bool(getattr(self.job, "shuffle", True))

    @property
    def fingerprint(self) -> list[Any]:
        mine = [repr(self.inner), self.steps, list(self.cadence), self.accrued]
        return [getattr(self.job, "fingerprint", None), *mine]

    def first(self, keys: Range) -> Any:
        return self.job.first(keys)

    def open(self) -> LocalTask:
        return LocalTask(self, self.job.open())

    def batches(self, block: m.Block) -> list[m.Block]:
        """The batches of a round."""
        start = block.number * self.steps
        stop = min(start + self.steps, self.job.n_blocks)
        return [m.Block(block.epoch, i) for i in range(start, stop)]


def cadence_of(job: Job) -> Cadence | None:
    """That of a job of rounds; None: its blocks are not rounds."""
    return job.cadence if isinstance(job, Rounds) else None


class Inner(NamedTuple):
    """What a worker has after a round."""

    arrays: dict[str, Array]  # θ as its own steps left it, and the state of the inner rule
    base: tuple[Array, ...]  # of each group what was pulled last; with overlap see above


class Steps(NamedTuple):
    """What came of the steps of a round."""

    store: Parameters
    total: Array  # of the gradients
    n: float  # samples
    loss: float | None  # their mean, each before its step


class LocalTask:
    """A worker's side: it keeps what it had after its last rounds, under the names of their leases.

    That is θ and the inner state twice over: a round that is not committed is left as if it had
    not been.
    """

    def __init__(self, job: Rounds, task: Task) -> None:
        self.job, self.task = job, task
        self.past: dict[m.LeaseId, Inner] = {}
        self.ahead: tuple[m.Advance, Steps] | None = None  # a round that may come to be leased

    def touch(self, block: m.Block) -> None:
        return None

    def compute(self, block: m.Block, parts: Sequence[Any], keys: Any) -> Update:
        """A round begun anew from version 0, all groups pushed."""
        store = self._store(None, parts, 0)
        _, total, n, loss = self._steps(store, block)
        theta = np.concatenate(parts)
        return Update(None, total if self.job.accrued else theta - store.read(), n, loss)

    def round(self, ask: m.Compute) -> tuple[Update | None, ...]:
        """The round of a lease, for each group the update; None: its fragment has another turn."""
        assert ask.resume is not None
        origin = ask.resume.origin
        start = None if origin is None else self.past[origin]
        self.past = {} if origin is None or start is None else {origin: start}
        if origin is not None and start is not None and self.job.cadence.mix is not None:
            return self._late(ask, m.Advance(origin, ask.block, ask.version), start)
        self.ahead, base = None, ask.values
        if start is not None:
            base = tuple(o if v is None else v for o, v in zip(start.base, base, strict=True))
        steps = self._steps(self._store(start, ask.values, ask.version), ask.block)
        return self._ended(ask, steps, steps.store.read(), base)

    def advance(self, ask: m.Advance) -> None:
        """The steps of a round that may come to be leased."""
        self.ahead = None
        self.ahead = ask, self._onward(ask, self.past[ask.origin])

    def _late(self, ask: m.Compute, begun: m.Advance, start: Inner) -> tuple[Update | None, ...]:
        """A round from the own parameters, to which what was pulled comes at its end."""
        assert self.job.cadence.mix is not None
        ahead, self.ahead = self.ahead, None
        steps = ahead[1] if ahead and ahead[0] == begun else self._onward(begun, start)
        theta, base = merged(steps.store.read(), start.base, ask.values, self.job.cadence.mix)
        return self._ended(ask, steps, theta, base)

    def _onward(self, ask: m.Advance, start: Inner) -> Steps:
        nothing = (None,) * len(start.base)
        return self._steps(self._store(start, nothing, ask.version), ask.block)

    def _ended(
        self, ask: m.Compute, steps: Steps, theta: Array, base: tuple[Array, ...]
    ) -> tuple[Update | None, ...]:
        """What is pushed after a round, and what is kept."""
        cadence, kept, updates = self.job.cadence, list(base), []
        for g, (part, keys) in enumerate(zip(base, spans(base), strict=True)):
            values = steps.total[keys] if self.job.accrued else part - theta[keys]
            turn = pushes(cadence, g, ask.version)
            updates.append(Update(None, values, steps.n, steps.loss) if turn else None)
            if turn and cadence.mix is not None:
                kept[g] = theta[keys].copy()
        arrays = steps.store.arrays()
        if cadence.mix is not None:
            arrays |= {"theta": theta, "scale": np.array(1.0)}
        self.past[ask.lease] = Inner(arrays, tuple(kept))
        return tuple(updates)

    def prefetch(self, block: m.Block) -> None:
        self.task.prefetch(self.job.batches(block)[0])

    def close(self) -> None:
        self.task.close()

    def _store(self, start: Inner | None, values: Sequence[Any], version: int) -> Parameters:
        """θ and the inner state at the begin of a round: what was pulled in place of the own."""
        eta = rate(self.job.inner.schedule, version * self.job.steps)
        rule = self.job.inner._replace(schedule=Constant(eta))
        if start is None:
            return Parameters.create(rule, np.concatenate(values), 0)
        theta = Parameters.restore(rule, start.arrays, 0).read()
        for part, keys in zip(values, spans(start.base), strict=True):
            if part is not None:
                theta[keys] = part
        own = {**start.arrays, "theta": theta, "scale": np.float64(1.0)}
        return Parameters.restore(rule, own, 0)

    def _steps(self, store: Parameters, block: m.Block) -> Steps:
        """The inner steps of a round, in a store that has its beginning."""
        batches, n, losses = self.job.batches(block), 0.0, 0.0
        total = np.zeros_like(store.read())
        for i, batch in enumerate(batches):
            if i + 1 < len(batches):
                self.task.prefetch(batches[i + 1])
            theta = store.read()
            theta.flags.writeable = False
            update = self.task.compute(batch, [theta], None)
            store.check(update)
            store.apply([update])
            n += update.n
            losses += update.n * (math.nan if update.loss is None else update.loss)
            if self.job.accrued:
                total += update.values
        return Steps(store, total, n, None if math.isnan(losses) else losses / n)


def merged(
    theta: Array, base: Sequence[Array], values: Sequence[Any], mix: float
) -> tuple[Array, tuple[Array, ...]]:
    """θ and the bases once what was pulled has come; None: a group was not."""
    bases = list(base)
    for g, (part, new, keys) in enumerate(zip(base, values, spans(base), strict=True)):
        if new is not None:
            own = part - theta[keys]
            bases[g] = mix * part + (1.0 - mix) * new
            theta[keys] = bases[g] - own
    return theta, tuple(bases)


def spans(parts: Sequence[Array]) -> Iterator[slice]:
    """The places of parts in all of them, one after the other."""
    start = 0
    for part in parts:
        yield slice(start, start + len(part))
        start += len(part)
