"""Kernels: inner products in a feature space, from inner products of rows.

K(x, z) = φ(t),     t = u(x) + u(z) + shift + scale · xᵀz

kernel        scale   shift   u(x)       φ(t)
linear        1       0       0          t
polynomial    γ       coef0   0          tᵖ
sigmoid       γ       coef0   0          tanh t
rbf           2γ      0       −γ‖x‖²     exp t
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array


class Linear(NamedTuple):
    """K(x, z) = xᵀz."""


class Polynomial(NamedTuple):
    """K(x, z) = (γ xᵀz + coef0)ᵖ, p a whole number."""

    degree: int
    gamma: float
    coef0: float


class Rbf(NamedTuple):
    """K(x, z) = exp(−γ‖x − z‖²)."""

    gamma: float


class Sigmoid(NamedTuple):
    """K(x, z) = tanh(γ xᵀz + coef0); not positive semidefinite, so its dual may have no bound."""

    gamma: float
    coef0: float


Kernel: TypeAlias = Linear | Polynomial | Rbf | Sigmoid
KERNELS: dict[str, type[Kernel]] = {
    "linear": Linear,
    "poly": Polynomial,
    "rbf": Rbf,
    "sigmoid": Sigmoid,
}


def scale_of(kernel: Kernel) -> float:
    match kernel:
        case Linear():
            return 1.0
        case Rbf(gamma):
            return 2.0 * gamma
        case Polynomial(_, gamma) | Sigmoid(gamma):
            return gamma
    raise AssertionError(kernel)


def shift_of(kernel: Kernel) -> float:
    return kernel.coef0 if isinstance(kernel, Polynomial | Sigmoid) else 0.0


def offsets(kernel: Kernel, norms: Array) -> Array:
    """u(x) from ‖x‖²."""
    return -kernel.gamma * norms if isinstance(kernel, Rbf) else np.zeros_like(norms)


def shape(kernel: Kernel, t: Array) -> None:
    """t ← φ(t), in place; a tile that fits the cache is walked once or twice."""
    match kernel:
        case Rbf():
            np.minimum(t, 0.0, out=t)  # ‖x − z‖² is no less than 0, whatever the rounding
            np.exp(t, out=t)
        case Sigmoid():
            np.tanh(t, out=t)
        case Polynomial(degree):
            _power(t, degree)


def _power(t: Array, p: int) -> None:
    """t ← tᵖ by squaring: np.power takes ten times as long."""
    base = t.copy()
    t[:] = 1.0
    while p:
        if p & 1:
            t *= base
        p >>= 1
        if p:
            base *= base


def diagonal(kernel: Kernel, norms: Array) -> Array:
    """K(x, x) from ‖x‖², float64."""
    if isinstance(kernel, Rbf):
        return np.ones(len(norms))
    t = scale_of(kernel) * np.asarray(norms, np.float64) + shift_of(kernel)
    shape(kernel, t)
    return t


def shift_invariant(kernel: Kernel) -> bool:
    """Whether adding one vector to all rows leaves the classifier as it is, but for b."""
    return isinstance(kernel, Linear | Rbf)
