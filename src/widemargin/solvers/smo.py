"""Sequential minimal optimisation on working sets, for any kernel.

    max_α  Σ αᵢ − ½ ΣΣ αᵢ αⱼ yᵢ yⱼ K(xᵢ, xⱼ),     0 ≤ αᵢ ≤ cᵢ,     Σ αᵢ yᵢ = 0

A step moves two variables, i and j, the j of the largest gain with i. Steps are taken inside a
working set of some hundred variables, whose kernel values lie in the processor's cache; half of
each set is what violates the conditions most, the rest stays from the set before. Only after the
set is solved are the v = y − F of all samples brought up to date, by one pass over the rows of
the kernel matrix that moved. So rows are computed many at once, which is several times cheaper
than one by one, and passes over all samples are two orders fewer than steps.

Variables that sit at a bound and cannot violate the conditions leave the problem (shrinking);
when the rest is solved, all are looked at again, and the gap is taken over all.

Platt, Fast training of SVMs using sequential minimal optimization, 1998; Joachims, Making
large-scale SVM learning practical, 1998 (decomposition, shrinking); Fan, Chen & Lin, Working set
selection using second order information, 2005; Wen et al., ThunderSVM, 2018 (sets on parts kept).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.solvers.gram import (
    ALONE,
    Crew,
    Source,
    at,
    diagonal_of,
    dtype_of,
    size,
    weigh,
    write_rows,
)
from widemargin.solvers.hard_margin import (
    inseparable_pair,
    refuse_tiny_margin,
    refuse_undecided,
    stretch,
)
from widemargin.solvers.kernel_certificate import Look, look_at, movable
from widemargin.solvers.row_cache import RowCache
from widemargin.solvers.smo_kernels import descend, solve_working, working

SET = 768  # variables of a working set at first
LARGEST_SET = 2048
SOLVED = 0.02  # a set is solved to this share of the violation it met
LEAVE = 0.15  # the share that must be able to leave before any does
PATIENCE = 2  # sets in a row that a variable must have been idle in before it may leave
POLISH = 1e-12  # a problem that is one working set is brought to this violation …
MORE = 20  # … in so many further steps a variable
LONGEST = 1000  # steps a variable in one set, lest rounding keep it busy
PRECISE = 1e-5  # tolerances below ask for a look in the precision of the exact source
ROUNDS = 60
ROUNDING = 1e-14  # of the largest term of v


class Problem(NamedTuple):
    """One binary problem; `exact` gives the same kernel as `source`, in float64."""

    source: Source
    exact: Source
    y: Array  # (n,) ±1.0
    upper: Array  # (n,) c > 0, all inf for the hard margin


class Plan(NamedTuple):
    tol: float = 1e-3
    max_steps: int = -1  # −1: as many as it takes
    shrinking: bool = True
    cache_bytes: float = 200 * 2.0**20
    crew: Crew = ALONE


class Round(NamedTuple):
    """What is known after the active variables were solved and all samples looked at."""

    alpha: Array
    look: Look
    steps: int  # so far
    solved: bool


@dataclass
class Active:
    """The variables that take part; arrays are in the order of `index`."""

    whole: Array  # α of all variables, brought up to date as variables leave
    index: Array  # numbers in the whole problem
    source: Source
    y: Array
    upper: Array
    alpha: Array
    v: Array
    diag: Array
    cache: RowCache
    idle: Array  # sets in a row in which the variable could not have violated the conditions
    chosen: Array  # the working set before, as positions
    size: int  # of the next working set


def rounds(problem: Problem, plan: Plan = Plan()) -> Iterator[Round]:  # noqa: B008
    """Yield after each look at all samples, until the gap and the violation are within tol."""
    y, upper, n = problem.y, problem.upper, len(problem.y)
    alpha, v, F, seen = np.zeros(n), y.copy(), np.zeros(n), np.zeros(n)
    same = plan.tol >= PRECISE or problem.exact is problem.source
    diag, eps, steps = diagonal_of(problem.exact), plan.tol, 0
    active = start(problem, plan, diag, alpha, v)
    for _ in range(ROUNDS):
        steps += reach(active, eps, plan, steps)
        stale = np.ones(n, np.bool_)
        active.whole[active.index] = active.alpha
        alpha = active.whole
        if same:
            stale[active.index] = False
            v[active.index] = active.v
            _refresh(problem.source, y, alpha, stale, v, plan.crew)
        else:
            moved = np.flatnonzero(alpha != seen)
            coef = ((alpha - seen) * y)[None, moved]
            weigh(problem.exact, problem.exact, moved, coef, F[:, None], plan.crew)
            seen, v = alpha.copy(), y - F
        look = look_at(y, alpha, upper, v)
        solved = look.violation <= plan.tol and look.certificate.relative_gap <= plan.tol
        yield Round(alpha.copy(), look, steps, solved)
        if solved or 0 <= plan.max_steps <= steps or eps <= rounding(active):
            return
        eps = eps if look.violation > eps else tighter(eps, look, plan.tol)
        active = again(active, problem, alpha, v, diag)


def tighter(eps: float, look: Look, tol: float) -> float:
    """The gap falls about as the violation does."""
    ratio = tol / look.certificate.relative_gap if look.certificate.relative_gap > 0.0 else 1.0
    return eps * min(0.5, max(0.5 * ratio, 0.01))


def rounding(active: Active) -> float:
    """The violation that rounding of v alone can make."""
    scale = max(1.0, float(np.abs(active.v).max()), float((active.alpha * active.diag).max()))
    return ROUNDING * scale


def _refresh(source: Source, y: Array, alpha: Array, stale: Array, v: Array, crew: Crew) -> None:
    """v = y − F of the stale samples."""
    those, support = np.flatnonzero(stale), np.flatnonzero(alpha > 0.0)
    if len(those):
        F = np.zeros((len(those), 1))
        weigh(at(source, those), source, support, (alpha * y)[None, support], F, crew)
        v[those] = y[those] - F[:, 0]


def start(problem: Problem, plan: Plan, diag: Array, alpha: Array, v: Array) -> Active:
    n = size(problem.source)
    cache = RowCache(n, dtype_of(problem.source), plan.cache_bytes, SET // 8)
    none = np.zeros(0, np.int64)
    return Active(
        alpha, np.arange(n), problem.source, problem.y, problem.upper, alpha.copy(), v.copy(), diag,
        cache, np.zeros(n), none, min(SET, cache.slots),
    )  # fmt: skip


def again(active: Active, problem: Problem, alpha: Array, v: Array, diag: Array) -> Active:
    """All variables, with v as just looked at; the kept rows stay if none had left."""
    if len(active.index) == len(alpha):
        active.v = v.copy()
        return active
    cache = RowCache.over(active.cache, len(alpha))
    none = np.zeros(0, np.int64)
    return Active(
        alpha, np.arange(len(alpha)), problem.source, problem.y, problem.upper, alpha.copy(),
        v.copy(), diag, cache, np.zeros(len(alpha)), none, min(active.size, cache.slots),
    )  # fmt: skip


# -- the active variables --------------------------------------------------------------------------


def reach(active: Active, eps: float, plan: Plan, before: int) -> int:
    """Working sets until no active pair violates the conditions by more than eps; the steps."""
    steps, hard = 0, bool(np.isinf(active.upper[0]))
    while True:
        if hard and steps:
            stretch(active)
        rises, falls = movable(active.y, active.alpha, active.upper)
        top = active.v[rises].max(initial=-np.inf)
        low = active.v[falls].min(initial=np.inf)
        left = np.iinfo(np.int64).max if plan.max_steps < 0 else plan.max_steps - before - steps
        least = max(eps, rounding(active))
        if not top - low > least or left <= 0:
            return steps
        if hard:
            refuse_tiny_margin(active)
            if plan.max_steps < 0:
                refuse_undecided(before + steps, len(active.y))
        if plan.shrinking and len(active.y) > active.size:
            stuck = np.where(rises, ~falls & (active.v < low), active.v > top)
            active.idle = np.where(stuck, active.idle + 1, 0)
            stay = active.idle < PATIENCE
            if stay.sum() < (1.0 - LEAVE) * len(stay):
                shrink(active, stay)
                rises, falls = rises[stay], falls[stay]
        which = choose(active, rises, falls)
        steps += advance(active, which, max(SOLVED * (top - low), 0.5 * least), left, plan.crew)


def shrink(active: Active, stay: Array) -> None:
    """Go on with the variables that stay."""
    active.whole[active.index] = active.alpha
    kept = np.flatnonzero(stay)
    number = np.cumsum(stay) - 1
    active.source = at(active.source, kept)
    for name in ("index", "y", "upper", "alpha", "v", "diag", "idle"):
        setattr(active, name, getattr(active, name)[kept])
    active.chosen = number[active.chosen[stay[active.chosen]]]
    active.cache.keep(kept)


def choose(active: Active, rises: Array, falls: Array) -> Array:
    """The next working set, rising: the worst on either side, then free ones of the last set."""
    v, q = active.v, min(active.size, len(active.v))
    if q == len(v):
        return np.arange(q)
    half = max(1, (q // 2 if len(active.chosen) else q) // 2)
    taken = np.zeros(len(v), np.bool_)
    high = np.where(rises, -v, np.inf)
    worst = np.argpartition(high, half - 1)[:half]
    taken[worst[np.isfinite(high[worst])]] = True
    deep = np.where(falls & ~taken, v, np.inf)
    worst = np.argpartition(deep, half - 1)[:half]
    taken[worst[np.isfinite(deep[worst])]] = True
    old = active.chosen[~taken[active.chosen]]
    free = (rises & falls)[old]
    room = q - int(taken.sum())
    taken[np.concatenate([old[free], old[~free]])[:room]] = True
    return np.flatnonzero(taken)


def advance(active: Active, which: Array, eps: float, left: int, crew: Crew) -> int:
    """Solve the working set to eps, and bring v up to date; the steps taken."""
    slots, missing = active.cache.claim(which)
    write_rows(active.source, missing, active.cache.where[missing], active.cache.rows, crew)
    K = np.stack([active.cache.rows[slot].take(which) for slot in slots]).astype(np.float64)
    diag = active.diag[which]
    np.fill_diagonal(K, diag)
    y, alpha, v = active.y[which], active.alpha[which], active.v[which]
    w = working(K, y, alpha, active.upper[which], v, diag)
    steps, i, j = solve_working(w, len(which), eps, min(left, LONGEST * len(which)))
    if i >= 0:
        inseparable_pair(active.index[which[i]], active.index[which[j]])
    if len(which) == len(active.v) and steps < left:
        polish = max(POLISH, rounding(active))
        more, _, _ = solve_working(w, len(which), polish, min(left - steps, MORE * len(which)))
        steps += more
    after = w.alpha[: len(which)]
    delta = (after - alpha) * y
    moved = np.flatnonzero(delta)
    active.alpha[which], active.chosen = after, which
    rows, weight, some = active.cache.rows, delta[moved], slots[moved]
    crew.over(len(active.v), lambda a, e: descend(rows, some, weight, a, active.v[a:e]))
    few = len(missing) * 8 < len(which)
    if few and active.size < min(LARGEST_SET, active.cache.slots // 2):
        active.size = min(2 * active.size, active.cache.slots // 2)
    return int(steps)
