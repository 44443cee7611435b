"""A cross-validation along C: all folds in one pass over the data, warm-started from C to C.

Every column (a class told from the rest, on the rows of one fold) is a problem of its own; they
are walked eight at a time. At each C a column is solved until its relative duality gap is at most
`tol`, but the curve's far end is walked with `epochs` to each C. It begins where two scores are

    behind:  mean score < best mean so far − two standard errors of that best,

that of the last C that was solved, and that of this one after its epochs. What could be chosen is
solved; the far end cannot be, unless the curve had a second summit. The gaps are kept, so what
was left unfinished is known. docs/decisions/0009 has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

import numpy as np

from widemargin.data.folds import Folds, fold_samples
from widemargin.data.lanes import WIDTH
from widemargin.data.rows import Array, block_order, n_features, n_rows
from widemargin.data.samples import Samples, n_columns
from widemargin.objective import Objective
from widemargin.solvers.dual import DualCoordinateDescent, DualState
from widemargin.solvers.fold_dual import at_next_C, first_state, look, relative_gaps
from widemargin.solvers.fold_kernels import fold_steps

BLOCK = 16  # rows walked in memory order between two jumps, where there are many
FEWEST_BLOCKS = 512
FIRST_RATIO = 0.08  # gap after an epoch / rise of the dual in it, before one was measured
SAFETY = 0.8  # look when the predicted gap is below this share of what is asked
LOOK_EVERY = 20  # epochs
BEHIND = 2.0  # standard errors
FAR_EPOCHS = 6
FEW_FEATURES = 256  # up to here Newton's d × d systems beat coordinate steps


class Fold(NamedTuple):
    train: Array  # rows to learn from
    held: Array  # rows to be scored


class Effort(NamedTuple):
    tol: float = 1e-2  # relative gap of a column that is solved
    epochs: int | None = FAR_EPOCHS  # for a C at the far end; None: as for the others
    most: int = 1000  # for any C


def effort_for(samples: Samples, tol: float, most: int, epochs: int | None = FAR_EPOCHS) -> Effort:
    """With few features unfinished duals give wild weights, and finishing them is cheap."""
    return Effort(tol, None if n_features(samples.rows) <= FEW_FEATURES else epochs, most)


class Point(NamedTuple):
    """All folds at one C."""

    C: float
    scores: Array  # (F,) as judged
    gaps: Array  # (F,) relative duality gap, over the classes
    epochs: int


class Held(NamedTuple):
    """What there is to judge a C by."""

    C: float
    decisions: Callable[[int], Array]  # fold → (n_held, K) scores of the rows it holds out
    weights: Callable[[int], tuple[Array, Array]]  # fold → W (d, K), b (K,)


Judge: TypeAlias = Callable[[Held], Array]


class Group(NamedTuple):
    """Up to eight columns, walked together."""

    columns: list[tuple[int, int]]  # (class, fold)
    folds: Folds
    state: DualState
    scores: Array  # (n, 8) without b, as last looked at
    values: tuple[Array, Array]  # (primal, dual) then
    ratio: float  # of the gap then to the rise of the dual in the epoch before
    rng: np.random.Generator


def tune(
    objective: Objective,
    samples: Samples,
    folds: Sequence[Fold],
    Cs: Array,
    judge: Judge,
    *,
    rng: np.random.Generator,
    effort: Effort = Effort(),  # noqa: B008, a NamedTuple cannot change
    threads: int = 1,
    progress: Callable[[Point], None] | None = None,
) -> list[Point]:
    """The points of the curve for rising Cs, each with the score of every fold."""
    K = n_columns(samples)
    groups = start(objective._replace(C=float(Cs[0])), samples, folds, rng)
    points: list[Point] = []
    before = float(Cs[0])
    with ThreadPoolExecutor(max(1, min(threads, len(groups)))) as pool:
        for C in map(float, Cs):
            here, ratio, before = objective._replace(C=C), C / before, C

            def begin(group: Group, here: Objective = here, ratio: float = ratio) -> Group:
                return next_C(here, ratio, group) if ratio > 1.0 else group

            def go(group: Group, budget: int, here: Objective = here) -> Group:
                return advance(here, effort.tol, budget, group)

            def run(budget: int) -> None:
                groups[:] = pool.map(go, groups, [budget] * len(groups))

            groups[:] = pool.map(begin, groups)
            points.append(point_at(C, K, folds, groups, points, run, judge, effort))
            if progress is not None:
                progress(points[-1])
    return points


def point_at(
    C: float,
    K: int,
    folds: Sequence[Fold],
    groups: list[Group],
    points: Sequence[Point],
    run: Callable[[int], None],
    judge: Judge,
    effort: Effort,
) -> Point:
    """Run the groups until they are solved, or behind after as many epochs as that allows."""
    budget = effort.most if effort.epochs is None else min(effort.epochs, effort.most)
    run(budget)
    scores = judge(held_at(C, K, folds, groups))
    if budget < effort.most and any_live(groups) and not at_far_end(scores, points, effort.tol):
        run(effort.most - budget)
        scores = judge(held_at(C, K, folds, groups))
    epochs = max(group.state.epochs for group in groups)
    return Point(C, scores, fold_gaps(groups, len(folds)), epochs)


def start(
    objective: Objective, samples: Samples, folds: Sequence[Fold], rng: np.random.Generator
) -> list[Group]:
    """Groups of at most eight columns, each with a generator by its place."""
    columns = [(k, f) for k in range(n_columns(samples)) for f in range(len(folds))]
    parts = [columns[a : a + WIDTH] for a in range(0, len(columns), WIDTH)]
    groups = []
    for part, own in zip(parts, rng.spawn(len(parts)), strict=True):
        lanes = fold_samples(samples, [(k, folds[f].train) for k, f in part])
        state = first_state(objective, samples, lanes, len(part))
        scores, nothing = np.zeros_like(state.alpha), (np.zeros(WIDTH), np.zeros(WIDTH))
        groups.append(Group(part, lanes, state, scores, nothing, FIRST_RATIO, own))
    return groups


def next_C(objective: Objective, ratio: float, group: Group) -> Group:
    used = len(group.columns)
    state = at_next_C(objective, group.folds, ratio, used, group.state, group.scores)
    return group._replace(state=state)


def advance(objective: Objective, tol: float, budget: int, group: Group) -> Group:
    """Epochs until every column's gap is at most tol, or `budget` of them; ends with a look.

    A look costs a pass over the data, so it is taken when the rise of the dual in the epoch
    predicts success from the ratio of gap to rise seen last.
    """
    solver, state, folds = DualCoordinateDescent(steps=fold_steps), group.state, group.folds
    if not state.live.any():
        return group
    n, ratio, since = n_rows(folds.rows), group.ratio, 0
    value = float(group.values[1].sum())  # at the C before: the dual rises with C
    block = min(BLOCK, n // FEWEST_BLOCKS)
    for epoch in range(1, budget + 1):
        state = solver.epoch(objective, folds, block_order(n, block, group.rng), state)  # type: ignore[arg-type]
        value, since = value + state.gain, since + 1
        due = state.gain * ratio <= SAFETY * tol * max(value, 0.0)
        if due or since >= LOOK_EVERY or epoch == budget:
            upper, lower = look(objective, folds, tol, state, group.scores)
            gap, value, since = float((upper - lower).sum()), float(lower.sum()), 0
            ratio = gap / state.gain if state.gain > 0.0 else ratio
            group = group._replace(values=(upper, lower), ratio=ratio)
            if not state.live.any():
                break
    return group._replace(state=state)


def any_live(groups: Sequence[Group]) -> bool:
    return any(group.state.live.any() for group in groups)


def at_far_end(scores: Array, points: Sequence[Point], tol: float) -> bool:
    """Whether these scores and those of the last C that was solved are both behind."""
    solved = [point for point in points if (point.gaps <= tol).all()]
    return bool(solved) and is_behind(solved[-1].scores, points) and is_behind(scores, points)


def is_behind(scores: Array, points: Sequence[Point]) -> bool:
    """Whether a C cannot be chosen any more, by the best of those before it."""
    if not points:
        return False
    best = max((point.scores for point in points), key=lambda each: float(each.mean()))
    return bool(scores.mean() < best.mean() - BEHIND * standard_error(best))


def standard_error(scores: Array) -> float:
    """Of the mean over the folds; 0 for a single fold."""
    F = len(scores)
    return float(np.std(scores, ddof=1) / np.sqrt(F)) if F > 1 else 0.0


def fold_gaps(groups: Sequence[Group], F: int) -> Array:
    """(F,) relative gap of the classes' sum of each fold."""
    upper, lower = np.zeros(F), np.zeros(F)
    for group in groups:
        for lane, (_, f) in enumerate(group.columns):
            upper[f] += group.values[0][lane]
            lower[f] += group.values[1][lane]
    gaps: Array = relative_gaps(upper, lower)
    return gaps


def held_at(C: float, K: int, folds: Sequence[Fold], groups: Sequence[Group]) -> Held:
    """The scores of the rows held out, which the last look took, and the weights of each fold."""
    place = {column: (group, lane) for group in groups for lane, column in enumerate(group.columns)}

    def decisions(f: int) -> Array:
        out = np.empty((len(folds[f].held), K))
        for k in range(K):
            group, lane = place[k, f]
            out[:, k] = group.scores[folds[f].held, lane] + group.state.b[lane]
        return out

    def weights(f: int) -> tuple[Array, Array]:
        W, b = np.empty((n_features(groups[0].folds.rows), K)), np.empty(K)
        for k in range(K):
            group, lane = place[k, f]
            W[:, k], b[k] = group.state.W[:, 0, lane], group.state.b[lane]
        return W, b

    return Held(C, decisions, weights)


def best_index(points: Sequence[Point], rule: str) -> int:
    """The C of the best mean score, the smallest of equals; or, by "one_standard_error", the
    smallest C whose mean is at least the best one less its standard error."""
    means = np.array([point.scores.mean() for point in points])
    best = int(np.argmax(means))
    if rule == "best":
        return best
    return int(np.argmax(means >= means[best] - standard_error(points[best].scores)))
