"""Who died, and how long it took to recover."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from widemargin.watching.parties import place, role_of
from widemargin.watching.state import Death, Recovery

RECENT = 50
MEASURED = 1000  # recoveries of a role that its median is of


@dataclass
class Tally:
    """Of one role."""

    deaths: int = 0
    back: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    longest: float | None = None
    pause: float | None = None


class Deaths:
    """Fed as they are noticed, and as what follows them happens."""

    def __init__(self) -> None:
        self.recent: deque[Death] = deque(maxlen=RECENT)
        self.roles: dict[str, Tally] = {}
        self.absent: dict[str, Death] = {}  # not back yet
        self.halted: list[Death] = []  # no commit since
        self.last_commit: float | None = None

    def died(self, name: str, why: str, now: float) -> None:
        death = Death(name, role_of(name), why, now, None, None, None, None)
        self.roles.setdefault(death.role, Tally()).deaths += 1
        self.recent.append(death)
        self.halted.append(death)
        self.absent[name] = death

    def returned(self, name: str, now: float) -> float | None:
        """Seconds it was away; None: it was not."""
        death = self.absent.pop(name, None)
        if death is None:
            return None
        seconds = max(0.0, now - death.noticed)
        self.replace(death, death._replace(back=now, seconds=seconds))
        tally = self.roles[death.role]
        tally.back += 1
        tally.seconds.append(seconds)
        tally.longest = max(seconds, tally.longest or 0.0)
        return seconds

    def committed(self, now: float) -> None:
        for death in list(self.halted):
            before = death.noticed if self.last_commit is None else self.last_commit
            pause = max(0.0, now - before)
            self.replace(death, death._replace(resumed=now, pause=pause))
            tally = self.roles[death.role]
            tally.pause = max(pause, tally.pause or 0.0)
        self.halted.clear()
        self.last_commit = now

    def replace(self, death: Death, after: Death) -> None:
        """The same death, with more known of it, wherever it is kept."""
        for k, each in enumerate(self.recent):
            if each is death:
                self.recent[k] = after
        self.halted = [after if each is death else each for each in self.halted]
        if self.absent.get(death.name) is death:
            self.absent[death.name] = after

    def began(self) -> None:
        """All begin anew: nobody is waited for any more, and no pause counts."""
        self.absent.clear()
        self.halted.clear()
        self.last_commit = None

    @property
    def count(self) -> int:
        return sum(tally.deaths for tally in self.roles.values())

    def recoveries(self) -> tuple[Recovery, ...]:
        return tuple(
            Recovery(
                role,
                tally.deaths,
                tally.back,
                median(tally.seconds) if tally.seconds else None,
                tally.longest,
                tally.pause,
            )
            for role, tally in sorted(self.roles.items(), key=lambda item: place(item[0]))
        )
