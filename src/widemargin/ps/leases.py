"""Leases: giving blocks to workers that wait, and taking them away."""

from __future__ import annotations

from widemargin.ps import messages as m
from widemargin.ps.books import Books
from widemargin.ps.policy import Async, Sync, may_begin

SLOW = 1.5  # a lease this many times older than is typical is given to a second worker
STALLED = 10.0  # and after so many times it is taken away where others wait for it


def grant(books: Books, now: float) -> list[m.Send]:
    """Lease blocks to the workers that wait, as far as the policy lets them begin."""
    if not gathered(books, now):
        return []
    granted: list[tuple[str, m.LeaseId]] = []
    for name in sorted(name for name, hand in books.roster.hands.items() if hand.waiting):
        begun = [held.version for held in books.ledger.leases.values()]
        if not may_begin(books.settings.policy, books.version, begun):
            continue
        hand = books.roster.hands[name]
        lease = (books.term, books.number + 1)
        if not take(books, lease, name, now):
            continue
        books.number += 1
        hand.begins(now)
        granted.append((name, lease))
    return [
        m.Send(name, letter(books, lease, look_ahead(books, name, now))) for name, lease in granted
    ]


def look_ahead(books: Books, name: str, now: float) -> m.Block | None:
    """The block that a worker is to read ahead, once all who waited have theirs."""
    ahead = next_for(books, name, now)
    if ahead is not None:
        books.ahead[name] = ahead
    return ahead


def gathered(books: Books, now: float) -> bool:
    """Synchronous steps are averages of as many gradients in every run, so the first waits for all
    workers that are expected, though not for longer than after which the silent count as dead."""
    settings = books.settings
    if not isinstance(settings.policy, Sync) or books.version or books.number:
        return True
    late = now - books.since >= settings.deadline_s
    return late or len(books.roster.hands) >= settings.workers


def next_for(books: Books, name: str, now: float) -> m.Block | None:
    """The block that a worker will probably lease next; with overlap also in the next epoch.

    Those that come for a block and read none ahead get the first ones, so that a synchronous step
    has the same blocks whoever asks first.
    """
    ledger = books.ledger
    busy = {held.worker for held in ledger.leases.values()}
    ready = {reader for reader, block in books.ahead.items() if ledger.has(block)}
    coming = set(books.roster.at_work(now)) - busy - ready
    ahead = ledger.free_beside(books.ahead, name, len(coming))
    if ahead is not None or not overlaps(books):
        return ahead
    return ledger.following(books.ahead, name)


def overlaps(books: Books) -> bool:
    """Do workers begin with a block before they lease it?"""
    cadence = books.settings.cadence
    return cadence is not None and cadence.mix is not None


def take(books: Books, lease: m.LeaseId, name: str, now: float) -> bool:
    """A free block, first the one it has read ahead, last those that others have; or one that
    another is slow with."""
    ledger = books.ledger
    if ledger.done:
        return False
    wanted = books.ahead.pop(name, None)
    if not ledger.has(wanted):
        wanted = ledger.free_beside(books.ahead, name)
    if ledger.take(lease, name, books.version, now, wanted) is not None:
        return True
    slowest, typical = ledger.slowest(name), books.roster.typical()
    if slowest is None or typical is None:
        return False
    if now - ledger.leases[slowest].since < SLOW * typical:
        return False
    ledger.take_again(lease, slowest, name, books.version, now)
    return True


def letter(books: Books, lease: m.LeaseId, ahead: m.Block | None) -> m.Lease:
    held, exact = books.ledger.leases[lease], isinstance(books.settings.policy, Sync)
    sources, view = books.roster.sources(), books.roster.view()
    last = books.last.get(held.worker)
    return m.Lease(lease, held.block, held.version, exact, sources, view, ahead, last)


def again(books: Books, lease: m.LeaseId, now: float) -> list[m.Send]:
    """The worker has not seen its lease: send it once more."""
    held = books.ledger.leases[lease]
    if now - held.since < books.settings.retry_s:
        return []
    return [m.Send(held.worker, letter(books, lease, None))]


def void(books: Books, lease: m.LeaseId, now: float, *, tell: bool = True) -> list[m.Send]:
    """End a lease without a commit; whoever holds its gradient may forget it."""
    held = books.ledger.give_back(lease)
    gradient = books.gradients.pop(lease, None)
    if held is None:
        return []
    holders = sorted(gradient.holders) if gradient else []
    sends = [m.Send(name, m.Release(lease)) for name in holders]
    if tell:
        sends.append(m.Send(held.worker, m.Release(lease)))
    return sends + books.event("void", now, block=held.block, worker=held.worker)


def of(books: Books, worker: str) -> list[m.LeaseId]:
    return [lease for lease, held in books.ledger.leases.items() if held.worker == worker]


def hurry(books: Books, now: float) -> list[m.Send]:
    """Take leases away that others wait for and that have become hopeless: too old, or of a worker
    that says nothing."""
    policy, typical = books.settings.policy, books.roster.typical()
    if typical is None or (isinstance(policy, Async) and policy.max_staleness is None):
        return []
    limit = max(books.settings.deadline_s, STALLED * typical)
    sends: list[m.Send] = []
    for lease, held in list(books.ledger.leases.items()):
        gradient = books.gradients.get(lease)
        whole = gradient is not None and gradient.arrival is not None
        hand = books.roster.hands[held.worker]
        quiet = hand.seen < now - books.settings.quiet_s
        if not whole and (quiet or now - held.since > limit):
            hand.stalled = True
            sends += void(books, lease, now)
    return sends
