"""Conjugate gradients on the free dual variables: the last digits of a hinge optimum.

With the variables at their bounds held, the dual of the hinge and of the squared hinge is a
quadratic in the free ones F:

    max_d  rᵀd − ½ dᵀ(K + Δ)d,    K = Z Zᵀ, rows yᵢxᵢ of Z for i in F,    Σ yᵢdᵢ = 0

with r the slopes of the dual and Δ = 1/(2c) for the squared hinge, 0 for the hinge. Coordinate
descent nears its solution in the square of the condition number's steps that conjugate gradients
need. A step that would leave the box ends at its wall, the variable that met it is held from then
on, and the method starts again on the rest. The dual never falls, and Σ αᵢyᵢ stays as it was.

Nocedal & Wright, Numerical optimization, 2006 (algorithms 5.2 and 16.5).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import fast_kernel, lean_kernel
from widemargin.data.rows import Array, axpy, dot, n_features, row
from widemargin.data.samples import Samples, share, sign, without_rows
from widemargin.duals import dual_slope, largest
from widemargin.losses import Hinge, SquaredHinge
from widemargin.objective import Objective, column

FEWEST_STEPS = 5
DONE = 1e-13  # slopes below this, relative to a margin, are rounding


class Face(NamedTuple):
    """The free variables of one column."""

    ids: Array  # (f,) rows
    y: Array  # (f,) signs
    a: Array  # (f,) values
    top: Array  # (f,) largest values
    curve: Array  # (f,) Δ
    tie: Array  # (f,) y, or 0 where there is no intercept to tie the variables together


def has_faces(objective: Objective) -> bool:
    """Whether the dual is a quadratic on the faces of its box."""
    return isinstance(objective.loss, Hinge | SquaredHinge)


def climb(objective: Objective, samples: Samples, state: Any, k: int, visits: int) -> None:
    """Conjugate gradient steps on column k; W, alpha and b in place.

    A step visits each row of the face twice; it takes at most `visits` in all, but a few steps.
    """
    w = np.ascontiguousarray(column(state.W, k))
    face = free_face(objective, samples, state.alpha, k)
    steps = max(FEWEST_STEPS, visits // (2 * max(len(face.ids), 1)))
    while steps > 0 and len(face.ids) > 1:
        used, solved = climb_face(samples, face, w, steps)
        steps -= used
        state.alpha[face.ids, k] = face.a
        if solved:
            break
        face = inside(face)
    column(state.W, k)[:] = w
    if len(face.ids) and objective.fit_intercept:
        slopes = face_slopes(samples, face, w)
        state.b[k] = float(np.mean(-face.y * slopes))


def free_face(objective: Objective, samples: Samples, alpha: Array, k: int) -> Face:
    n = len(samples.codes)
    y, top, curve = np.empty(n), np.empty(n), np.empty(n)
    describe(objective, without_rows(samples), k, y, top, curve)
    ids = np.flatnonzero((alpha[:, k] > 0.0) & (alpha[:, k] < top))
    tie = y[ids] if objective.fit_intercept else np.zeros(len(ids))
    return Face(ids, y[ids], alpha[ids, k], top[ids], curve[ids], tie)


def inside(face: Face) -> Face:
    """What of the face lies strictly inside the box."""
    free = (face.a > 0.0) & (face.a < face.top)
    return Face(*[part[free] for part in face])


def climb_face(samples: Samples, face: Face, w: Array, steps: int) -> tuple[int, bool]:
    """Conjugate gradients until the face's optimum or a wall; (steps used, optimum reached)."""
    r = balanced(-face_slopes(samples, face, w), face.tie)
    p, size = r.copy(), inner(r, r)
    u, used = np.empty(n_features(samples.rows)), 0
    while used < steps:
        if np.abs(r).max() <= DONE:
            return used, True
        used += 1
        u[:] = 0.0
        add_rows(samples.rows, face.ids, face.y * p, u)
        bend = inner(u, u) + inner(face.curve, p * p)
        wall = distance_to_wall(face, p)
        t = size / bend if bend > 0.0 else np.inf
        if not np.isfinite(min(t, wall)):
            return used, True
        w += min(t, wall) * u
        face.a[:] = np.clip(face.a + min(t, wall) * p, 0.0, face.top)
        if wall <= t:
            at_wall(face, p)
            return used, False
        Kp = np.empty_like(p)
        row_scores(samples.rows, face.ids, u, Kp)
        r = balanced(r - t * (face.y * Kp + face.curve * p), face.tie)
        size, before = inner(r, r), size
        p = r + (size / before) * p
    return used, False


def balanced(r: Array, tie: Array) -> Array:
    """The part of r that keeps Σ yᵢdᵢ = 0."""
    part: Array = r - tie * (inner(tie, r) / len(tie))
    return part


def face_slopes(samples: Samples, face: Face, w: Array) -> Array:
    """y wᵀx − 1 + Δ α: the slopes to descend, without the intercept's part."""
    p = np.empty(len(face.ids))
    row_scores(samples.rows, face.ids, w, p)
    slopes: Array = face.y * p - 1.0 + face.curve * face.a
    return slopes


def distance_to_wall(face: Face, p: Array) -> float:
    """The largest t with 0 ≤ a + t p ≤ top."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(p > 0.0, (face.top - face.a) / p, np.where(p < 0.0, -face.a / p, np.inf))
    return float(room.min())


def at_wall(face: Face, p: Array) -> None:
    """Put what is within rounding of the wall it moves to on it."""
    near = 1e-12 * np.where(np.isfinite(face.top), face.top, np.abs(face.a).max() + 1.0)
    face.a[(p < 0.0) & (face.a <= near)] = 0.0
    full = (p > 0.0) & (face.top - face.a <= near)
    face.a[full] = face.top[full]


@fast_kernel
def inner(a: Array, b: Array) -> float:
    """aᵀb on this thread alone: a BLAS may wake others for it, which costs more than it brings."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@lean_kernel
def describe(objective: Any, samples: Any, k: int, y: Array, top: Array, curve: Array) -> None:
    """Sign, largest α and Δ of every row in column k."""
    for i in range(y.size):
        c = objective.C * share(samples, i, k)
        y[i] = sign(samples, i, k)
        top[i] = largest(objective.loss, c) if c > 0.0 else 0.0
        curve[i] = 0.0
        if c > 0.0:
            rise = dual_slope(objective.loss, 1.0, 0.0, c)
            curve[i] = rise - dual_slope(objective.loss, 0.0, 0.0, c)


@lean_kernel
def row_scores(rows: Any, ids: Array, w: Array, out: Array) -> None:
    """out[t] = wᵀx of row ids[t]."""
    for t in range(ids.size):
        out[t] = dot(row(rows, ids[t]), w)


@lean_kernel
def add_rows(rows: Any, ids: Array, g: Array, w: Array) -> None:
    """w ← w + Σ g[t] x of row ids[t], in place."""
    for t in range(ids.size):
        axpy(g[t], row(rows, ids[t]), w)
