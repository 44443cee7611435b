"""The loop of dual coordinate descent over the folds of a cross-validation.

It takes the steps of `dual_kernels.dual_epoch`, to rounding. What a row is to all columns is read
once, and columns that it does not take part in are passed over by its bits: with eight columns in
a register the data are at hand in less time than the general loop takes to look at them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row, squared_norm
from widemargin.duals import ascend, dual_slope, largest
from widemargin.solvers.dual_kernels import held


def fold_steps(
    objective: Any, folds: Any, order: Array, state: Any, p: Array, g: Array
) -> tuple[float, float]:
    """`fold_epoch` of the columns that are live."""
    live = int(np.packbits(state.live, bitorder="little")[0])
    found: tuple[float, float] = fold_epoch(objective, folds, order, state, live, p, g)
    return found


# long: one pass, whose steps share too many running values to be cut in two
@lean_kernel
def fold_epoch(
    objective: Any, folds: Any, order: Array, state: Any, live: int, p: Array, g: Array
) -> Any:
    """Exact coordinate steps along `order`, in place; returns (gain, mean |slope| of the steps).

    Bit k of `live` is set where column k is to be walked. p and g (8,) are scratch.
    """
    loss, W, b, alpha = objective.loss, state.W, state.b, state.alpha
    rho, scale = state.rho, state.scale
    gain, violation, steps = 0.0, 0.0, 0
    for i in order:
        takes_part = live & folds.learns[i]
        weight, code = objective.C * folds.weight[i], folds.codes[i]
        if takes_part == 0 or weight == 0.0:
            continue
        x = row(folds.rows, i)
        dots(x, W, p)
        q, near = -1.0, False
        for k in range(8):
            g[k] = 0.0
            if (takes_part >> k) & 1 == 0:
                continue
            side = 1 if code == folds.positive[k] else 0
            y, c, a = 2.0 * side - 1.0, weight * folds.factor[side, k], alpha[i, k]
            if c == 0.0:
                continue
            m = y * (scale * p[k] + b[k])
            s = dual_slope(loss, a, m, c)
            if held(a, s, largest(loss, c)):
                near |= abs(s) <= state.slack
                continue
            near = True
            if q < 0.0:
                q = scale * (squared_norm(x) + rho)
            z = ascend(loss, a, m, q, c)
            move = z - a
            alpha[i, k], g[k] = z, move * y
            b[k] += scale * rho * g[k]
            state.delta[k] += g[k]
            gain += abs(s * move) - 0.5 * q * move * move
            violation += abs(s)
            steps += 1
        state.keep[i] = near
        if q >= 0.0:
            axpys(g, x, W)
    return gain, violation / max(steps, 1)
