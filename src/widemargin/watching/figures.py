"""What a run measured, for planning others: times of gradients, bytes, waits, recoveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from widemargin.errors import InputError
from widemargin.ps.messages import Event
from widemargin.watching.state import Facts
from widemargin.watching.timeline import Timeline

MESSAGES = 7  # between a gradient's end and the next one's begin: see ps/plan_flow
FEWEST = 20  # gradients that say something


class Measured(NamedTuple):
    """Seconds and bytes; None: nothing of the kind was seen."""

    seconds: tuple[tuple[float, ...], ...]  # of each worker's gradients
    turnaround: float | None  # from a gradient's end to the next one's begin, if none is waited for
    model_bytes: int
    n_blocks: int | None
    recovery: dict[str, float]  # medians by role

    @property
    def latency(self) -> float | None:
        """Of one message, all that its sender and receiver do included."""
        return None if self.turnaround is None else self.turnaround / MESSAGES


def measured(name: str, events: Iterable[Event], facts: Facts) -> Measured:
    """Read the events of a run; InputError if it tells no times of gradients."""
    known = list(events)
    timeline = Timeline(facts)
    timeline.extend(known)
    state = timeline.state()
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    size = 0
    for event in known:
        if event.kind == "timings":
            times[str(event.what["name"])] += [(at, took) for at, took in event.what["gradients"]]
            size = int(event.what["bytes"]) or size
    count = sum(map(len, times.values()))
    if count < FEWEST:
        raise InputError(
            f"{name}: found the times of {count} gradients; accepted: a run that tells at least "
            f"{FEWEST}, as each does every 2 s. Take a longer run, or give --step-seconds."
        )
    recovery = {row.role: row.median for row in state.recoveries if row.median is not None}
    seconds = tuple(tuple(took for _, took in sorted(times[each])) for each in sorted(times))
    wait = turnaround(list(times.values()), timeline.facts.policy)
    return Measured(seconds, wait, size, state.n_blocks, recovery)


def turnaround(times: list[list[Any]], policy: str) -> float | None:
    """The pause between two gradients of a worker. Where workers wait for each other, only the last
    of W to arrive does not: half of these pauses are below the quantile 1 / (2 W) of all."""
    pauses = []
    for each in times:
        ordered = sorted(each)
        pauses += [b[0] - a[0] - a[1] for a, b in zip(ordered, ordered[1:], strict=False)]
    if not pauses:
        return None
    free = policy.startswith("Async(max_staleness=None")
    share = 0.5 if free else 1.0 / (2.0 * len(times))
    return max(1e-6, float(np.quantile(pauses, share)) if len(pauses) > 1 else median(pauses))
