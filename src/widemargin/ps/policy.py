"""When gradients become a commit, and when a worker may begin one.

Sync         N gradients of the current version make a commit, their average; N is the number of
             workers at work less `backup`. What comes later is void. Chen et al., Revisiting
             distributed synchronous SGD, 2016.
Async        each gradient is a commit of its own when it is whole. With `max_staleness` s none is
             committed more than s commits after the version it was made of: a worker begins only if
             that would hold even if all others at work came first. Dean et al., Large scale
             distributed deep networks, 2012; Ho et al., More effective distributed ML via a stale
             synchronous parallel parameter server, 2013.
RoundRobin   each gradient is a commit of its own, workers taking turns in the order of their
             names. Zinkevich et al., Slow learners are fast, 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from widemargin.ps.messages import Block, LeaseId


class Sync(NamedTuple):
    """Averages of N gradients; `backup` workers more than needed ("auto": as measured)."""

    backup: int | Literal["auto"] = 0


class Async(NamedTuple):
    """Each gradient when it arrives; at most `max_staleness` commits late (None: however late)."""

    max_staleness: int | None = None


class RoundRobin(NamedTuple):
    """Each gradient in its worker's turn."""


Policy: TypeAlias = Sync | Async | RoundRobin


class Work(NamedTuple):
    """A lease as policies see it."""

    worker: str
    block: Block
    version: int  # of the parameters at its begin
    arrival: int | None  # its place among the whole gradients; None: not whole yet


def needed(backup: int, at_work: int, left: int) -> int:
    """N of a synchronous commit: workers at work less backups, no more than blocks are left."""
    return max(1, min(at_work - backup, left))


def ready(policy: Policy, work: Mapping[LeaseId, Work], n: int, last: str) -> list[LeaseId]:
    """The leases that make the next commit; empty: wait. `last` worker had the last turn."""
    whole = first_to_arrive(work)
    match policy:
        case Sync():
            return whole[:n] if len(whole) >= n else []
        case Async():
            return whole[:1]
        case RoundRobin():
            turn = whose_turn({w.worker for w in work.values()}, last)
            return [k for k, w in work.items() if w.worker == turn and w.arrival is not None][:1]


def first_to_arrive(work: Mapping[LeaseId, Work]) -> list[LeaseId]:
    """The gradients that are whole, in order of arrival, of each block the first."""
    whole = {lease: w.arrival for lease, w in work.items() if w.arrival is not None}
    first: dict[Block, LeaseId] = {}
    for lease in sorted(whole, key=lambda lease: whole[lease]):
        first.setdefault(work[lease].block, lease)
    return list(first.values())


def whose_turn(workers: Iterable[str], last: str) -> str | None:
    """The next name after `last`, round and round."""
    names = sorted(workers)
    after = [name for name in names if name > last]
    return (after or names or [None])[0]  # type: ignore[list-item]


def may_begin(policy: Policy, version: int, begun: Sequence[int]) -> bool:
    """May a worker begin at `version` while gradients `begun` at those versions are under way?

    All of them may come before the oldest, which is then version + len(begun) − oldest commits
    late, the newcomer among those that came before.
    """
    if not isinstance(policy, Async) or policy.max_staleness is None or not begun:
        return True
    return version + len(begun) - min(begun) <= policy.max_staleness


def best_backup(durations: Sequence[float]) -> int:
    """How many of the workers to do without, given how long a gradient takes each of them.

    Waiting for the k fastest of n takes d₍ₖ₎ and yields k gradients, so k maximises k / d₍ₖ₎.
    """
    d = sorted(durations)
    if not d:
        return 0
    k = max(range(1, len(d) + 1), key=lambda k: (k / max(d[k - 1], 1e-9), k))
    return len(d) - k
