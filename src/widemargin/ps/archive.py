"""Snapshots: the parts of all groups at one version, then the manifest that makes them whole.

Commits have one order, so "the state of version v" is a consistent cut without stopping anyone:
each member saves when it gets there. The manifest holds the ledger of the same version.
"""

from __future__ import annotations

from widemargin.ps import messages as m
from widemargin.ps.books import DONE, Books, Pending
from widemargin.ps.keys import manifest_key, part_key, snapshot_key


def due(books: Books, epoch_ended: bool, now: float) -> list[m.Send]:
    """A snapshot at the end of an epoch, and every so many commits if none is being made."""
    every = books.settings.snapshot_every
    if epoch_ended or (every and books.version % every == 0 and books.pending is None):
        return begin(books, now)
    return []


def begin(books: Books, now: float) -> list[m.Send]:
    groups = set(range(len(books.settings.groups)))
    key, record = snapshot_key(books.stamp), books.ledger.record()
    books.pending = Pending(key, books.stamp, record, groups, now)
    return ask(books, books.pending, now)


def ask(books: Books, pending: Pending, now: float) -> list[m.Send]:
    """Ask a full member of each group whose part is missing, another one each time."""
    pending.asked, pending.tries = now, pending.tries + 1
    if not pending.missing:
        key = manifest_key(pending.key)
        save = m.Save(books.term, key, pending.manifest, m.COORDINATOR)
        return [m.Send(m.STORAGE, save)]
    sends = []
    for g in sorted(pending.missing):
        names = books.roster.full(g)
        if names:
            order = m.Snapshot(books.term, pending.stamp[1], pending.key)
            sends.append(m.Send(names[pending.tries % len(names)], order))
    return sends


def saved(books: Books, key: str, now: float) -> list[m.Send]:
    """Storage has a part, or the manifest."""
    pending = books.pending
    if pending is None:
        return []
    if key == manifest_key(pending.key):
        return whole(books, pending, now)
    before = len(pending.missing)
    pending.missing = {g for g in pending.missing if part_key(pending.key, g) != key}
    last = before and not pending.missing
    return ask(books, pending, now) if last else []


def whole(books: Books, pending: Pending, now: float) -> list[m.Send]:
    """The log before it is needless, and older snapshots but one."""
    oldest, books.latest, books.pending = books.base, pending.manifest, None
    behind = [books.roster.members[name].stamp[1] for name in books.roster.all_full()]
    for version in [v for v in books.log if v <= min([pending.stamp[1], *behind])]:
        del books.log[version]
    sends = [m.Send(m.STORAGE, m.Outdate(oldest))]
    sends += books.event("snapshot", now, version=pending.stamp[1], key=pending.key)
    if books.ledger.done and books.stamp == pending.stamp:
        books.phase = DONE
        sends += books.event("done", now, stamp=books.stamp, key=pending.key)
        sends += [m.Send(name, m.Stop()) for name in books.roster.hands]
    return sends


def repeat(books: Books, now: float) -> list[m.Send]:
    """Ask again for what is missing, while it can still be had; else give the snapshot up."""
    pending = books.pending
    if pending is None or now - pending.asked < books.settings.retry_s:
        return []
    if pending.missing and pending.stamp != books.stamp:
        if now - pending.since > books.settings.deadline_s:
            books.pending = None
        return []
    return ask(books, pending, now)
