"""Workers, as the coordinator hears of them: waiting, pushing, failing, gone."""

from __future__ import annotations

from widemargin.ps import commits, leases
from widemargin.ps import messages as m
from widemargin.ps.books import DONE, FAILED, INSTALLING, RUNNING, Books, Gradient
from widemargin.ps.roster import Hand


def beat(books: Books, beat: m.Beat, now: float) -> list[m.Send]:
    if books.phase in (DONE, FAILED):
        return [m.Send(beat.worker, m.Stop())]
    sends: list[m.Send] = []
    hand = books.roster.hands.get(beat.worker)
    if hand is not None and beat.life < hand.life:
        return []
    if hand is not None and beat.life > hand.life:
        sends += dismiss(books, beat.worker, "began anew", now)
        hand = None
    if hand is None:
        hand = books.roster.hands[beat.worker] = Hand(beat.life, now)
        sends += books.event("worker", now, name=beat.worker, life=beat.life)
    hand.seen = now
    if books.phase != RUNNING:
        return sends
    return [*sends, *compare(books, beat, hand, now), *commits.move(books, now)]


def compare(books: Books, beat: m.Beat, hand: Hand, now: float) -> list[m.Send]:
    """What the worker says it does, against what the ledger says."""
    sends: list[m.Send] = []
    mine = leases.of(books, beat.worker)
    for lease in mine:
        if beat.waiting and beat.lease == lease:  # it has left this lease
            sends += leases.void(books, lease, now)
        elif beat.lease is None or beat.lease < lease:
            sends += leases.again(books, lease, now)
    if beat.lease is not None and beat.lease not in mine and not beat.waiting:
        sends.append(m.Send(beat.worker, m.Release(beat.lease)))
    if beat.waiting and not leases.of(books, beat.worker):
        hand.stops(now)
        hand.waiting = True
    return sends


def bury(books: Books, now: float) -> list[m.Send]:
    """Who has been silent for too long counts as dead."""
    limit, sends = now - books.settings.deadline_s, []
    for name in [name for name, hand in books.roster.hands.items() if hand.seen < limit]:
        sends += dismiss(books, name, "silent", now)
    return sends


def dismiss(books: Books, worker: str, why: str, now: float) -> list[m.Send]:
    """A worker is gone: what it had leased is free."""
    del books.roster.hands[worker]
    books.ahead.pop(worker, None)
    sends = books.event("gone", now, name=worker, why=why)
    for lease in leases.of(books, worker):
        sends += leases.void(books, lease, now, tell=False)
    return sends


def left(books: Books, left: m.Left, now: float) -> list[m.Send]:
    """A worker of several processes is not whole: nothing it had counts."""
    hand = books.roster.hands.get(left.worker)
    if hand is None or hand.life > left.life:
        return []
    sends = dismiss(books, left.worker, left.why, now)
    return [*sends, *commits.move(books, now)]


def failed(books: Books, failed: m.Failed, now: float) -> list[m.Send]:
    """A gradient raised an error: the block is tried again, elsewhere if it can be, not forever."""
    held = books.ledger.leases.get(failed.lease)
    if books.phase != RUNNING or held is None or held.worker != failed.worker:
        return []
    count = books.errors[held.block] = books.errors.get(held.block, 0) + 1
    sends = books.event("error", now, block=held.block, error=failed.error)
    if count >= books.settings.attempts:
        reason = f"The gradient of {held.block} failed {count} times: {failed.error}"
        return sends + books.fail(reason, now)
    return [*sends, *leases.void(books, failed.lease, now), *commits.move(books, now)]


def pushed(books: Books, pushed: m.Pushed, now: float) -> list[m.Send]:
    """All of a gradient was sent; if it is long ago, say who did not get it."""
    if books.phase != RUNNING:
        return []
    if pushed.lease not in books.ledger.leases:
        return [m.Send(pushed.worker, m.Release(pushed.lease))]
    gradient = books.gradients.setdefault(pushed.lease, Gradient())
    gradient.version = pushed.version
    if gradient.pushed is None:
        gradient.pushed = now
    overdue = now - gradient.pushed >= books.settings.retry_s
    missing = tuple(n for n in books.roster.required() if n not in gradient.holders)
    if overdue and missing:
        return [m.Send(pushed.worker, m.Missing(pushed.lease, missing))]
    return commits.settle(books, now)


def held(books: Books, held: m.Held, now: float) -> list[m.Send]:
    """A member holds a gradient."""
    if held.lease[0] != books.term or books.phase not in (INSTALLING, RUNNING):
        return []
    if held.lease not in books.ledger.leases:
        known = books.committed(held.lease)
        return [] if known else [m.Send(held.member, m.Release(held.lease))]
    if held.life != books.roster.members[held.member].life:
        return []
    gradient = books.gradients.setdefault(held.lease, Gradient())
    gradient.holders.add(held.member)
    gradient.version, gradient.loss = held.version, held.loss
    return commits.settle(books, now)
