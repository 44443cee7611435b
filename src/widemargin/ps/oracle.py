"""The oracle: has a simulated run kept its promises?

It shares nothing with the roles but the words of their messages. It knows what was observed: the
events, every gradient where it was computed, what storage held when a snapshot became whole, the
parameters of every member at the end. From these it walks the *surviving history* — the commits
that lead from version 0 to the last snapshot; others were rolled back — and does it all again:

    θ₀ = the beginning,    θ_{v+1} = the rule's step from θ_v with the average of v's gradients

Every block of an epoch must be in that history once, every store and snapshot equal to its θ_v bit
for bit, every gradient made of a θ that the policy allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.local import Rounds
from widemargin.ps.oracle_epochs import told_losses, untold
from widemargin.ps.oracle_replay import Replay, equal, learned, ledger_told, read_at
from widemargin.ps.oracle_rounds import Chains
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Simulation
from widemargin.ps.simulate_job import Problem
from widemargin.ps.simulate_process import Computation
from widemargin.ps.simulate_storage import Kept


class Commit(NamedTuple):
    """A commit event."""

    time: float
    stamp: m.Stamp
    after: m.Stamp
    parts: tuple[tuple[m.LeaseId, m.Block], ...]


class Record(NamedTuple):
    """All that the oracle knows of a run."""

    settings: Settings
    problem: Problem
    parts: tuple[Range, ...]
    events: list[m.Event]
    gradients: Mapping[m.LeaseId, list[Computation]]
    members: Mapping[str, tuple[int, m.Stamp, Any]]  # group, stamp, arrays of those with a store
    snapshots: list[Kept]
    told: list[tuple[float, str, str, str]]
    longest: float  # seconds of a gradient
    quiet: float  # when all faults had ended
    until: float  # when the run had to be at its end
    unkept: list[str]  # orders that a role followed although it had said that it would not
    rounds: Rounds | None  # of batches of the problem; None: its batches are the blocks


def record(sim: Simulation, quiet: float, until: float) -> Record:
    """Look at a run that is over."""
    members = {}
    for g, names in enumerate(sim.settings.groups):
        for name in names:
            role = sim.processes[name].role
            if role is not None and role.store is not None:
                members[name] = (g, role.stamp, role.store.arrays())
    job, pace = sim.setup.job, sim.setup.pace
    rounds = job if isinstance(job, Rounds) else None
    problem = job if rounds is None else rounds.job
    assert isinstance(problem, Problem)
    slowest = max([1.0, *sim.setup.slower.values()])
    longest = min(pace.longest, pace.mean * 10.0 * slowest)
    return Record(
        sim.settings,
        problem,
        sim.parts,
        sim.events,
        sim.gradients,
        members,
        sim.storage.snapshots,
        sim.told,
        longest,
        quiet,
        until,
        sim.word.broken,
        rounds,
    )


def violations(seen: Record) -> list[str]:
    """What was promised and not kept; nothing: all is well."""
    if seen.unkept:
        return seen.unkept
    last = seen.events[-1] if seen.events else None
    if last is None or last.kind != "done":
        how = f"failed: {last.what['reason']}" if last and last.kind == "failed" else "did not end"
        return [f"the run {how} within {seen.until - seen.quiet:.1f} s after the last fault"]
    tree, wrong = commits_of(seen.events)
    path = surviving(tree, tuple(last.what["stamp"]))
    if path is None:
        return [*wrong, f"no commits lead from the beginning to {last.what['stamp']}"]
    wrong += each_block_once(seen.settings, path)
    replay = Replay(seen.problem if seen.rounds is None else seen.rounds, seen.parts)
    chains = None if seen.rounds is None else Chains(seen.rounds)
    for commit in path:
        wrong += made_as_allowed(seen, replay, commit)
        if chains is not None and not wrong:
            wrong += chains.check(replay, commit.parts, seen.gradients)
        if wrong or not replay.step(commit.stamp, commit.parts, seen.gradients):
            return wrong or [f"no gradient of {commit.stamp} was computed as it was applied"]
    wrong += equal_members(seen, replay)
    wrong += whole_snapshots(seen, replay, path)
    if isinstance(seen.settings.policy, RoundRobin):
        wrong += in_turn(seen, path)
    wrong += leased_again(seen, path) + untold(seen.events, path, seen.settings.n_blocks)
    wrong += told_losses(seen.events, seen.gradients)
    return wrong + kept_at_shards(seen) + learned(seen.problem, replay)


def samples_counted(seen: Record) -> int:
    """Samples in the commits of the surviving history."""
    last = seen.events[-1] if seen.events else None
    if last is None or last.kind != "done":
        return 0
    path = surviving(commits_of(seen.events)[0], tuple(last.what["stamp"])) or []
    blocks = [block for commit in path for _, block in commit.parts]
    if seen.rounds is not None:
        blocks = [batch for block in blocks for batch in seen.rounds.batches(block)]
    return sum(len(range(b.number, seen.problem.n, seen.problem.n_blocks)) for b in blocks)


# the history


def commits_of(events: Sequence[m.Event]) -> tuple[dict[m.Stamp, Commit], list[str]]:
    tree: dict[m.Stamp, Commit] = {}
    wrong = []
    for event in events:
        if event.kind == "commit":
            what = event.what
            commit = Commit(event.time, what["stamp"], what["after"], what["parts"])
            if commit.stamp in tree or commit.stamp[1] != commit.after[1] + 1:
                wrong.append(f"commit {commit.stamp} after {commit.after} was decided twice")
            tree[commit.stamp] = commit
    return tree, wrong


def surviving(tree: Mapping[m.Stamp, Commit], stamp: m.Stamp) -> list[Commit] | None:
    """The commits from the beginning to a stamp; None: they do not lead there."""
    path = []
    while stamp in tree:
        path.append(tree[stamp])
        stamp = tree[stamp].after
    return path[::-1] if stamp == (0, 0) else None


def each_block_once(settings: Settings, path: Sequence[Commit]) -> list[str]:
    """Promise 1: each epoch's blocks, complete and without repeats; epochs one after the other."""
    wrong, order = [], [block.epoch for commit in path for _, block in commit.parts]
    counts = Counter(block for commit in path for _, block in commit.parts)
    for epoch in range(settings.epochs):
        for number in range(settings.n_blocks):
            if (times := counts.pop(m.Block(epoch, number), 0)) != 1:
                wrong.append(f"block {number} of epoch {epoch} was committed {times} times")
    wrong += [f"{block} was committed, which there is not" for block in counts]
    return wrong if order == sorted(order) else [*wrong, "epochs were mixed"]


def ledger_of(settings: Settings, path: Sequence[Commit]) -> tuple[int, set[int]]:
    """Epoch and committed blocks after these commits."""
    blocks = [block for commit in path for _, block in commit.parts]
    epoch = len(blocks) // settings.n_blocks
    return epoch, {block.number for block in blocks if block.epoch == epoch}


# gradients


def made_as_allowed(seen: Record, replay: Replay, commit: Commit) -> list[str]:
    """The parameters that each gradient was made of existed, and are as new as the policy asks."""
    wrong, version = [], commit.after[1]
    oldest = 0
    match seen.settings.policy:
        case Sync() | Async(0):
            oldest = version
        case Async(int(staleness)):
            oldest = max(0, version - staleness)
    for lease, block in commit.parts:
        made = seen.gradients.get(lease, [])
        if not made or any(one.block != block for one in made):
            wrong.append(f"commit {commit.stamp} names lease {lease} for {block}: it was not")
        elif not any(read_at(replay, seen.parts, one, oldest, version) for one in made):
            anywhen = any(read_at(replay, seen.parts, one, 0, version) for one in made)
            age = "older ones than allowed" if anywhen else "none that ever were"
            told = f"commit {commit.stamp}: the gradient of {block} by {made[0].worker}"
            wrong.append(f"{told} was made of parameters, {age}")
    return wrong


def in_turn(seen: Record, path: Sequence[Commit]) -> list[str]:
    """Nobody whose gradient was under way, and was committed later, was passed over."""
    wrong = []
    turns = [(c, c.parts[0][0], seen.gradients[c.parts[0][0]][0]) for c in path]
    for i, (commit, (term, _), made) in enumerate(turns):
        before = turns[i - 1] if i and turns[i - 1][0].stamp[0] == commit.stamp[0] else None
        last = before[2].worker if before else ""
        waiting = [
            other.worker
            for _, lease, other in turns[i + 1 :]
            if lease[0] == term and other.begun < commit.time
        ]
        first = min([made.worker, *waiting], key=lambda name: (name <= last, name))
        if commit.stamp[0] == term and first != made.worker:
            told = f"commit {commit.stamp} by {made.worker} after {last!r}"
            wrong.append(f"{told}: it was {first}'s turn")
    return wrong


# what is left at the end


def equal_members(seen: Record, replay: Replay) -> list[str]:
    """Every store is what the history makes of the beginning, bit for bit."""
    return [
        f"{name} stands at {stamp} with parameters that the history does not give"
        for name, (g, stamp, arrays) in seen.members.items()
        if stamp in replay.arrays and not equal(arrays, replay.arrays[stamp][g])
    ]


def whole_snapshots(seen: Record, replay: Replay, path: Sequence[Commit]) -> list[str]:
    """Each has all parts, bit for bit, and the ledger that goes with them."""
    wrong, place = [], {commit.stamp: i + 1 for i, commit in enumerate(path)} | {(0, 0): 0}
    for kept in seen.snapshots:
        told = f"the snapshot of {kept.stamp}"
        if any(part is None for part in kept.parts):
            wrong.append(f"{told} was called whole without all of its parts")
        elif kept.stamp in place:
            parts = zip(kept.parts, replay.arrays[kept.stamp], strict=True)
            if not all(equal(part, arrays) for part, arrays in parts):
                wrong.append(f"{told} has parameters that the history does not give")
            ledger = ledger_of(seen.settings, path[: place[kept.stamp]])
            if ledger_told(seen.settings, kept.ledger) != ledger:
                wrong.append(f"{told} has the ledger of another version")
    if not seen.snapshots or seen.snapshots[-1].stamp != path[-1].stamp:
        wrong.append("the last snapshot is not of the last version")
    return wrong


def leased_again(seen: Record, path: Sequence[Commit]) -> list[str]:
    """Promise 2: what a dead worker had begun is begun again, or committed, within `lease_bound`.

    Asked of deaths with no other fault near: others delay it, for as long as they last.
    """
    wrong, bound = [], lease_bound(seen)
    faults = [told for told in seen.told if told[1] not in ("restart", "quit")]
    done = {block: c.time for c in path for _, block in c.parts}
    began = [(one.begun, one) for made in seen.gradients.values() for one in made]
    for time, kind, name, _ in faults:
        near = [t for t, *_ in faults if time - 2.0 < t <= time + bound and t != time]
        over = seen.events[-1].time <= time + bound
        if kind not in ("crash", "leave") or "worker" not in name or near or over:
            continue
        had = {one.block for t, one in began if one.worker == name.split("/")[0] and t <= time}
        for block in had:
            again = any(one.block == block and time < t <= time + bound for t, one in began)
            if not again and done.get(block, np.inf) > time + bound:
                wrong.append(f"{block} of {name}, dead at {time:.3f}, was not begun again in time")
    return wrong


def kept_at_shards(seen: Record) -> list[str]:
    """Promise 3: only where shards were hit, or their links, may a run go back to a snapshot."""
    links = ("partition", "hold")
    hit = [time for time, kind, name, _ in seen.told if "shard" in name or kind in links]
    early = [time for time in returns(seen.events) if time < min(hit, default=np.inf)]
    return [f"went back to a snapshot at {time:.3f}, no shard being hit" for time in early]


def returns(events: Sequence[m.Event]) -> list[float]:
    """When commits were given up for an older snapshot."""
    times, newest = [], 0
    for event in events:
        if event.kind == "commit":
            newest = event.what["stamp"][1]
        elif event.kind == "reign":
            if event.what["rollback"] and event.what["stamp"][1] < newest:
                times.append(event.time)
            newest = event.what["stamp"][1]
    return times


def lease_bound(seen: Record) -> float:
    """Seconds: a silence is a death, others finish what they do, and messages are sent again."""
    settings, noticed = seen.settings, 2.0 if seen.settings.owner else 1.0  # by partners first
    return noticed * settings.deadline_s + 2.0 * seen.longest + 10.0 * settings.retry_s
