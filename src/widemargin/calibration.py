"""Probabilities from scores: Platt's sigmoid, fitted by a safe Newton method.

    P(y = 1 | f) = 1 / (1 + exp(A f + B)),
    min_{A, B}  Σ sᵢ [ −tᵢ log pᵢ − (1 − tᵢ) log(1 − pᵢ) ],
    tᵢ = (N₊ + 1) / (N₊ + 2) on the positive side, 1 / (N₋ + 2) on the negative,

N the sum of the weights of a side. The targets keep A finite where the scores separate the
sides. The scores must be those of samples that the classifier did not learn from, held out or
cross-validated: on its own samples it is too sure.

Where the tails of the scores clearly ask for it, a third term makes the curve steeper far from
its middle, 1 / (1 + exp(A f + B + (D f)³)), A < 0 and D < 0, so that it still rises everywhere.

More than two classes, one score each: a sigmoid per class, divided by their sum.

Platt, Probabilistic outputs for support vector machines, 1999; Lin, Lin & Weng, A note on
Platt's probabilistic outputs for support vector machines, 2007 (algorithm 1); Zadrozny & Elkan,
Transforming classifier scores into accurate multiclass probability estimates, 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

RIDGE = 1e-12  # added to the Hessian, which is singular where all scores are equal
STEPS, SHORTEST = 100, 1e-10  # Newton steps at most; backtracking ends with a step below
FLAT = 1e-13  # a slope below this, relative to the sum of weights, is rounding
ENOUGH = 1e-4  # of the decrease that the slope promises, for a step to be taken
FAR = 1e100  # so that its cube is finite
CLEAR = 5.0  # nats that D must gain: by chance once in 1,300 fits (χ², D < 0 in half)


class Sigmoid(NamedTuple):
    """P(y = 1 | f) = 1 / (1 + exp(A f + B + (D f)³)); A is negative where higher scores mean y = 1.

    Platt's has D = 0.
    """

    A: float
    B: float
    D: float = 0.0


def fit_sigmoid(scores: Any, positive: Any, weight: Any = None, *, tails: bool = False) -> Sigmoid:
    """The sigmoid of scores (n,), given which are `positive` (n,) and sample weights (n,) ≥ 0.

    Newton steps with backtracking on scores divided by their largest, so that neither huge nor
    tiny ones lose digits; each step lowers the objective. With `tails` also D is fitted, and kept
    where it gains more than chance would and the curve rises everywhere.

    >>> fit_sigmoid([-2.0, -1.0, 1.0, 2.0], [False, False, True, True]).A < 0.0
    True
    """
    f, s, t = _checked(scores, positive, weight)
    unit = float(np.abs(f).max(initial=0.0)) or 1.0
    f = f / unit
    rest, gained = s[t < 0.5].sum(), s[t > 0.5].sum()
    t = np.where(t > 0.5, (gained + 1.0) / (gained + 2.0), 1.0 / (rest + 2.0))
    Z = np.column_stack([f, np.ones_like(f)])
    v, value = _newton(np.array([0.0, np.log((rest + 1.0) / (gained + 1.0))]), Z, t, s)
    plain = Sigmoid(float(v[0] / unit), float(v[1]))
    if not tails or v[0] >= 0.0:
        return plain
    v, lower = _newton(np.append(v, 0.0), np.column_stack([Z, f**3]), t, s)
    shares = s / s.max()
    gain = (value - lower) / s.max() * shares.sum() / (shares @ shares)  # in samples of weight 1
    if gain <= CLEAR or v[0] >= 0.0 or v[2] >= 0.0:
        return plain
    return Sigmoid(float(v[0] / unit), float(v[1]), float(np.cbrt(v[2]) / unit))


def _newton(v: Array, Z: Array, t: Array, s: Array) -> tuple[Array, float]:
    """(the best v, its cost) for terms Z (n, m) of the scores, from a start v (m,)."""
    value = cost(v, Z, t, s)
    for _ in range(STEPS):
        slope, bend = slopes(v, Z, t, s)
        if np.abs(slope).max() <= FLAT * s.sum():
            break
        step = -np.linalg.solve(bend, slope)
        v, value, moved = _backtracked(v, step, float(slope @ step), value, (Z, t, s))
        if not moved:
            break  # what is left to win is below rounding
    return v, value


def fit_sigmoids(scores: Array, codes: Array, weight: Any = None) -> tuple[Sigmoid, ...]:
    """A sigmoid for each of the K columns of scores (n, K), given the class of each sample.

    One column belongs to two classes, of which 1 is the positive; of more, column k to class k.
    Each has its tails fitted where they ask for it.
    """
    first = 1 if scores.shape[1] == 1 else 0
    return tuple(
        fit_sigmoid(column, codes == k + first, weight, tails=True)
        for k, column in enumerate(scores.T)
    )


def probabilities(scores: Any, sigmoids: Sequence[Sigmoid]) -> Array:
    """P(class | x), shape (n, n_classes), of scores (n,) or (n, K) and K sigmoids.

    >>> probabilities([0.0, 1.0], [Sigmoid(-2.0, 0.0)]).round(3).tolist()
    [[0.5, 0.5], [0.119, 0.881]]
    """
    found: Array = np.exp(log_probabilities(scores, sigmoids))
    return found


def spelt(sigmoids: Sequence[Sigmoid]) -> list[list[float]]:
    """As a model file keeps them: A and B, and D where there is one."""
    return [list(one) if one.D else [one.A, one.B] for one in sigmoids]


def has_tails(sigmoids: Sequence[Sigmoid] | None) -> bool:
    """Whether a D is among them, which older model files do not know."""
    return any(one.D for one in sigmoids or ())


def log_probabilities(scores: Any, sigmoids: Sequence[Sigmoid]) -> Array:
    """log P(class | x), finite however sure: the sums are taken over logarithms."""
    f = np.asarray(scores, np.float64)
    f = f[:, None] if f.ndim == 1 else f
    A, B, D = np.array([Sigmoid(*values) for values in sigmoids], np.float64).T
    if f.shape[1] != len(A):
        raise ValueError(
            f"scores have {f.shape[1]} columns for {len(A)} sigmoids. Give one sigmoid a column."
        )
    z = A * f + B
    if D.any():
        z = z + np.clip(D * f, -FAR, FAR) ** 3
    logs: Array = -np.logaddexp(0.0, z)
    if len(A) == 1:
        return np.column_stack([-np.logaddexp(0.0, -z[:, 0]), logs[:, 0]])
    top = logs.max(axis=1, keepdims=True)
    shares: Array = logs - top - np.log(np.exp(logs - top).sum(axis=1, keepdims=True))
    return shares


def cost(v: Array, Z: Array, t: Array, s: Array) -> float:
    """Σ s [log(1 + exp(z)) − (1 − t) z], z = Z v: the cross-entropy, which cannot overflow."""
    z = Z @ v
    return float(s @ (np.logaddexp(0.0, z) - (1.0 - t) * z))


def slopes(v: Array, Z: Array, t: Array, s: Array) -> tuple[Array, Array]:
    """Gradient (m,) and Hessian (m, m) of the cost: t − p and p (1 − p) along the terms."""
    z = Z @ v
    p = np.exp(-np.logaddexp(0.0, z))
    g, h = s * (t - p), s * p * np.exp(-np.logaddexp(0.0, -z))
    return Z.T @ g, (Z.T * h) @ Z + RIDGE * np.eye(len(v))


def _backtracked(
    v: Array, step: Array, falls: float, value: float, data: tuple[Array, Array, Array]
) -> tuple[Array, float, bool]:
    """(v, its cost, whether it moved) after the longest of 1, ½, ¼ … steps that pays."""
    length = 1.0
    while length >= SHORTEST:
        there = v + length * step
        cost_there = cost(there, *data)
        if cost_there < value + ENOUGH * length * falls:
            return there, cost_there, True
        length *= 0.5
    return v, value, False


def _checked(scores: Any, positive: Any, weight: Any) -> tuple[Array, Array, Array]:
    """Scores, weights and 0/1 targets of the samples that have weight."""
    f, t = np.asarray(scores, np.float64), np.asarray(positive)
    s = np.ones(f.shape) if weight is None else np.asarray(weight, np.float64)
    if f.ndim != 1 or t.shape != f.shape or s.shape != f.shape:
        raise ValueError(
            f"scores, positive and weight have the shapes {f.shape}, {t.shape} and {s.shape}. "
            "Give one score, one truth value and one weight for each sample."
        )
    if not np.isfinite(f).all():
        raise ValueError(
            "scores hold a value that is not finite. Probabilities need finite scores: "
            "scale the features, or lower C."
        )
    if not (np.isfinite(s).all() and (s >= 0.0).all() and s.any()):
        raise ValueError(
            "weight must be finite, none below 0 and some above, got "
            f"{s.min(initial=0.0)} to {s.max(initial=0.0)}. Drop or reweigh those samples."
        )
    held = s > 0.0
    return f[held], s[held], t[held].astype(np.float64)
