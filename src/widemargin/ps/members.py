"""Members of groups, as the coordinator hears of them: alive, whole, full, behind, lost."""

from __future__ import annotations

from widemargin.ps import commits, terms
from widemargin.ps import messages as m
from widemargin.ps.books import INSTALLING, RUNNING, Books
from widemargin.ps.roster import Member


def alive(books: Books, alive: m.Alive, now: float) -> list[m.Send]:
    name, member = alive.member, books.roster.members[alive.member]
    if alive.term > books.term:
        return terms.overtake(books, alive.term, name, now)
    if (alive.life, alive.sequence) <= (member.life, member.sequence):
        return []
    sends: list[m.Send] = []
    if member.present and alive.life > member.life:
        sends += gone(books, name, "began anew", now)
    if not member.present:
        sends += books.event("member", now, name=name, life=alive.life)
    if member.stamp != alive.stamp:
        member.behind = None
    member.life, member.sequence, member.seen, member.present = (
        alive.life,
        alive.sequence,
        now,
        True,
    )
    member.term, member.whole, member.stamp = alive.term, alive.whole, alive.stamp
    member.quiet = False
    return sends + place(books, name, member, now)


def place(books: Books, name: str, member: Member, now: float) -> list[m.Send]:
    """What a member that lives may do in this term, or needs for it."""
    if books.phase not in (INSTALLING, RUNNING):
        return []
    sends: list[m.Send] = []
    if not member.full and stands(books, member):
        member.full = True
        sends = books.event("full", now, name=name)
    if books.phase == INSTALLING:
        return sends + terms.installed(books, member.group, now)
    if member.full and not member.whole:
        return unfit(books, name, "has lost its parameters", now)
    return [*sends, *attend(books, name, member, now), *commits.move(books, now)]


def stands(books: Books, member: Member) -> bool:
    """Has it parameters in this term, and does the log lead from them to the newest version?"""
    if not member.whole or member.term != books.term:
        return False
    return member.stamp in (books.stamp, books.base) or member.stamp[1] in books.log


def attend(books: Books, name: str, member: Member, now: float) -> list[m.Send]:
    """Send again to a member what it lacks: commits, or all."""
    if not member.full:
        return provide(books, name, member, now)
    if member.stamp == books.stamp:
        member.behind = None
        return []
    if member.behind is None:
        member.behind = now
    if now - member.behind < books.settings.retry_s:
        return []
    lacking = tuple(books.log[v] for v in sorted(books.log) if v > member.stamp[1])
    if not lacking or lacking[0].version != member.stamp[1] + 1:
        return unfit(books, name, "lacks a commit", now)
    member.behind = now
    return [m.Send(name, m.Commit(books.term, lacking, (), books.base[1]))]


def provide(books: Books, name: str, member: Member, now: float) -> list[m.Send]:
    """Have a full member of the group send it a copy, another one each time."""
    donors = books.roster.full(member.group)
    if not donors or now - member.copied < books.settings.retry_s:
        return []
    member.copied = now
    return [m.Send(donors[member.sequence % len(donors)], m.Copy(books.term, name))]


def attend_all(books: Books, now: float) -> list[m.Send]:
    sends: list[m.Send] = []
    for name in books.roster.present():
        if books.phase == RUNNING:
            sends += attend(books, name, books.roster.members[name], now)
    return sends


def bury(books: Books, now: float) -> list[m.Send]:
    """Who has been silent for too long counts as dead, and before is not waited for: while another
    member serves the group a gradient needs no place at this one, which gets what it lacks later.
    """
    limit, quiet, sends = now - books.settings.deadline_s, now - books.settings.quiet_s, []
    for name in books.roster.present():
        member = books.roster.members[name]
        if member.seen < limit:
            sends += gone(books, name, "silent", now)
        elif member.seen < quiet and not member.quiet:
            member.quiet = True
            sends += commits.settle(books, now)
    return sends


def gone(books: Books, name: str, why: str, now: float) -> list[m.Send]:
    """A process has died, or may have: nothing it had counts."""
    member = books.roster.members[name]
    books.reports.pop(name, None)
    member.present, member.whole, member.term, member.stamp = False, False, 0, (0, 0)
    member.quiet = False
    return unfit(books, name, why, now)


def lost(books: Books, lost: m.Lost, now: float) -> list[m.Send]:
    member = books.roster.members[lost.member]
    if lost.life != member.life or lost.term != books.term or not member.full:
        return []
    return unfit(books, lost.member, "lacks a gradient", now)


def unfit(books: Books, name: str, why: str, now: float) -> list[m.Send]:
    """A member no longer counts; without it a group may have nobody, and the term ends."""
    member = books.roster.members[name]
    counted, member.full = member.full, False
    for gradient in books.gradients.values():
        gradient.holders.discard(name)
    sends = books.event("lost", now, name=name, why=why)
    reigns = books.phase in (INSTALLING, RUNNING)
    if reigns and counted and not books.roster.full(member.group):
        return sends + terms.again(books, f"{name} {why}", now)
    return sends + commits.settle(books, now)
