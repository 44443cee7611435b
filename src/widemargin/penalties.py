"""Penalties r(w): value and conjugate, per column of weights.

L2           r(w) = ½‖w‖²                      r*(z) = ½‖z‖²
L1           r(w) = ‖w‖₁                       r*(z) = 0 if ‖z‖∞ ≤ 1, else +∞
ElasticNet   r(w) = ½(1 − ρ)‖w‖² + ρ‖w‖₁       r*(z) = ‖max(0, |z| − ρ)‖² / (2(1 − ρ))
NoPenalty    r(w) = 0                          r*(z) = 0 if z = 0, else +∞
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class L2(NamedTuple):
    """r(w) = ½‖w‖²."""


class L1(NamedTuple):
    """r(w) = ‖w‖₁."""


class ElasticNet(NamedTuple):
    """r(w) = ½(1 − ρ)‖w‖² + ρ‖w‖₁, 0 < ρ < 1."""

    l1_ratio: float = 0.15


class NoPenalty(NamedTuple):
    """r(w) = 0."""


Penalty: TypeAlias = L2 | L1 | ElasticNet | NoPenalty


def penalty_value(penalty: Penalty, w: Array) -> float:
    """r(w) of one column."""
    match penalty:
        case L2():
            return 0.5 * float(w @ w)
        case L1():
            return float(np.abs(w).sum())
        case ElasticNet(rho):
            return 0.5 * (1.0 - rho) * float(w @ w) + rho * float(np.abs(w).sum())
    return 0.0


def penalty_conjugate(penalty: Penalty, z: Array) -> float:
    """r*(z) of one column."""
    match penalty:
        case L2():
            return 0.5 * float(z @ z)
        case L1():
            return 0.0 if z.size == 0 or float(np.abs(z).max()) <= 1.0 else math.inf
        case ElasticNet(rho):
            excess = np.maximum(0.0, np.abs(z) - rho)
            return float(excess @ excess) / (2.0 * (1.0 - rho))
    return 0.0 if not z.any() else math.inf


def largest_feasible_scale(penalty: Penalty, z: Array) -> float:
    """The largest t ≤ 1 with r*(t z) finite."""
    match penalty:
        case L1():
            top = float(np.abs(z).max()) if z.size else 0.0
            return 1.0 if top <= 1.0 else (1.0 - 1e-15) / top
        case NoPenalty():
            return 0.0 if z.any() else 1.0
    return 1.0
