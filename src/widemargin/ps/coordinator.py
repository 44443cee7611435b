"""The coordinator: leases blocks, decides commits, follows who is alive, begins terms.

It is the only role that decides. A commit is decided once every full member of every group holds
its gradients, so it can always be carried through; the ledger changes with the decision and with
nothing else. All it knows can be told again by the shards and the last snapshot, so it may die at
any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from widemargin.ps import archive, commits, hands, leases, members, terms
from widemargin.ps import messages as m
from widemargin.ps.books import RUNNING, Books
from widemargin.ps.settings import Settings


class Coordinator:
    """`on(message, now)` takes a message and returns what to send."""

    def __init__(self, settings: Settings) -> None:
        self.books = Books(settings)

    def on(self, message: Any, now: float) -> list[m.Send]:
        handler = HANDLERS.get(type(message))
        return [] if handler is None else handler(self.books, message, now)


def tick(books: Books, _: m.Tick, now: float) -> list[m.Send]:
    sends = [*hands.bury(books, now), *members.bury(books, now), *terms.tick(books, now)]
    if books.phase != RUNNING:
        return sends
    sends += [*members.attend_all(books, now), *archive.repeat(books, now)]
    return [*sends, *leases.hurry(books, now), *commits.move(books, now)]


HANDLERS: dict[type[Any], Callable[[Books, Any, float], list[m.Send]]] = {
    m.Tick: tick,
    m.Beat: hands.beat,
    m.Pushed: hands.pushed,
    m.Failed: hands.failed,
    m.Left: hands.left,
    m.Held: hands.held,
    m.Alive: members.alive,
    m.Lost: members.lost,
    m.Report: terms.report,
    m.Loaded: terms.loaded,
    m.Saved: terms.saved,
}
