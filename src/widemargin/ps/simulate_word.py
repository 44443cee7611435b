"""Do roles keep their word? Watched while a run is simulated, message by message.

A member that says in which term it stands, or that reports to one, follows no older term from then
on; a worker that says which lease is the newest it has seen takes no lease of an older term. An
order that comes late, from a coordinator that was stopped, cut off or replaced, must leave both as
they were. Most runs would heal such a slip by themselves, so the end alone does not show it.
"""

from __future__ import annotations

from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.shard import Shard
from widemargin.ps.worker import Worker

ORDERS = (m.Install, m.Commit, m.State)  # by their term
ON_LEASES = (m.Lease, m.Push)  # by the term of their lease


class Word:
    """What each life of a role has said, and the orders that it should not have followed."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, int], int] = {}
        self.broken: list[str] = []

    def watch(self, name: str, life: int, role: Any, message: Any, now: float) -> list[m.Send]:
        """What the role sends upon a message."""
        term, word = term_of(message), self.given.get((name, life), 0)
        before = standing(role) if term is not None and term < word else None
        sends: list[m.Send] = role.on(message, now)
        if before is not None and standing(role) != before:
            told = f"{name} followed {type(message).__name__} of term {term} at {now:.3f}"
            self.broken.append(f"{told}, having said that it stands in term {word}")
        for send in sends:
            self.given[name, life] = word = max(word, said(send.message))
        return sends


def term_of(message: Any) -> int | None:
    """Whose order it is; None: it is none."""
    if isinstance(message, ORDERS):
        return int(message.term)
    return int(message.lease[0]) if isinstance(message, ON_LEASES) else None


def said(message: Any) -> int:
    """The term that a role commits itself to by saying this."""
    match message:
        case m.Report() | m.Alive():
            return message.term
        case m.Beat(lease=(term, _)):
            return term
    return 0


def standing(role: Any) -> Any:
    """What an order may change: of a member its parameters, its log and the gradients it keeps; of
    a worker its lease."""
    match role:
        case Shard():
            at = (role.term, role.stamp, role.store is not None, role.loading)
            return at, dict(role.log), set(role.held)
        case Worker():
            return role.phase, role.lease
    return None
