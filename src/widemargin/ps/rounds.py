"""Rounds: several batches to a push, and what a worker keeps from one round to the next.

A block of the ledger is then a round. Shards are divided into P fragments, group g in fragment
g mod P. A round of version v pushes the fragment v mod P alone, so group g changes with the commits
that make version c, c − 1 ≡ g (mod P), and a worker pulls the groups that have changed since its
last round. Where it may go on without pulling at all, it pulls every `pull_every` rounds.

With overlap a worker does not wait for a commit: while its round r is pushed and committed, and the
new parameters are on their way to it, it takes the steps of the round that it will probably lease
next, from its own state (`messages.Advance`). Until that lease comes nobody else knows of them, so
they are no matter of the ledger. If r was committed, they are the round; what has been pulled is
merged at its end, one round late (`local.merged`). If not, they are as if they had not been.
"""

from __future__ import annotations

from typing import NamedTuple

from widemargin.ps import messages as m
from widemargin.ps.policy import Async, Policy, Sync


class Cadence(NamedTuple):
    """How much of the parameters a round pushes, and how often a worker pulls."""

    fragments: int = 1
    pull_every: int = 1  # rounds
    mix: float | None = None  # with overlap: what stays of the own parameters; None: no overlap


class Past(NamedTuple):
    """A round that a worker has done: its lease's version, the oldest it was made of, and how many
    rounds there were since a pull, itself counted."""

    version: int
    oldest: int
    rounds: int


def pushes(cadence: Cadence, group: int, version: int) -> bool:
    """Does a round of this version push this group?"""
    return version % cadence.fragments == group % cadence.fragments


def changed(cadence: Cadence, group: int, version: int) -> int:
    """The version with which the group changed last.

    >>> [changed(Cadence(fragments=2), 1, version) for version in range(5)]
    [0, 0, 2, 2, 4]
    """
    return max(0, version - (version - 1 - group) % cadence.fragments)


class Recall:
    """What the process of a worker has kept, as the worker knows it.

    Of use is what it had after a round that was committed: what came of others is not part of the
    history. So a round goes on from the worker's last committed one, or it begins anew, from all
    parameters: at first, after a death, and in a new term.
    """

    def __init__(self, cadence: Cadence | None, groups: int) -> None:
        self.cadence, self.groups = cadence, groups
        self.past: dict[m.LeaseId, Past] = {}

    def begin(self, lease: m.Lease) -> tuple[m.Resume | None, tuple[int, ...]]:
        """From where the round of a lease goes on, and the groups to pull."""
        everything = tuple(range(self.groups))
        if self.cadence is None:
            return None, everything
        last = lease.last
        past = None if last is None else self.past.get(last)
        if last is None or past is None:
            self.past = {}
            return m.Resume(None), everything
        self.past = {last: past}
        if past.rounds < self.cadence.pull_every:
            return m.Resume(last), ()
        new = (g for g in everything if changed(self.cadence, g, lease.version) > past.version)
        return m.Resume(last), tuple(new)

    def oldest(self, lease: m.Lease) -> int:
        """The version that a round without a pull is made of."""
        assert lease.last is not None
        return self.past[lease.last].oldest

    def done(self, lease: m.Lease, oldest: int, pulled: bool) -> None:
        """The gradient of a lease was computed."""
        if self.cadence is None:
            return
        before = self.past.get(lease.last) if lease.last is not None and not pulled else None
        rounds = 1 if before is None else before.rounds + 1
        self.past[lease.lease] = Past(lease.version, oldest, rounds)


def begun_ahead(cadence: Cadence | None, lease: m.Lease) -> list[m.Send]:
    """The round of a lease is computed: with overlap its worker begins with what comes next."""
    if cadence is None or cadence.mix is None or lease.ahead is None:
        return []
    return [m.Send(m.LOCAL, m.Advance(lease.lease, lease.ahead, lease.version + 1))]


def refuse_cadence(cadence: Cadence | None, policy: Policy, groups: int) -> None:
    """ValueError where a policy, or the number of servers, does not go with the rounds."""
    if cadence is None:
        return
    if cadence.mix is not None and not isinstance(policy, Sync):
        raise ValueError(
            f"overlap=True needs policy=Sync(...), got {policy!r}: only there is the version of "
            "the next round known before its lease. Give Sync(), or overlap=False."
        )
    if cadence.fragments > 1 and not isinstance(policy, Sync):
        raise ValueError(
            f"fragments={cadence.fragments} needs policy=Sync(...), got {policy!r}: which fragment "
            "a round pushes is told by its version, the same for all workers. Give Sync(), or "
            "fragments=1."
        )
    refuse_groups(cadence, groups)
    if cadence.pull_every == 1:
        return
    if isinstance(policy, Sync) or (isinstance(policy, Async) and policy.max_staleness is not None):
        raise ValueError(
            f"a pull every {cadence.pull_every} pushes needs policy=Async() or RoundRobin(), got "
            f"{policy!r}: between pulls a worker goes on from parameters of any age. Give one of "
            "them, or pull as often as you push."
        )


def refuse_groups(cadence: Cadence | None, groups: int) -> None:
    """ValueError where fragments cannot be made of the servers."""
    if cadence is not None and groups % cadence.fragments:
        raise ValueError(
            f"fragments={cadence.fragments} must divide servers={groups}: a fragment is made of "
            f"whole ranges of keys. Give servers={cadence.fragments}, or a multiple."
        )


def refuse_compression(cadence: Cadence | None, compressed: bool) -> None:
    """ValueError for rounds whose updates would be compressed."""
    if cadence is not None and compressed:
        raise ValueError(
            "compression does not go with local steps: its error bounds are those of gradients, "
            "not of what many steps have made. Give compression='none', or no local steps."
        )
