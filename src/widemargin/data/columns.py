"""One row against all columns of weights at once.

One against all trains K columns in one pass: W is a matrix (d, K), whose rows lie together, so a
feature costs one jump for all K. A single column is a vector (d,). Eight columns in lanes are
(d, 1, 8): see `lanes.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin._jit import compiled_as, fast_kernel, lean_kernel
from widemargin.data.rows import Array, axpy, dot, is_sparse


def dots(x: Any, W: Array, out: Array) -> None:
    """out[k] = xᵀW[:, k] for every column; W of shape (d,) has one column."""
    out[:] = dot(x, W[:, 0] if W.ndim == 3 else W)


@fast_kernel
def _dots_sparse(xs: Array, js: Array, W: Array, out: Array) -> None:
    out[:] = 0.0
    for k in range(xs.size):
        x, j = np.float64(xs[k]), js[k]
        for c in range(out.size):
            out[c] += x * W[j, c]


@fast_kernel
def _dots_dense(x: Array, W: Array, out: Array) -> None:
    out[:] = 0.0
    for j in range(x.size):
        v = np.float64(x[j])
        for c in range(out.size):
            out[c] += v * W[j, c]


@compiled_as(dots)
def _dots(x: Any, W: Any, out: Any) -> Any:
    if W.ndim == 1:

        def one(x: Any, W: Any, out: Any) -> None:
            out[0] = dot(x, W)

        return one
    if W.ndim == 3:
        return _dots_in_lanes(x)
    if is_sparse(x):
        return lambda x, W, out: _dots_sparse(x[0], x[1], W, out)
    return lambda x, W, out: _dots_dense(x[0], W, out)


def axpys(g: Array, x: Any, W: Array) -> None:
    """W[:, k] ← W[:, k] + g[k] x for every column, in place."""
    W = W[:, 0] if W.ndim == 3 else W
    if W.ndim == 1:
        axpy(g[0], x, W)
    elif isinstance(x, tuple):
        W[x[1]] += np.outer(x[0], g)
    else:
        W += np.outer(x, g)


@lean_kernel
def _axpys_sparse(g: Array, xs: Array, js: Array, W: Array) -> None:
    for k in range(xs.size):
        x, j = np.float64(xs[k]), js[k]
        for c in range(g.size):
            W[j, c] += g[c] * x


@lean_kernel
def _axpys_dense(g: Array, x: Array, W: Array) -> None:
    for j in range(x.size):
        v = np.float64(x[j])
        for c in range(g.size):
            W[j, c] += g[c] * v


@compiled_as(axpys)
def _axpys(g: Any, x: Any, W: Any) -> Any:
    if W.ndim == 1:

        def one(g: Any, x: Any, W: Any) -> None:
            axpy(g[0], x, W)

        return one
    if W.ndim == 3:
        return _axpys_in_lanes(x)
    if is_sparse(x):
        return lambda g, x, W: _axpys_sparse(g, x[0], x[1], W)
    return lambda g, x, W: _axpys_dense(g, x[0], W)


def _dots_in_lanes(x: Any) -> Any:
    if not is_sparse(x):
        return lambda x, W, out: _dots_dense(x[0], W[:, 0], out)
    from widemargin.data.lanes import lane_dots

    return lambda x, W, out: lane_dots(x[0], x[1], W, out)


def _axpys_in_lanes(x: Any) -> Any:
    if not is_sparse(x):
        return lambda g, x, W: _axpys_dense(g, x[0], W[:, 0])
    from widemargin.data.lanes import lane_axpys

    return lambda g, x, W: lane_axpys(g, x[0], x[1], W)
