"""Dual coordinate descent by workers that see a block each, for variables that servers keep.

    max_α  D(α) = −½‖w‖² − Σ cᵢ ℓ*(−αᵢ/cᵢ),     w = Σ αᵢ yᵢ xᵢ,     Σ αᵢ yᵢ = 0

The servers hold w and α alike, and beside them what else all samples add up to:

    δ     Σ αᵢ yᵢ, one more coordinate of w
    β     the multiplier of δ = 0; the intercept is b = β + ρ δ (see `dual.py`)
    seen  the rows walked so far

A worker walks its block with w, δ, β and its own α as it found them, sees its own steps σ′ times
over, and gives back its moves alone:

    max_Δα  −½‖w‖² − w·Δw − (σ′/2)‖Δw‖² − Σ_{i ∈ B} cᵢ ℓ*(−(αᵢ + Δαᵢ)/cᵢ),     Δw = Σ_B Δαᵢ yᵢ xᵢ

As all that is held is a sum over samples, one update of w, δ, β, seen and α together, applied by
the servers whole or not at all, keeps w = Σ αᵢ yᵢ xᵢ, whoever dies. As ‖Σ Δwₖ‖² ≤ σ′ Σ ‖Δwₖ‖² of
σ′ updates or fewer, their sum raises the dual by no less than the sum of what each is sure of.

In the first epoch w / s stands for w after a share s of the rows, as in `dual.py`: `seen` tells it.

Ma, Smith, Jaggi, Jordan, Richtárik & Takáč, Adding vs. averaging in distributed primal-dual
optimization, 2015 (algorithm 1, equation 9, lemma 4: γ = 1, σ′ = K).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from widemargin.data.rows import Array, n_features
from widemargin.data.samples import Samples, n_columns
from widemargin.duals import largest
from widemargin.objective import Objective
from widemargin.solvers.dual import CHUNKS, FIRST_CHUNK, FIRST_WALKS, PARTS, DualState
from widemargin.solvers.dual_kernels import dual_epoch

SUMS = 3  # rows between those of w and of α: δ, β, seen
ROUNDING = 1e-12  # of a sample's c: an α so near to a bound is there


class How(NamedTuple):
    """What all workers agree on."""

    n: int  # samples in all
    rho: float  # weight of δ²
    adding: float  # σ′
    passes: int = 1  # over a block; those after the first visit the rows that moved


class Share(NamedTuple):
    """Of a walk over a block: rows start..stop-1 of its order, with w / s for w."""

    start: int
    stop: int
    scale: float  # 1 / s
    turn: float  # of the multiplier's step after it


class View(NamedTuple):
    """θ as a block touches it, (u + SUMS + m, K) for u features and m rows, by parts."""

    w: Array
    delta: Array
    beta: Array
    seen: float
    alpha: Array


def view_of(theta: Array, u: int) -> View:
    """The parts of θ, as views."""
    delta, beta, seen = theta[u : u + SUMS]
    return View(theta[:u], delta, beta, float(seen[0]), theta[u + SUMS :])


def dual_moves(
    objective: Objective, samples: Samples, order: Array, theta: Array, first: bool, how: How
) -> Array:
    """What a walk over the block adds to θ, in its shape, (u + SUMS + m, K).

    `order` (m,) are the rows in the order of the walk; `first` says whether this is the first
    epoch.
    """
    u, K = n_features(samples.rows), n_columns(samples)
    was = view_of(theta, u)
    alpha = at_bounds(objective, samples, was.alpha)
    base = was.w / how.adding
    shares = shares_of(len(order), was.seen, first, how)
    state = DualState(
        W=base[:, 0].copy() if K == 1 else base.copy(),
        b=was.beta + shares[0].scale * how.rho * was.delta,
        alpha=alpha.copy(),
        delta=was.delta.copy(),
        keep=np.ones(len(order), np.bool_),
        live=np.ones(K, np.bool_),
        rho=how.rho,
        scale=1.0,
        slack=0.0,
        gain=0.0,
        floor=np.zeros(K),
        epochs=0,
        visited=0,
    )
    turned = np.zeros(K)
    for share in shares:
        rows = order[share.start : share.stop]
        walk(objective, samples, rows, state._replace(scale=share.scale * how.adding), how)
        guess = was.delta + how.adding * (state.delta - was.delta)  # if all add the like
        step = share.turn * np.clip(share.scale * how.rho * guess, -1.0, 1.0)
        state.b[:] += step
        turned += step
    moves = np.empty_like(theta)
    into = view_of(moves, u)
    into.w[:] = state.W.reshape(u, K) - base
    moves[u : u + SUMS, :] = [
        state.delta - was.delta,
        turned / how.adding,
        np.full(K, len(order)),
    ]
    into.alpha[:] = state.alpha - was.alpha
    return moves


def walk(objective: Objective, samples: Samples, rows: Array, state: DualState, how: How) -> None:
    """Passes along `rows`, in place."""
    scores, moves = np.empty_like(state.b), np.empty_like(state.b)
    for _ in range(how.passes):
        dual_epoch(objective, samples, rows, state, scores, moves)
        rows = rows[state.keep[rows]]


def shares_of(m: int, seen: float, first: bool, how: How) -> list[Share]:
    """How a block of m rows is walked.

    After the first epoch, at once, and β steps as far as the share of an epoch that σ′ such
    blocks are. In the first epoch σ′ workers go from `seen` rows to seen + σ′ m: in chunks each
    a little larger than the last, the first chunk of all some times over, β stepping after each.
    """
    whole = how.adding * m
    if not first:
        return [Share(0, m, 1.0, min(1.0, PARTS * whole / how.n))]
    head = min(max(FIRST_CHUNK * how.n, 1.0), whole)
    low, high = max(seen, head), seen + whole
    ratio = FIRST_CHUNK ** (-1.0 / (CHUNKS - 1))
    many = max(1, round(np.log(high / low) / np.log(ratio)))
    edges = np.geomspace(low, high, many + 1) if high > low else np.array([low])
    shares = []
    if seen < head:
        cut = round((low - seen) / how.adding)
        shares = [Share(0, cut, how.n / low, 1.0)] * FIRST_WALKS
    cuts = np.round((edges - seen) / how.adding).astype(int)
    for a, e, k in zip(edges[:-1], edges[1:], range(many), strict=False):
        scale = max(1.0, 2.0 * how.n / (a + e))
        shares.append(Share(int(cuts[k]), int(cuts[k + 1]), scale, 1.0))
    return shares


def at_bounds(objective: Objective, samples: Samples, alpha: Array) -> Array:
    """α, (m, K), with those that rounding took from a bound back on it."""
    first = np.arange(alpha.shape[1]) + samples.first
    side = (samples.codes[:, None] == first).astype(int)
    weights = objective.C * samples.weight[:, None] * np.take_along_axis(samples.factor, side, 0)
    top = np.where(weights > 0.0, largest(objective.loss, 1.0), 0.0) * weights
    low = np.where(alpha <= ROUNDING * weights, 0.0, alpha)
    kept: Array = np.where(low >= top * (1.0 - ROUNDING), top, low)
    return kept
