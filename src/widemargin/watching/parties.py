"""Workers, members of shards' groups and the coordinator: how each is, and how each was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from widemargin.watching.state import Party

REMEMBERED = 60  # changes of a party
SLOW_AFTER = 3  # commits in a row that did without a worker's gradient
SLOW_FOR = 5  # commits after the last of them
ABSENT = ("waiting", "joining", "done")  # what those can become whom nobody has announced
ORDER = {"coordinator": 0, "shard": 1, "worker": 2}


def role_of(name: str) -> str:
    """ "worker-3" → "worker", "shard-1.0" → "shard"."""
    return name.partition("-")[0]


def place(name: str) -> tuple[int, list[int], str]:
    """Where a party comes in a list: by role, then by number."""
    numbers = [int(n) for n in name.partition("-")[2].split(".") if n.isdigit()]
    return ORDER.get(role_of(name), 3), numbers, name


@dataclass
class Known:
    """What is known of one."""

    name: str
    state: str = ""
    since: float = 0.0
    lives: int = 0
    life: Any = None  # what tells this life from others
    announced: bool = False  # to the coordinator that reigns
    words: str = ""
    past: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    left_out: int = 0  # commits in a row that did without it
    last: int = -1  # the last such commit, counted from the beginning

    def turn(self, state: str, now: float) -> None:
        if state != self.state:
            self.state, self.since = state, now
            self.past.append((now, state))


class Parties:
    """All of them, by name."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}

    def get(self, name: str) -> Known:
        return self.known.setdefault(name, Known(name))

    def role(self, role: str) -> list[Known]:
        return [known for name, known in self.known.items() if role_of(name) == role]

    def stand_still(self, now: float) -> None:
        """A term begins: nobody computes, no member's hold counts."""
        self.turn_all("worker", {"alive", "slow"}, "waiting", now)
        self.turn_all("shard", {"full"}, "joining", now)

    def forget(self) -> None:
        """A new coordinator knows nobody; who lives will tell it."""
        for known in self.known.values():
            known.announced = False

    def miss(self, now: float) -> None:
        """Who has not told by now has died with the coordinator before."""
        for known in self.known.values():
            if known.state in ("waiting", "joining") and not known.announced:
                known.words = "not heard of since the coordinator began anew"
                known.turn("gone", now)

    def go_on(self, now: float) -> None:
        """The term runs: who is there takes part."""
        self.turn_all("worker", {"waiting"}, "alive", now)
        self.turn_all("shard", {"joining"}, "full", now)

    def turn_all(self, role: str, those: set[str], state: str, now: float) -> None:
        for known in self.role(role):
            if known.state in those and (known.announced or state in ABSENT):
                known.turn(state, now)

    def leave_out(self, names: Iterable[str], commit: int, now: float, *, times: int = 1) -> None:
        """The commit of this number did without these workers, or they were given up `times`."""
        for name in set(names):
            known = self.get(name)
            again = known.last >= commit - 1
            known.left_out, known.last = (known.left_out if again else 0) + times, commit
            if known.left_out >= SLOW_AFTER and known.state == "alive":
                known.turn("slow", now)

    def forgive(self, commit: int, now: float) -> None:
        """Who was in time for long is slow no more."""
        for known in self.role("worker"):
            if known.state == "slow" and commit - known.last >= SLOW_FOR:
                known.turn("alive", now)

    def told(self) -> tuple[Party, ...]:
        return tuple(
            Party(k.name, role_of(k.name), k.state, k.since, k.lives, k.words, tuple(k.past))
            for k in sorted(self.known.values(), key=lambda known: place(known.name))
        )
