"""The steps in plain NumPy, one column, one sample at a time, as the docstrings have them."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples, share, sign
from widemargin.schedules import pull, rate


class Problem(NamedTuple):
    X: np.ndarray
    samples: object
    order: np.ndarray


def problem(classes=2, sparse=True, n=60, d=20, seed=0):
    """Random rows, weights, class weights and an order of 2 n visits."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.4)
    codes = rng.integers(0, classes, n)
    rows = as_rows(sp.csr_array(X) if sparse else X)
    samples = make_samples(
        rows, codes, classes, 0.1 + rng.random(n), np.linspace(0.5, 1.5, classes)
    )
    return Problem(X, samples, np.concatenate([rng.permutation(n), rng.permutation(n)]))


def walk(data, objective, schedule, lam, decay, k, step=None):
    """(w, b) after each visit of data.order, for column k."""
    w, b, path = np.zeros(data.X.shape[1]), 0.0, []
    for t, i in enumerate(data.order):
        x, y, eta = data.X[i], sign(data.samples, i, k), rate(schedule, t)
        c = share(data.samples, i, k)
        h = -eta * c * pull(schedule, objective.loss, data.samples.rows, i, w @ x + b, y)
        w, b = max(0.0, 1.0 - eta * lam) * w + h * x, b + decay * h
        w = w if step is None else step(t, w, x)
        path.append((w, b))
    return path


def truncation(schedule, l1, d):
    """The step of cumulative penalty (Tsuruoka et al., 2009), as a rule for `walk`."""
    q, u = np.zeros(d), 0.0

    def step(t, w, x):
        nonlocal u
        u += rate(schedule, t) * l1
        moved = np.where(
            w > 0, np.maximum(0, w - (u + q)), np.where(w < 0, np.minimum(0, w + (u - q)), w)
        )
        moved = np.where(x != 0, moved, w)
        q[:] += moved - w
        return moved

    return step
