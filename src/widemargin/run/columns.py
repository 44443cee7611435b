"""Columns are problems of their own: fit groups of them on threads, put the results together.

A group has its own generator, drawn from that of the fit by the group's place, and shares nothing
that is written with the others: what comes out does not depend on the number of threads, bit for
bit. Only the groups that are being fitted hold dual variables and scores, so their memory is
threads × width × n, not K × n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from widemargin.objective import certificate_of
from widemargin.run.fit import Fitted, Row, history_row
from widemargin.threads import each

T = TypeVar("T")


def column_groups(K: int, width: int) -> list[tuple[int, int]]:
    """Consecutive groups (start, stop) of at most `width` of K columns, none much smaller."""
    parts = max(1, -(-K // width))
    edges = [K * g // parts for g in range(parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def each_group(
    fit: Callable[[int, int, np.random.Generator], T],
    groups: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    *,
    threads: int = 1,
) -> list[T]:
    """fit(start, stop, generator) of every group of columns, in order, on so many threads."""
    generators = dict(zip(groups, rng.spawn(len(groups)), strict=True))

    def one(start: int, stop: int) -> T:
        return fit(start, stop, generators[start, stop])

    return each(one, list(groups), threads)


def together(parts: Sequence[Fitted]) -> Fitted:
    """One fit of all columns: values add up, epochs are those of the slowest group.

    W is (d, K) with columns that lie together in memory, as `coef_` has them.
    """
    if len(parts) == 1:
        return parts[0]
    W = np.concatenate([np.atleast_2d(part.W.T) for part in parts]).T
    proof = certificate_of(
        sum(part.certificate.primal for part in parts), sum(part.certificate.dual for part in parts)
    )
    return Fitted(
        W,
        np.concatenate([part.b for part in parts]),
        proof,
        merged([part.history for part in parts]),
        max(part.epochs for part in parts),
        all(part.solved for part in parts),
    )


def merged(histories: Sequence[list[Row]]) -> list[Row]:
    """One row per epoch: seconds and objectives added over the groups, each as last known.

    Seconds are those of a single thread. An objective and a gap are given at epochs where some
    group took a certificate, once every group has one.
    """
    rows: list[Row] = []
    known: list[tuple[float, float]] = [(math.nan, math.nan)] * len(histories)
    for epoch in range(1, max(map(len, histories)) + 1):
        measured = False
        for g, history in enumerate(histories):
            row = history[epoch - 1] if epoch <= len(history) else None
            if row is not None and not math.isnan(row["gap"]):
                known[g], measured = (row["objective"], row["gap"] * row["objective"]), True
        objective, gap = (math.fsum(values) for values in zip(*known, strict=True))
        seconds = math.fsum(
            history[min(epoch, len(history)) - 1]["seconds"] for history in histories
        )
        proof = certificate_of(objective, objective - gap) if measured else None
        rows.append(history_row(epoch, seconds, proof))
    return rows
