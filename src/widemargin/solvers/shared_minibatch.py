"""Mini-batch gradient descent in two halves, for weights that a parameter server keeps.

    propose   g = (1/m) Σ_{i ∈ B} sᵢ ℓ′(wᵀxᵢ + b; yᵢ) xᵢ     a worker, of the keys that B touches
    apply     w ← (1 − ηₜ λ) w − ηₜ g                         the server: `ps/parameters.py`

`minibatch.py` takes the same step fused: it adds row after row to the weights, so that it never
holds a gradient, and rounds after each row. What goes over a wire is a gradient, added up in
float64 and rounded once; hence two kernels, which agree to rounding, as a test holds them to.

A worker sees of the weights what its batch touches, so it counts features anew: the k-th of the
sorted keys is feature k of the batch. A bit for each feature and a rank for every 64 of them are
all that this needs, d / 8 + d / 16 bytes, whatever the rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from widemargin._jit import lean_kernel
from widemargin.data.bits import popcount, trailing_zeros
from widemargin.data.columns import axpys, dots
from widemargin.data.rows import Array, Sparse, as_read_only, n_features, row
from widemargin.data.samples import Samples, share, sign
from widemargin.losses import Loss
from widemargin.schedules import Schedule, pull


class Batch(NamedTuple):
    """Samples whose features are counted anew, and what each was called."""

    keys: Array | None  # (u,) uint32, sorted: feature k of the samples is keys[k]; None: k itself
    samples: Samples


@lean_kernel
def mark(indices: Array, bits: Array) -> None:
    """Set the bit of every index that occurs."""
    for j in indices:
        bits[j >> 6] |= np.uint64(1) << np.uint64(j & 63)


@lean_kernel
def rank(bits: Array, ranks: Array) -> int:
    """ranks[q] = how many bits are set before word q; returns how many are set at all."""
    total = 0
    for q in range(bits.size):
        ranks[q] = total
        total += popcount(bits[q])
    return total


@lean_kernel
def list_marked(bits: Array, keys: Array) -> None:
    """The indices whose bits are set, ascending."""
    k = 0
    for q in range(bits.size):
        word = bits[q]
        while word != np.uint64(0):
            keys[k] = 64 * q + trailing_zeros(word)
            word &= word - np.uint64(1)
            k += 1


@lean_kernel
def locate(indices: Array, bits: Array, ranks: Array, at: Array) -> None:
    """at[k] = the place of indices[k] among those that are marked."""
    for k in range(indices.size):
        j = indices[k]
        below = (np.uint64(1) << np.uint64(j & 63)) - np.uint64(1)
        at[k] = ranks[j >> 6] + popcount(bits[j >> 6] & below)


def batch_of(samples: Samples) -> Batch:
    """The samples with their features counted anew. They may be part of a mapped store."""
    rows = samples.rows
    assert isinstance(rows, Sparse)
    first, last = int(rows.indptr[0]), int(rows.indptr[-1])
    indices = rows.indices[first:last]
    words = -(-rows.n_features // 64)
    bits, ranks = np.zeros(words, np.uint64), np.empty(words, np.uint32)
    mark(indices, bits)
    keys = np.empty(rank(bits, ranks), np.uint32)
    list_marked(bits, keys)
    at = np.empty(len(indices), np.uint32)
    locate(indices, bits, ranks, at)
    own = Sparse(
        rows.values[first:last],
        as_read_only(at),
        as_read_only(rows.indptr - first),
        max(1, len(keys)),
    )
    return Batch(keys, samples._replace(rows=own))


@lean_kernel
def add_gradient(
    loss: Any, schedule: Any, samples: Any, W: Array, b: Array, p: Array, G: Array, h: Array
) -> None:
    """G ← G + (1/m) Σᵢ sᵢ ℓ′(pᵢ; yᵢ) xᵢ,  h ← h + (1/m) Σᵢ sᵢ ℓ′,  for all columns; p is room."""
    m = samples.codes.size
    for i in range(m):
        x = row(samples.rows, i)
        dots(x, W, p)
        moved = False
        for k in range(b.size):
            y, c, score = sign(samples, i, k), share(samples, i, k), p[k] + b[k]
            p[k] = c * pull(schedule, loss, samples.rows, i, score, y) / m
            h[k] += p[k]
            moved |= p[k] != 0.0
        if moved:
            axpys(p, x, G)


def propose(
    loss: Loss, schedule: Schedule, samples: Samples, theta: Array, *, intercept: bool
) -> Array:
    """The gradient of the mean loss at theta, (d, K), or (d + 1, K) with a row for the intercept.

    In the shape and type of theta. The schedule matters to passive-aggressive steps alone, whose
    length depends on the sample.

    >>> from widemargin.data.rows import Dense
    >>> from widemargin.data.samples import make_samples
    >>> from widemargin.losses import Hinge
    >>> from widemargin.schedules import Constant
    >>> two = make_samples(Dense(np.array([[1.0, 2.0], [3.0, 0.0]])), np.array([0, 1]), 2)
    >>> propose(Hinge(), Constant(1.0), two, np.zeros((3, 1)), intercept=True).ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    d, K = n_features(samples.rows), theta.shape[1]
    W = theta[:d].astype(np.float64, order="C")
    b = theta[d].astype(np.float64) if intercept else np.zeros(K)
    G, h = np.zeros_like(W), np.zeros(K)
    flat = (W[:, 0], G[:, 0]) if K == 1 else (W, G)
    add_gradient(loss, schedule, samples, flat[0], b, np.empty(K), flat[1], h)
    whole = np.concatenate([G, h[None]]) if intercept else G
    return whole.astype(theta.dtype)
