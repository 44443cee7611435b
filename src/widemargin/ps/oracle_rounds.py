"""Rounds in the oracle: each was made of what its worker may have kept, and done as it should be.

A round that goes on must do so from the last round of its worker, of the same term, that is part of
the history; then all rounds can be done again, one after the other, as history has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.local import LocalTask, Rounds
from widemargin.ps.oracle_replay import Replay
from widemargin.ps.parameters import Update
from widemargin.ps.simulate_process import Computation


class Chains:
    """The rounds of all workers, done again on the way along the history."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds, self.task = rounds, LocalTask(rounds, rounds.job.open())
        self.newest: dict[str, m.LeaseId] = {}  # of each worker, in the history so far
        self.made: dict[m.LeaseId, Computation] = {}

    def check(
        self,
        replay: Replay,
        parts: Sequence[tuple[m.LeaseId, m.Block]],
        gradients: Mapping[m.LeaseId, Sequence[Computation]],
    ) -> list[str]:
        """What is wrong with the rounds of one commit."""
        wrong = []
        past = dict(self.task.past)
        for lease, block in parts:
            made = gradients[lease][0]
            told = f"the round {lease} of {block} by {made.worker}"
            wrong += [f"{told} {why}" for why in self.wrong(replay, lease, made)]
            if not wrong:
                self.task.past = dict(past)
                wrong += [f"{told} was not done as it should be"] * (not self.done(lease, made))
                past[lease] = self.task.past[lease]
                self.newest[made.worker], self.made[lease] = lease, made
        self.task.past = past
        return wrong

    def wrong(self, replay: Replay, lease: m.LeaseId, made: Computation) -> list[str]:
        """From where it went on, and what it did not pull."""
        kept = [g for g, values in enumerate(made.values) if values is None]
        if made.resume is None:
            return ["kept nothing"]
        origin = made.resume.origin
        if origin is None:
            return ["began anew without all parameters"] if kept else []
        if origin != self.newest.get(made.worker) or origin[0] != lease[0]:
            return [f"went on from {origin}, which is not its last in the history"]
        if self.rounds.cadence.pull_every > 1:
            return self.too_long_alone(made)
        before = self.made[origin].version
        stale = [
            g
            for g in kept
            if not np.array_equal(replay.reads[before][g], replay.reads[made.version][g])
        ]
        return [f"kept its own groups {stale}, which have changed"] if stale else []

    def too_long_alone(self, made: Computation) -> list[str]:
        """Are there more rounds without a pull than there may be?"""
        count, one = 1, made
        while one.values[0] is None and one.resume is not None and one.resume.origin is not None:
            count, one = count + 1, self.made[one.resume.origin]
        most = self.rounds.cadence.pull_every
        return [f"is the {count}th since a pull, {most} are allowed"] if count > most else []

    def done(self, lease: m.LeaseId, made: Computation) -> bool:
        """Do the same steps give the same update, bit for bit?"""
        resume = made.resume
        ask = m.Compute(lease, made.block, made.version, made.values, made.keys, resume=resume)
        again = self.task.round(ask)
        return all(same(one, other) for one, other in zip(made.updates, again, strict=True))


def same(one: object, other: object) -> bool:
    """Two updates, or none twice."""
    if not isinstance(one, Update) or not isinstance(other, Update):
        return one is None and other is None
    return one.n == other.n and one.values.tobytes() == other.values.tobytes()
