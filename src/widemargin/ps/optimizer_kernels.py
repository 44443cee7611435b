"""The steps of the server's optimizers, entry by entry: one pass over memory each.

The arithmetic is that of the arrays' own type: every number comes in as a scalar of that type,
no product is fused with a sum, and no sum is reordered, so the bits do not depend on where a
range of keys begins. Each step answers how many entries of v it left that are not finite.
Gradients come in as read-only arrays, as those that a message holds are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from widemargin._jit import jitable, lean_kernel
from widemargin.data.rows import Array


@jitable
def unruly(x: Any) -> Any:
    """1 for NaN and the infinities, else 0: of these alone x − x is NaN, which equals nothing."""
    return np.int32(0) if x - x == x - x else np.int32(1)


@lean_kernel
def sgd_step(v: Array, g: Array, rate: Any) -> int:
    """vⱼ ← vⱼ − rate gⱼ."""
    bad: Any = np.int32(0)
    for j in range(v.size):
        v[j] -= rate * g[j]
        bad += unruly(v[j])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def sgd_step_at(v: Array, at: Array, g: Array, free: int, rate: Any, free_rate: Any) -> int:
    """`sgd_step` for the rows of v named by `at`; those from `free` on step with `free_rate`."""
    bad: Any = np.int32(0)
    for i in range(at.size):
        r = rate if at[i] < free else free_rate
        for k in range(v.shape[1]):
            v[at[i], k] -= r * g[i, k]
            bad += unruly(v[at[i], k])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def momentum_step(v: Array, m: Array, g: Array, numbers: Array) -> int:
    """h = g + decay v,  m ← μ m + h,  v ← shrink v − rate (ahead m + own h).

    `numbers` are rate, shrink, decay, μ, ahead and own: ahead = 1, own = 0 is momentum, and
    ahead = μ, own = 1 is Nesterov's.
    """
    rate, shrink, decay = numbers[0], numbers[1], numbers[2]
    mu, ahead, own = numbers[3], numbers[4], numbers[5]
    bad: Any = np.int32(0)
    for j in range(v.size):
        x = shrink * v[j]
        h = g[j] + decay * x
        m[j] = mu * m[j] + h
        v[j] = x - rate * (ahead * m[j] + own * h)
        bad += unruly(v[j])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def adagrad_step(v: Array, q: Array, g: Array, rate: Any, decay: Any, eps: Any) -> int:
    """h = g + decay v,  q ← q + h²,  v ← v − rate h / (√q + ε)."""
    bad: Any = np.int32(0)
    for j in range(v.size):
        h = g[j] + decay * v[j]
        q[j] += h * h
        v[j] -= rate * (h / (math.sqrt(q[j]) + eps))
        bad += unruly(v[j])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def adagrad_step_at(
    v: Array, q: Array, at: Array, g: Array, free: int, rate: Any, free_rate: Any, eps: Any
) -> int:
    """`adagrad_step` without decay for the rows named by `at`, as in `sgd_step_at`."""
    bad: Any = np.int32(0)
    for i in range(at.size):
        j, r = at[i], rate if at[i] < free else free_rate
        for k in range(v.shape[1]):
            h = g[i, k]
            q[j, k] += h * h
            v[j, k] -= r * (h / (math.sqrt(q[j, k]) + eps))
            bad += unruly(v[j, k])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def adam_step(v: Array, m: Array, q: Array, g: Array, numbers: Array) -> int:
    """h = g + decay v,  m ← β₁ m + (1 − β₁) h,  q ← β₂ q + (1 − β₂) h²,
    v ← shrink v − rate m / (√q / root + ε).

    `numbers` are rate, shrink, decay, β₁, 1 − β₁, β₂, 1 − β₂, root = √(1 − β₂ᵗ) and ε.
    """
    rate, shrink, decay, b1, c1, b2, c2, root, eps = (
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
        numbers[5], numbers[6], numbers[7], numbers[8],
    )  # fmt: skip
    bad: Any = np.int32(0)
    for j in range(v.size):
        x = shrink * v[j]
        h = g[j] + decay * x
        m[j] = b1 * m[j] + c1 * h
        q[j] = b2 * q[j] + c2 * (h * h)
        v[j] = x - rate * (m[j] / (math.sqrt(q[j]) / root + eps))
        bad += unruly(v[j])
    return bad  # type: ignore[no-any-return]


@lean_kernel
def averaged(a: Array, v: Array, alpha: Any, rest: Any, s: Any) -> None:
    """a ← α a + rest (s v)."""
    for j in range(a.size):
        a[j] = alpha * a[j] + rest * (s * v[j])


@lean_kernel
def leaned(u: Array, v: Array, at: Array, free: int, r: Any, free_r: Any) -> None:
    """u ← u + r v in the rows named by `at`; from `free` on with `free_r`."""
    for i in range(at.size):
        c = r if at[i] < free else free_r
        for k in range(v.shape[1]):
            u[at[i], k] += c * v[at[i], k]
