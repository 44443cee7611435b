"""Terms: how the coordinator begins, and begins again when a group has lost its parameters.

opening      the new term's number is kept in storage, so that none is used twice
gathering    members report, and follow no older term from then on
installing   members come to stand at the state that was chosen
running      every group has a full member
"""

from __future__ import annotations

from typing import Any

from widemargin.ps import archive, commits
from widemargin.ps import messages as m
from widemargin.ps.books import GATHERING, INSTALLING, OPENING, RUNNING, Books
from widemargin.ps.ledger import Ledger
from widemargin.ps.reign import Target, newest_known, target


def begin(books: Books, term: int, why: str, now: float) -> list[m.Send]:
    """Void all that is under way."""
    books.phase, books.term, books.since, books.asked = OPENING, term, now, -1e9
    books.number, books.turn, books.pending = 0, "", None
    books.gradients, books.ahead, books.reports, books.log = {}, {}, {}, {}
    books.last = {}
    books.ledger.leases.clear()
    for member in books.roster.members.values():
        member.full = False
    for hand in books.roster.hands.values():
        hand.stops(now)
    return books.event("term", now, why=why) + open_storage(books, now)


def again(books: Books, why: str, now: float) -> list[m.Send]:
    return begin(books, books.term + 1, why, now)


def tick(books: Books, now: float) -> list[m.Send]:
    """Ask again for what has not come."""
    if books.phase in (GATHERING, INSTALLING) and now - books.since > books.settings.give_up_s:
        return books.fail(who_is_missing(books), now)
    match books.phase:
        case "opening":
            return open_storage(books, now)
        case "gathering":
            return gather(books, now)
        case "installing":
            return install(books, now)
    return []


def waits(books: Books, now: float) -> bool:
    """Is it too early to ask again? If not, now is when it was asked."""
    if now - books.asked < books.settings.retry_s:
        return True
    books.asked = now
    return False


def open_storage(books: Books, now: float) -> list[m.Send]:
    """Read the last term, keep the next one, then read the last snapshot: nobody of an older term
    can save one after that."""
    if waits(books, now):
        return []
    if books.stored is None:
        return [m.Send(m.STORAGE, m.Load("term", m.COORDINATOR))]
    if books.stored < books.term:
        return [m.Send(m.STORAGE, m.Save(books.term, "term", books.term, m.COORDINATOR))]
    return [m.Send(m.STORAGE, m.Load("latest", m.COORDINATOR))]


def loaded(books: Books, loaded: m.Loaded, now: float) -> list[m.Send]:
    """What an earlier coordinator left. A term that is told unasked is what storage obeys."""
    if loaded.key == "latest":
        return begin_from(books, loaded.value, now)
    if loaded.key != "term":
        return []
    term = int(loaded.value or 0)
    if books.stored is None:
        books.stored = term
        return begin(books, term + 1, "the coordinator begins", now)
    if term == books.term and books.stored < term:  # kept, but not known to be ours
        return begin(books, term + 1, "another coordinator may have begun", now)
    return overtake(books, term, "storage", now)


def begin_from(books: Books, latest: Any, now: float) -> list[m.Send]:
    if books.phase != OPENING or books.stored != books.term:
        return []
    if latest is None:
        return books.fail("Storage has no snapshot to begin from.", now)
    if not books.latest or tuple(latest["stamp"]) >= books.base:
        books.latest = latest
    books.phase, books.since, books.asked = GATHERING, now, -1e9
    return gather(books, now)


def saved(books: Books, saved: m.Saved, now: float) -> list[m.Send]:
    if saved.term != books.term:
        return []
    if saved.key != "term":
        return archive.saved(books, saved.key, now)
    if books.phase != OPENING or books.stored is None or books.stored >= books.term:
        return []
    books.stored, books.asked = books.term, -1e9
    return open_storage(books, now)


def gather(books: Books, now: float) -> list[m.Send]:
    """Ask who has not reported; choose once enough have."""
    sends: list[m.Send] = []
    if not waits(books, now):
        silent = [name for name in books.roster.members if name not in books.reports]
        sends = [m.Send(name, m.Inquire(books.term)) for name in silent]
    patient = now - books.since < books.settings.deadline_s / 2
    goal = target(books.reports, books.settings.groups, books.base, patient)
    return sends if goal is None else sends + choose(books, goal, now)


def overtake(books: Books, term: int, who: str, now: float) -> list[m.Send]:
    """Another coordinator has begun this term: if it is newer than ours, begin one after it."""
    if books.stored is None or term <= books.term:
        return []
    return begin(books, term + 1, f"{who} knows term {term}", now)


def report(books: Books, report: m.Report, now: float) -> list[m.Send]:
    if report.term > books.term:
        return overtake(books, report.term, report.member, now)
    old = report.life < books.roster.members[report.member].life
    if books.phase != GATHERING or report.term != books.term or old:
        return []
    books.reports[report.member] = report
    return gather(books, now)


def choose(books: Books, goal: Target, now: float) -> list[m.Send]:
    """The ledger goes to where the parameters will stand."""
    books.goal, books.phase, books.since, books.asked = goal, INSTALLING, now, -1e9
    books.stamp = goal.stamp
    books.log = {entry.version: entry for entry in goal.entries or ()}
    blocks = [[block for _, block in entry.parts] for entry in goal.entries or ()]
    books.ledger.restore(books.latest["ledger"], blocks)
    known, back = newest_known(books.reports), goal.entries is None
    what = {"stamp": books.stamp, "base": books.base, "known": known, "rollback": back}
    return books.event("reign", now, **what) + ends_taken_over(books, now) + install(books, now)


def ends_taken_over(books: Books, now: float) -> list[m.Send]:
    """Tell the epochs that ended since the last snapshot: the coordinator who committed their last
    block may have died before the observer heard of it. Who has heard hears it twice."""
    until = books.settings.n_blocks
    record = Ledger(until, books.settings.epochs, books.settings.seed, books.settings.shuffle)
    record.restore(books.latest["ledger"])
    epoch, left, sends = record.epoch, record.left, list[m.Send]()
    for version in sorted(books.log):
        left -= len(books.log[version].parts)
        if left == 0:
            sends += books.event("epoch", now, epoch=epoch, version=version)
            epoch, left = epoch + 1, until
    return sends


def snapshot_is_due(books: Books) -> bool:
    """Of the state that the term begins from: the end of an epoch, which nobody may have kept."""
    at_an_end = books.stamp != books.base and not books.ledger.committed.any()
    return books.ledger.done or at_an_end


def install(books: Books, now: float) -> list[m.Send]:
    if waits(books, now):
        return []
    assert books.goal is not None
    entries = books.goal.entries
    key = books.latest["key"] if entries is None else None
    order = m.Install(books.term, books.goal.stamp, books.base, entries or (), key)
    return [m.Send(name, order) for name in books.roster.members]


def installed(books: Books, group: int, now: float) -> list[m.Send]:
    """A member of the group has said where it stands: run, once every group has a full one."""
    assert books.goal is not None
    if books.goal.entries is not None and books.roster.hopeless(group, books.term):
        return again(books, f"group {group} has lost its parameters", now)
    if not books.roster.serving():
        return []
    books.phase, books.since = RUNNING, now
    sends = books.event("running", now, version=books.version)
    if snapshot_is_due(books):
        sends += archive.begin(books, now)
    return sends + commits.move(books, now)


def who_is_missing(books: Books) -> str:
    missing = [
        f"group {g} ({', '.join(names)})"
        for g, names in enumerate(books.settings.groups)
        if not any(name in books.reports for name in names)
    ]
    return (
        f"{' and '.join(missing) or 'A group'} had no living member for "
        f"{books.settings.give_up_s:g} s (give_up_s). Start the run again: it goes on from its "
        "last snapshot."
    )
