"""Conjugate gradients on the free masses of the joint multiclass SVM: its last digits.

Where sample i has mass on the classes Fᵢ, more than one, and all other masses are held, the dual
is a quadratic in those masses:

    max_d  Σ Gᵢₘ dᵢₘ − ½ ‖Σᵢ xᵢ dᵢᵀ‖² − ½ ρ ‖Σᵢ dᵢ‖²,      Σₘ dᵢₘ = 0 for every i

Walks over the samples near its solution in the square of the steps that conjugate gradients,
preconditioned by 1 / (‖xᵢ‖² + ρ), need. A step that would make a mass negative ends at that wall;
the mass is held from then on, and the method starts again on the rest. The dual never falls.

Nocedal & Wright, Numerical optimization, 2006 (algorithms 5.3 and 16.5).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row, squared_norm
from widemargin.data.samples import Samples

MOST = 2000  # free samples: with more of them walls are met too often
DONE = 1e-13  # slopes below this, relative to a margin, are rounding


class Face(NamedTuple):
    """The free masses, and room for a direction."""

    ids: Array  # (f,) samples with mass on more than one class
    norms: Array  # (f,) ‖x‖² + ρ
    r: Array  # (f, K) slopes, balanced within each sample
    p: Array  # (f, K) direction
    q: Array  # (f, K) the Hessian times p
    V: Array  # (d, K) Σ xᵢ pᵢᵀ
    sums: Array  # (K,) Σ pᵢ


def joint_climb(samples: Samples, state: Any, visits: int) -> None:
    """At most about `visits` visits of a free sample, two a step; masses, W, b, δ in place.

    ρ is that of `state`, or the mean ‖x‖² of the face where there is an intercept.
    """
    steps = None
    while steps is None or steps > 0:
        ids = np.flatnonzero((state.masses > 0.0).sum(axis=1) > 1)
        if not 0 < len(ids) <= MOST:
            return
        steps = max(visits // (2 * len(ids)), 5) if steps is None else steps
        shape = (len(ids), state.b.size)
        r, p, q = np.empty((3, *shape))
        V, sums = np.empty_like(state.W), np.empty_like(state.b)
        face = Face(ids, np.empty(len(ids)), r, p, q, V, sums)
        used, solved = climb_face(samples, face, state, steps)
        if solved:
            return
        steps -= used


def climb_face(samples: Samples, face: Face, state: Any, steps: int) -> tuple[int, bool]:
    """Conjugate gradients until the face's optimum or a wall; (steps used, optimum reached)."""
    size = residuals(samples, face, state)
    if state.rho > 0.0:
        state = state._replace(rho=float(face.norms.mean()))
    scale = face.norms[:, None]
    face.p[:], used = face.r / scale, 0
    while used < steps:
        if np.abs(face.r).max() <= DONE:
            return used, True
        used += 1
        bend = bent(samples, face, state)
        down = face.p < 0.0
        mass = state.masses[face.ids]
        walls = np.divide(mass, -face.p, out=np.full_like(mass, np.inf), where=down)
        wall, t = float(walls.min()), size / bend if bend > 0.0 else np.inf
        if not np.isfinite(min(t, wall)):
            return used, True
        move(face, state, mass, min(t, wall))
        if wall <= t:
            return used, False
        face.r[:] -= t * face.q
        size, before = float((face.r * face.r / scale).sum()), size
        face.p[:] = face.p * (size / before) + face.r / scale
    return used, False


def move(face: Face, state: Any, mass: Array, t: float) -> None:
    """A step of length t; what is within rounding of a wall is put on it, for the sample's
    largest mass to make up."""
    total, new = mass.sum(axis=1), mass + t * face.p
    new[(face.p < 0.0) & (new <= 1e-12 * total[:, None])] = 0.0
    new[np.arange(len(new)), new.argmax(axis=1)] += total - new.sum(axis=1)
    state.masses[face.ids] = new
    state.W[:] -= t * face.V
    state.delta[:] -= t * face.sums
    state.b[:] -= t * state.rho * face.sums


@lean_kernel
def balanced(mass: Array, g: Array) -> None:
    """g less its mean over the classes that hold mass, 0 on the others, in place."""
    total, n = 0.0, 0
    for m in range(g.size):
        if mass[m] > 0.0:
            total += g[m]
            n += 1
    for m in range(g.size):
        g[m] = g[m] - total / n if mass[m] > 0.0 else 0.0


@lean_kernel
def residuals(samples: Any, face: Any, state: Any) -> float:
    """Slopes r and norms of the face, in place; returns Σ ‖rᵢ‖² / normsᵢ."""
    total = 0.0
    for t in range(face.ids.size):
        i, g = face.ids[t], face.r[t]
        x, y = row(samples.rows, i), samples.codes[i]
        face.norms[t] = max(squared_norm(x) + state.rho, 1e-300)
        dots(x, state.W, g)
        for m in range(g.size):
            g[m] += state.b[m] + (0.0 if m == y else 1.0)
        balanced(state.masses[i], g)
        for m in range(g.size):
            total += g[m] * g[m] / face.norms[t]
    return total


@lean_kernel
def bent(samples: Any, face: Any, state: Any) -> float:
    """V, sums and q = the Hessian times p, in place; returns pᵀq."""
    face.V[:] = 0.0
    face.sums[:] = 0.0
    for t in range(face.ids.size):
        axpys(face.p[t], row(samples.rows, face.ids[t]), face.V)
        for m in range(face.sums.size):
            face.sums[m] += face.p[t, m]
    total = 0.0
    for t in range(face.ids.size):
        i, g = face.ids[t], face.q[t]
        dots(row(samples.rows, i), face.V, g)
        for m in range(g.size):
            g[m] += state.rho * face.sums[m]
        balanced(state.masses[i], g)
        for m in range(g.size):
            total += face.p[t, m] * g[m]
    return total
