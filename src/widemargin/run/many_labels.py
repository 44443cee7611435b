"""Fit many labels over the same rows: eight share their passes, threads share the eights.

A round of a group is: each column that is not solved walks over its own rows until the rise of
its dual predicts success; then one look at all rows for all of them. Labels of like frequency
are put together. The memory of a group is 8 (α and scores) × 8 bytes a row, and twice its W.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.columns import dots
from widemargin.data.lanes import WIDTH, lane_weights
from widemargin.data.many_labels import label_samples
from widemargin.data.rows import Array, Rows, block_order, n_rows, row
from widemargin.data.samples import Samples, one_label
from widemargin.objective import Objective, certificate_of
from widemargin.run.columns import column_groups, each_group
from widemargin.run.fit import Fitted, Row, history_row
from widemargin.solvers.dual import DualState
from widemargin.solvers.label_dual import Proof, feasible, look, one_column, walk
from widemargin.solvers.lane_dual import first_epoch

SAFETY = 0.8  # look when the predicted gap is below this share of what is asked
FIRST_LOOK = 3  # epochs after the shared one
MOST = 20  # epochs between two looks
FIRST_RATIO = 0.08  # gap after an epoch / rise of the dual in it, before one was measured
BLOCK = 16  # rows that the shared epoch walks in memory order between two jumps
FEWEST_BLOCKS = 512


class Column(NamedTuple):
    """A label on its way."""

    samples: Samples
    state: DualState
    ratio: float  # gap after an epoch / rise of the dual in it, as seen last
    proof: Proof  # of its last look
    history: list[Row]


def fit_labels(
    objective: Objective,
    rows: Rows,
    having: Sequence[Array],
    weight: Array,
    *,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    factor: Array | None = None,
    threads: int = 1,
) -> list[Fitted]:
    """A fit per label, given by the rows that have it; each to a relative gap of at most tol.

    factor (2, K) weighs the rows without and with each label.
    """
    ranked = sorted(range(len(having)), key=lambda k: -len(having[k]))

    def fit(start: int, stop: int, own: np.random.Generator) -> list[Fitted]:
        places = ranked[start:stop]
        labels = [having[k] for k in places]
        sides = np.ones((2, len(places))) if factor is None else factor[:, places]
        return fit_group(objective, rows, labels, weight, sides, tol, max_epochs, own)

    parts = each_group(fit, column_groups(len(ranked), WIDTH), rng, threads=threads)
    fits = dict(zip(ranked, [one for part in parts for one in part], strict=True))
    return [fits[k] for k in range(len(having))]


def fit_group(
    objective: Objective,
    rows: Rows,
    having: Sequence[Array],
    weight: Array,
    factor: Array,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
) -> list[Fitted]:
    """Up to eight labels, to the end."""
    began, n = time.perf_counter(), n_rows(rows)
    lanes = label_samples(rows, having, weight, factor)
    order = block_order(n, min(BLOCK, n // FEWEST_BLOCKS), rng)
    shared = first_epoch(objective, lanes, len(having), order)
    columns = []
    for k, samples in enumerate(having):
        codes = np.zeros(n, np.int32)
        codes[samples] = 1
        own = one_label(rows, codes, weight, factor[:, k])
        columns.append(
            Column(own, one_column(own, shared, k), FIRST_RATIO, Proof(0.0, 0.0, 0.0), [])
        )
    budget, scores = FIRST_LOOK, np.empty((n, WIDTH))
    while True:
        for k, column in enumerate(columns):
            if column.state.live[0]:
                most = min(budget, max_epochs - column.state.epochs)
                columns[k] = advance(objective, tol, most, column, rng)
        columns = look_at_all(objective, tol, columns, scores, began)
        if not any(c.state.live[0] and c.state.epochs < max_epochs for c in columns):
            return [fitted(column) for column in columns]
        budget = MOST


def advance(
    objective: Objective, tol: float, most: int, column: Column, rng: np.random.Generator
) -> Column:
    """Epochs of one column until its gap is predicted to be small, or `most` of them."""
    state, value = column.state, max(column.proof.dual, 0.0)
    for _ in range(most):
        state = walk(objective, column.samples, state, rng)
        value += state.gain
        if state.gain * column.ratio <= SAFETY * tol * value:
            break
    return column._replace(state=state)


def look_at_all(
    objective: Objective, tol: float, columns: list[Column], scores: Array, began: float
) -> list[Column]:
    """The certificate of each column that is not solved, from one pass over the rows."""
    rows = columns[0].samples.rows
    W = lane_weights(len(columns[0].state.W))
    for k, (samples, state, *_) in enumerate(columns):
        if state.live[0]:
            feasible(objective, samples, tol, state)
            W[:, 0, k] = state.W
    lane_scores(rows, W, scores)
    seen = []
    for k, column in enumerate(columns):
        if column.state.live[0]:
            state, own = column.state, np.ascontiguousarray(scores[:, k : k + 1])
            proof = look(objective, column.samples, tol, state, own)
            gap = max(proof.primal - proof.dual, 0.0)
            ratio = gap / state.gain if state.gain > 0.0 else column.ratio
            certificate = certificate_of(proof.primal, proof.dual)
            told = history_row(state.epochs, time.perf_counter() - began, certificate)
            column = column._replace(ratio=ratio, proof=proof, history=[*column.history, told])
        seen.append(column)
    return seen


@lean_kernel
def lane_scores(rows: object, W: Array, scores: Array) -> None:
    """scores[i, k] = wₖᵀxᵢ."""
    for i in range(scores.shape[0]):
        dots(row(rows, i), W, scores[i])


def fitted(column: Column) -> Fitted:
    state, (primal, dual, b) = column.state, column.proof
    history = by_epoch(column.history, state.epochs)
    proof = certificate_of(primal, dual)
    return Fitted(state.W, np.array([b]), proof, history, state.epochs, not state.live[0])


def by_epoch(looks: Sequence[Row], epochs: int) -> list[Row]:
    """A row per epoch; those between two looks have the seconds of the later one."""
    rows: list[Row] = []
    for told in looks:
        while len(rows) < int(told["epoch"]) - 1:
            rows.append(history_row(len(rows) + 1, told["seconds"], None))
        rows.append(told)
    assert len(rows) == epochs, "the last epoch ends with a look"
    return rows
