"""Commits: which gradients are whole, which of them become a version, and what that ends."""

from __future__ import annotations

from collections.abc import Collection

from widemargin.ps import archive, leases
from widemargin.ps import messages as m
from widemargin.ps.books import RUNNING, Books
from widemargin.ps.ledger import Held
from widemargin.ps.policy import Sync, Work, best_backup, needed, ready


def settle(books: Books, now: float) -> list[m.Send]:
    """See which gradients are whole, held by every full member, then what follows."""
    if not at_work(books):
        return []
    required = set(books.roster.required())
    for lease, gradient in books.gradients.items():
        if not required <= gradient.holders:
            gradient.arrival = None  # also when a member has become full since
        elif gradient.arrival is None:
            books.arrived += 1
            gradient.arrival = books.arrived
            hand = books.roster.hands.get(books.ledger.leases[lease].worker)
            if hand is not None:
                hand.ends(now)
    return move(books, now)


def move(books: Books, now: float) -> list[m.Send]:
    """Commit while there is something to commit, then give work to who waits."""
    if not at_work(books):
        return []
    sends: list[m.Send] = []
    while not books.ledger.done and (chosen := next_commit(books, now)):
        sends += decide(books, chosen, now)
    return sends + leases.grant(books, now)


def at_work(books: Books) -> bool:
    return books.phase == RUNNING and books.roster.serving()


def next_commit(books: Books, now: float) -> list[m.LeaseId]:
    n = n_needed(books, now)
    if sum(gradient.arrival is not None for gradient in books.gradients.values()) < n:
        return []
    work = {
        lease: Work(held.worker, held.block, held.version, arrival(books, lease))
        for lease, held in books.ledger.leases.items()
    }
    return ready(books.settings.policy, work, n, books.turn)


def arrival(books: Books, lease: m.LeaseId) -> int | None:
    gradient = books.gradients.get(lease)
    return None if gradient is None else gradient.arrival


def n_needed(books: Books, now: float) -> int:
    """N of a synchronous commit."""
    policy = books.settings.policy
    if not isinstance(policy, Sync):
        return 1
    hands = books.roster.at_work(now)
    backup = policy.backup
    if backup == "auto":
        backup = best_backup(books.roster.arrivals(books.ledger.leases, now))
    n = needed(backup, len(hands), books.ledger.left)
    return max(1, min(n, within_reach(books, hands)))


def within_reach(books: Books, hands: Collection[str]) -> int:
    """How many blocks can come together: those that are leased, some perhaps twice, and free ones
    that workers without a lease may take. What was freed when all others are done comes next time.
    """
    leases = books.ledger.leases.values()
    busy = {held.worker for held in leases}
    idle = [name for name in hands if name not in busy]
    return len({held.block for held in leases}) + min(len(books.ledger.free), len(idle))


def decide(books: Books, chosen: list[m.LeaseId], now: float) -> list[m.Send]:
    """Commit these gradients as one version, blocks in order: from here on it is so."""
    before, epoch, known = books.stamp, books.ledger.epoch, dict(books.ledger.leases)
    parts = tuple(sorted(((lease, known[lease].block) for lease in chosen), key=lambda p: p[1]))
    books.stamp = (books.term, books.version + 1)
    losses = tuple(books.gradients[lease].loss for lease, _ in parts)
    books.log[books.version] = m.Entry(books.version, books.term, parts, losses)
    books.turn = known[chosen[-1]].worker
    books.last.update({known[lease].worker: lease for lease in chosen})
    ended = end(books, parts)
    void = tuple(lease for lease in ended if lease not in dict(parts))
    without = sorted({known[lease].worker for lease in void})
    for hand in [books.roster.hands[name] for name in without if name in books.roster.hands]:
        hand.stops(now)
    what = {"stamp": books.stamp, "after": before, "parts": parts, "losses": losses, "void": void}
    late = max(before[1] - known[lease].version for lease in chosen)
    sends = books.event("commit", now, **what, without=tuple(without), late=late)
    if books.ledger.epoch > epoch:
        sends += books.event("epoch", now, epoch=epoch, version=books.version)
    sends += tell(books, known, ended, void)
    return sends + archive.due(books, books.ledger.epoch > epoch, now)


def end(books: Books, parts: tuple[tuple[m.LeaseId, m.Block], ...]) -> list[m.LeaseId]:
    """The leases that a commit ends: its own, others on its blocks; in sync all older ones."""
    ended = books.ledger.commit([block for _, block in parts])
    if isinstance(books.settings.policy, Sync):
        ended += list(books.ledger.leases)
        for lease in list(books.ledger.leases):
            books.ledger.give_back(lease)
    for lease in ended:
        books.gradients.pop(lease, None)
    return ended


def tell(
    books: Books,
    known: dict[m.LeaseId, Held],
    ended: list[m.LeaseId],
    void: tuple[m.LeaseId, ...],
) -> list[m.Send]:
    """Shards apply the commit, workers are free."""
    commit = m.Commit(books.term, (books.log[books.version],), void, books.base[1])
    sends = [m.Send(name, commit) for name in books.roster.present()]
    return sends + [m.Send(known[lease].worker, m.Release(lease)) for lease in ended]
