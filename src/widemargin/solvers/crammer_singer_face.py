"""Conjugate gradients on the free masses of the joint multiclass SVM: its last digits.

Where sample i has mass on the classes Fᵢ, more than one, and all other masses are held, the dual
is a quadratic in those masses:

    max_d  Σ Gᵢₘ dᵢₘ − ½ ‖Σᵢ xᵢ dᵢᵀ‖²,   Σₘ dᵢₘ = 0 for every i,   Σᵢ dᵢₘ = 0 for every m

(the last with an intercept only). Walks over the samples near its solution in the square of the
steps that conjugate gradients, preconditioned by 1 / ‖xᵢ‖², need. The constraints are met by
taking from the slopes a number per sample and a number per class,

    zᵢₘ = (Gᵢₘ − uᵢ − vₘ) / ‖xᵢ‖² on Fᵢ,

of which v solves K equations; at the optimum −v is what the intercept lacks. A step that would
make a mass negative ends at that wall; the mass is held from then on, and the method starts
again on the rest. The dual never falls, and Σᵢ αᵢₘ stays as it was.

Nocedal & Wright, Numerical optimization, 2006 (algorithms 5.3, 16.2 and 16.5).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, row, squared_norm
from widemargin.data.samples import Samples

MOST = 2000  # free samples: with more of them walls are met too often
DONE = 1e-13  # slopes below this, relative to the largest, are rounding
LEAST = 1e-3  # of the mean ‖x‖²: what a row is taken for at least
FLAT = 1e-14  # curvatures below this, relative to ‖x‖², are none


class Face(NamedTuple):
    """The free masses."""

    ids: Array  # (f,) samples with mass on more than one class
    on: Array  # (f, K) 1.0 on Fᵢ, else 0.0
    norms: Array  # (f, 1) ‖x‖², rows of nothing apart
    spread: Array  # (f, 1) |Fᵢ|
    inverse: Array | None  # (K, K) gives v from what its equations ask; None without intercept


def joint_climb(samples: Samples, state: Any, visits: int, fit_intercept: bool) -> bool:
    """At most about `visits` visits of a free sample, two a step; masses, W and b in place.

    False where there is nothing to climb, or too much.
    """
    steps = None
    while steps is None or steps > 0:
        ids = np.flatnonzero((state.masses > 0.0).sum(axis=1) > 1)
        if not 0 < len(ids) <= MOST:
            return steps is not None
        steps = max(visits // (2 * len(ids)), 5) if steps is None else steps
        used, solved = climb_face(
            samples, face_of(samples, ids, state, fit_intercept), state, steps
        )
        steps = 0 if solved else steps - used
    return True


def face_of(samples: Samples, ids: Array, state: Any, fit_intercept: bool) -> Face:
    on = (state.masses[ids] > 0.0).astype(float)
    norms, count = np.empty(len(ids)), on.sum(axis=1, keepdims=True)
    squared_norms(samples, ids, norms)
    norms = np.maximum(norms, LEAST * norms.mean() or 1.0)[:, None]
    inverse = None
    if fit_intercept:
        share = on / count
        inverse = np.linalg.pinv(np.diag((on / norms).sum(axis=0)) - share.T @ (on / norms))
    return Face(ids, on, norms, count, inverse)


def climb_face(samples: Samples, face: Face, state: Any, steps: int) -> tuple[int, bool]:
    """Conjugate gradients until the face's optimum or a wall; (steps used, optimum reached)."""
    r, q = np.empty((2, *face.on.shape))
    V = np.empty_like(state.W)
    face_slopes(samples, face.ids, state, r)
    done = DONE * max(1.0, float(np.abs(r).max()))
    r, lack = levelled(face, r)
    z = r / face.norms
    p, size, used, mass = z, float((r * z).sum()), 0, state.masses[face.ids]
    while used < steps and np.abs(r).max() > done:
        used += 1
        combined(samples, face.ids, p, V)
        curved(samples, face.ids, V, q)
        bend, flat = float((p * q).sum()), FLAT * float((p * p * face.norms).sum())
        t, wall = size / bend if bend > flat else np.inf, distance_to_wall(mass, p)
        if not np.isfinite(min(t, wall)):
            break
        mass = moved(mass, p, min(t, wall))
        state.masses[face.ids] = mass
        state.W[:] -= min(t, wall) * V
        if wall <= t:
            return used, False
        r, more = levelled(face, r - t * q)
        z, lack = r / face.norms, lack + more
        size, before = float((r * z).sum()), size
        p = z + (size / before) * p
    state.b[:] -= lack
    return used, used < steps


def levelled(face: Face, g: Array) -> tuple[Array, Array]:
    """(gᵢₘ − uᵢ − vₘ on Fᵢ and 0 elsewhere, v); divided by ‖xᵢ‖², it meets the constraints."""
    even, v = even_out(face, g), np.zeros(g.shape[1])
    if face.inverse is not None:
        v = face.inverse @ (even / face.norms).sum(axis=0)
        even = even_out(face, even - v)
    return even, v


def even_out(face: Face, g: Array) -> Array:
    """g less its mean over Fᵢ, 0 elsewhere."""
    even: Array = face.on * (g - (face.on * g).sum(axis=1, keepdims=True) / face.spread)
    return even


def distance_to_wall(mass: Array, p: Array) -> float:
    """The largest t with mass + t p ≥ 0."""
    return float(np.divide(mass, -p, out=np.full_like(mass, np.inf), where=p < 0.0).min())


def moved(mass: Array, p: Array, t: float) -> Array:
    """mass + t p; what is within rounding of a wall is put on it, for the sample's largest mass
    to make up."""
    total, new = mass.sum(axis=1), mass + t * p
    new[(p < 0.0) & (new <= 1e-12 * total[:, None])] = 0.0
    new[np.arange(len(new)), new.argmax(axis=1)] += total - new.sum(axis=1)
    return new


@lean_kernel
def squared_norms(samples: Any, ids: Array, norms: Array) -> None:
    for t in range(ids.size):
        norms[t] = squared_norm(row(samples.rows, ids[t]))


@lean_kernel
def face_slopes(samples: Any, ids: Array, state: Any, G: Array) -> None:
    """G of the samples, in all classes."""
    for t in range(ids.size):
        g, y = G[t], samples.codes[ids[t]]
        dots(row(samples.rows, ids[t]), state.W, g)
        for m in range(g.size):
            g[m] += state.b[m] + (0.0 if m == y else 1.0)


@lean_kernel
def combined(samples: Any, ids: Array, p: Array, V: Array) -> None:
    """V = Σ xᵢ pᵢᵀ, in place."""
    V[:] = 0.0
    for t in range(ids.size):
        axpys(p[t], row(samples.rows, ids[t]), V)


@lean_kernel
def curved(samples: Any, ids: Array, V: Array, q: Array) -> None:
    """qᵢ = Vᵀxᵢ, in place."""
    for t in range(ids.size):
        dots(row(samples.rows, ids[t]), V, q[t])
