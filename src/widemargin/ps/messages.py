"""What the roles of the parameter server tell each other.

Roles are addressed by name: "coordinator", "worker-3", "shard-1.0" (group 1, replica 0), "storage",
"observer" (who watches the run), and "local", the process that carries the role: it computes
gradients. A *term* counts the reigns of a coordinator's view; a message of an older term is void.
A *version* counts commits. A lease is named by its term and a number that only grows.

Every message may be lost, doubled or overtaken; every role sends again, on its tick, what was not
answered, and takes a message that it knows already as if it were new.
"""

# long: one vocabulary, a few lines a word

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

COORDINATOR, STORAGE, OBSERVER, LOCAL = "coordinator", "storage", "observer", "local"

LeaseId: TypeAlias = tuple[int, int]  # (term, number)
Stamp: TypeAlias = tuple[int, int]  # (term of the last commit, version): equal stamps, equal states
View: TypeAlias = tuple[tuple[str, ...], ...]  # for each group, the members that take pushes


class Send(NamedTuple):
    """One message on its way."""

    to: str
    message: Any


class Tick(NamedTuple):
    """Time has passed; the driver sends one every `tick_s`."""


class Block(NamedTuple):
    """A fixed range of samples in one epoch: the unit of work, of retry and of accounting."""

    epoch: int
    number: int


class Entry(NamedTuple):
    """A commit: these gradients, averaged in this order, made version `version`.

    `losses` are the mean losses of its parts, None where none was told.
    """

    version: int
    term: int
    parts: tuple[tuple[LeaseId, Block], ...]
    losses: tuple[float | None, ...] = ()


# worker → coordinator


class Beat(NamedTuple):
    """I live. `lease` is the newest I have seen; `waiting`: I hold no work and want some."""

    worker: str
    life: int
    lease: LeaseId | None
    waiting: bool


class Pushed(NamedTuple):
    """I have pushed the gradient of `lease`, made of parameters no older than `version`."""

    worker: str
    lease: LeaseId
    version: int


class Failed(NamedTuple):
    """The gradient of `lease` raised an error."""

    worker: str
    lease: LeaseId
    error: str


# coordinator → worker


class Lease(NamedTuple):
    """Compute the gradient of `block` at `version` (`exact`) or newer; push it to the view."""

    lease: LeaseId
    block: Block
    version: int
    exact: bool
    sources: View  # for each group, the members to pull from
    view: View  # and those to push to
    ahead: Block | None
    last: LeaseId | None = None  # of this term, the worker's newest that was committed


class Release(NamedTuple):
    """Leave `lease`: it was committed, or it is void."""

    lease: LeaseId


class Missing(NamedTuple):
    """These members lack the gradient of `lease`: push it to them."""

    lease: LeaseId
    members: tuple[str, ...]


class Stop(NamedTuple):
    """The run has ended."""


# worker ↔ shard


class Pull(NamedTuple):
    """The values of `keys` (None: all), at `version` or newer."""

    worker: str
    lease: LeaseId
    version: int
    keys: Any


class Params(NamedTuple):
    """What was pulled, from one commit's state."""

    group: int
    lease: LeaseId
    version: int
    values: Any


class Push(NamedTuple):
    """The part of a gradient that belongs to the shard, made of parameters at `version`."""

    worker: str
    lease: LeaseId
    block: Block
    version: int
    update: Any
    loss: float | None = None  # over the samples of the block


# shard → coordinator


class Held(NamedTuple):
    """I keep the gradient of `lease` until it is committed or void."""

    member: str
    life: int
    lease: LeaseId
    version: int
    loss: float | None = None


class Alive(NamedTuple):
    """I live, and stand in `term`. `whole`: I have parameters, with all commits up to `stamp`.

    `sequence` grows with each such message of one life: an older one tells nothing.
    """

    member: str
    life: int
    sequence: int
    term: int
    whole: bool
    stamp: Stamp


class Lost(NamedTuple):
    """I cannot apply the commit after `version`: I lack a gradient of it."""

    member: str
    life: int
    term: int
    version: int


class Report(NamedTuple):
    """What I have, told to a coordinator that begins a term; I follow no older one from now.

    `log` holds the commits from `base`, exclusive, to `stamp`.
    """

    member: str
    life: int
    term: int
    whole: bool
    stamp: Stamp
    base: Stamp
    log: tuple[Entry, ...]
    held: frozenset[LeaseId]


# coordinator → shard


class Inquire(NamedTuple):
    """A term begins: report."""

    term: int


class Install(NamedTuple):
    """Stand in `term`, at `stamp`: by what lacks of `entries` after `base`, or from snapshot `key`.

    Who stands elsewhere is whole no longer and waits for a copy.
    """

    term: int
    stamp: Stamp
    base: Stamp
    entries: tuple[Entry, ...]
    key: str | None


class Commit(NamedTuple):
    """Apply these commits, in order; forget gradients that are `void`; the log up to `stable`."""

    term: int
    entries: tuple[Entry, ...]
    void: tuple[LeaseId, ...]
    stable: int


class Copy(NamedTuple):
    """Send all you have to `to`."""

    term: int
    to: str


class Snapshot(NamedTuple):
    """Save the state of `version` under `key`."""

    term: int
    version: int
    key: str


# shard → shard


class State(NamedTuple):
    """All of a member: what a replica needs to become its equal."""

    term: int
    stamp: Stamp
    base: Stamp
    arrays: Any
    log: tuple[Entry, ...]
    held: dict[LeaseId, Any]


# storage


class Save(NamedTuple):
    """Keep `value` under `key`, whole or not at all, then tell `tell`.

    A save of an older term than "term" says is refused, as is that of "term" itself if it is not
    newer: another coordinator reigns. The coordinator is told what is `Loaded` from "term" then.
    """

    term: int
    key: str
    value: Any
    tell: str


class Saved(NamedTuple):
    """`key` is kept, as it was saved in this term."""

    key: str
    term: int


class Load(NamedTuple):
    """What is under `key`?"""

    key: str
    tell: str


class Loaded(NamedTuple):
    """`value` is under `key`; None: nothing."""

    key: str
    value: Any


class Outdate(NamedTuple):
    """Snapshots of stamps before `oldest`, whole or not, may go."""

    oldest: Stamp


# observer


class Event(NamedTuple):
    """Something that who watches the run may want to know."""

    kind: str
    time: float
    what: dict[str, Any]


# the processes of one replica: its leader, "worker-3", and its partitions "worker-3/1", …


class Left(NamedTuple):
    """To the coordinator: lives of the worker up to `life` hold nothing any more."""

    worker: str
    life: int
    why: str


class Summons(NamedTuple):
    """Leader to partition: I live. Once all are there, `lives` of them meet at `place`.

    `gang` is the life of the leader: with any other partner of it the gang begins anew.
    """

    gang: int
    lives: tuple[int, ...]
    place: str


class Standing(NamedTuple):
    """Partition to leader: I live, and this is what I have; `gang` 0: I am in none.

    `versions` are those of the groups pulled for `lease`; `made` is the newest lease whose gradient
    was computed here, `error` what it raised; or, if nothing is `opened`, what opening raised.
    """

    partition: int
    life: int
    gang: int
    opened: bool
    lease: LeaseId | None
    versions: tuple[tuple[int, int], ...]  # group, version
    made: LeaseId | None
    error: str


class Proceed(NamedTuple):
    """Leader to partition: all have what they need; compute. `keys` of its groups."""

    gang: int
    lease: LeaseId
    block: Block
    version: int
    keys: tuple[Any, ...]


class Deliver(NamedTuple):
    """Leader to partition: push your part of the gradient of `lease` to these members."""

    gang: int
    lease: LeaseId
    version: int
    members: tuple[str, ...]


class Meet(NamedTuple):
    """To the own process: where can partners find us?"""


class Place(NamedTuple):
    """They can at `place`, "host:port"."""

    place: str


class Open(NamedTuple):
    """To the own process: open this partition of the job, with its partners at `place`."""

    gang: int
    partition: int
    place: str


class Opened(NamedTuple):
    """It is open; or the error that opening it raised."""

    error: str


class Severed(NamedTuple):
    """A partner was lost in the middle of what all do together: this process is of no use."""

    why: str


class Quit(NamedTuple):
    """To the own process: end, and be begun again."""

    why: str


# worker ↔ the process that carries it


class Touch(NamedTuple):
    """Which keys does `block` touch?"""

    block: Block


class Touched(NamedTuple):
    """For each group the sorted, unique keys, or None: all."""

    block: Block
    keys: tuple[Any, ...]


class Resume(NamedTuple):
    """Go on from what you had after the round `origin`; None: begin anew. See `rounds`."""

    origin: LeaseId | None


class Compute(NamedTuple):
    """Compute the gradient of `block` from what each group holds of the parameters.

    With `resume`, do a round; a group without values is as this process has it.
    """

    lease: LeaseId
    block: Block
    version: int
    values: tuple[Any, ...]
    keys: tuple[Any, ...]
    last: LeaseId | None = None  # see `Lease`
    resume: Resume | None = None


class Computed(NamedTuple):
    """For each group the update; of a round, None: the group has none in it."""

    lease: LeaseId
    updates: tuple[Any, ...]
    loss: float | None = None


class Broken(NamedTuple):
    """The gradient raised an error."""

    lease: LeaseId
    error: str


class Cancel(NamedTuple):
    """The gradient of `lease` is no longer wanted."""

    lease: LeaseId


class Advance(NamedTuple):
    """A round of `block` at `version` is likely to come next: take its steps now, from what you had
    after the round `origin`. A `Compute` that asks for the same needs them no more."""

    origin: LeaseId
    block: Block
    version: int


class Prefetch(NamedTuple):
    """`block` is likely to come next: read its samples ahead."""

    block: Block
