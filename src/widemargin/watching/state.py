"""What is told of a run at one moment: plain values, which JSON can carry."""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin.ps.settings import Settings


class Facts(NamedTuple):
    """What a run is of; None and "": not told."""

    name: str = ""
    policy: str = ""
    epochs: int | None = None
    n_blocks: int | None = None  # of an epoch
    n_samples: int | None = None  # in all blocks of an epoch


def facts_of(name: str, settings: Settings) -> Facts:
    """What the settings of a run tell."""
    return Facts(name, repr(settings.policy), settings.epochs, settings.n_blocks)


class Party(NamedTuple):
    """A worker, a member of a shard's group, or the coordinator.

    A worker is alive, waiting (the run stands still), slow (others had to do its work) or gone; a
    shard is full (it has all commits), joining or gone; the coordinator reigns, opens a term or is
    done.
    """

    name: str
    role: str  # "worker", "shard" or "coordinator"
    state: str
    since: float
    lives: int
    words: str  # why it was last lost, or its last error
    past: tuple[tuple[float, str], ...]  # when it became what, oldest first


class Death(NamedTuple):
    """Times are seconds since 1970; None: not yet."""

    name: str
    role: str
    why: str
    noticed: float
    back: float | None  # when a new life of it took part
    resumed: float | None  # the first commit after it
    seconds: float | None  # from when it was noticed until it was back
    pause: float | None  # between the commits before and after it: what the run lost


class Recovery(NamedTuple):
    """The deaths of a role; seconds as in `Death`."""

    role: str
    deaths: int
    back: int
    median: float | None
    longest: float | None
    longest_pause: float | None


class Mark(NamedTuple):
    """Something worth a line: "death", "back", "joined", "term", "rollback", "snapshot", "error",
    "began", "ended"."""

    time: float
    kind: str
    name: str
    words: str


class Rate(NamedTuple):
    """Per second, over the last moments; over all commits of a run that has ended."""

    samples: float | None
    blocks: float
    commits: float


class Series(NamedTuple):
    """What happened in stretches of `width` seconds from `start`; None: nothing is known of one."""

    start: float
    width: float
    commits: tuple[int, ...]
    blocks: tuple[int, ...]
    dropped: tuple[int, ...]  # gradients that came too late
    void: tuple[int, ...]  # leases taken back, their blocks to be done again
    late: tuple[int | None, ...]  # the greatest staleness, in commits
    backup: tuple[float | None, ...]  # mean number of workers that a commit did without
    loss: tuple[float | None, ...]  # the last one told
    train_loss: tuple[float | None, ...]  # mean over the blocks of commits


class State(NamedTuple):
    """A run."""

    name: str
    phase: str  # "starting", "running", "recovering", "ended"
    reason: str  # why it failed; "": it did not
    policy: str
    now: float
    begun: float | None  # it began, or went on from a snapshot
    heard: float | None  # the last event
    term: int
    version: int
    epoch: int  # 0, 1, …; the number of epochs when all are done
    epochs: int | None
    progress: float | None  # of this epoch, 0 … 1
    n_blocks: int | None
    n_samples: int | None
    commits: int
    late: int
    dropped: int
    void: int
    undone: int  # commits that were rolled back
    deaths: int
    snapshots: int
    errors: int
    loss: float | None
    rate: Rate
    parties: tuple[Party, ...]
    recoveries: tuple[Recovery, ...]
    recent: tuple[Death, ...]
    marks: tuple[Mark, ...]
    series: Series


RECORDS = (Facts, Party, Death, Recovery, Mark, Rate, Series, State)


def plain(value: Any) -> Any:
    """Records as dictionaries, all the way down."""
    if isinstance(value, RECORDS):
        return {name: plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value
