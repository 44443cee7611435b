"""The two halves of a shared mini-batch step: features counted anew, gradients, the fused step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widemargin.data.rows import Sparse
from widemargin.data.samples import make_samples, take_samples
from widemargin.losses import Hinge, Logistic, slope
from widemargin.objective import Objective
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import Constant, Optimal
from widemargin.solvers.minibatch import Minibatch
from widemargin.solvers.shared_minibatch import batch_of, propose


def made(n, d, classes, seed, *, weighted=False):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, min(d, 9), n)
    indices = [np.sort(rng.choice(d, size, False)) for size in lengths]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = rng.normal(size=indptr[-1]).astype(np.float32)
    rows = Sparse(values, np.concatenate(indices).astype(np.uint32), indptr, d)
    weight = rng.random(n) if weighted else None
    return make_samples(
        rows, rng.integers(classes, size=n), classes, weight, rng.random(classes) + 0.5
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 30), st.sampled_from([2, 63, 64, 65, 1000]), st.integers(0, 2**32 - 1))
def test_features_counted_anew(n, d, seed):
    samples = made(n, d, 2, seed)
    part = take_samples(samples, n // 3, n)
    keys, own = batch_of(part)
    a, e = part.rows.indptr[[0, -1]]
    unique, inverse = np.unique(samples.rows.indices[a:e], return_inverse=True)
    assert np.array_equal(keys, unique) and np.array_equal(own.rows.indices, inverse)
    assert np.array_equal(own.rows.values, samples.rows.values[a:e])
    assert np.array_equal(own.rows.indptr, part.rows.indptr - a)
    assert (keys.dtype, own.rows.indices.dtype) == (np.uint32, np.uint32)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", [Hinge(), Logistic()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_the_mean_loss(loss, classes, dtype):
    samples, K = made(40, 30, classes, 1, weighted=True), 1 if classes == 2 else classes
    theta = np.random.default_rng(2).normal(size=(31, K)).astype(dtype)
    X = np.zeros((40, 31))
    X[:, 30] = 1.0
    rows = samples.rows
    X[np.repeat(np.arange(40), np.diff(rows.indptr)), rows.indices] = rows.values
    scores, expected = X @ theta.astype(float), np.zeros((31, K))
    for i in range(40):
        for k in range(K):
            side = int(samples.codes[i] == k + samples.first)
            c = samples.weight[i] * samples.factor[side, k]
            expected[:, k] += c * slope(loss, scores[i, k], 2.0 * side - 1.0) * X[i] / 40
    found = propose(loss, Constant(1.0), samples, theta, intercept=True)
    assert found.dtype == dtype
    assert np.allclose(found, expected, rtol=0.0, atol=1e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_two_halves_are_the_fused_step(classes):
    samples, K = made(96, 40, classes, 3, weighted=True), 1 if classes == 2 else classes
    schedule, lam, size = Optimal(0.7, 0.05), 0.05, 16
    fused = Minibatch(schedule, size, 0.5)
    objective = Objective(Hinge(), 1.0 / (lam * 96))
    state = fused.init(objective, samples)
    server = Parameters.create(
        Rule(Sgd(), schedule, lam, free_from=40, free_share=0.5), np.zeros((41, K)), 0
    )
    for _ in range(3):
        state = fused.epoch(objective, samples, np.arange(96), state)
        for a in range(0, 96, size):
            batch = take_samples(samples, a, a + size)
            g = propose(Hinge(), schedule, batch, server.read(), intercept=True)
            server.apply([Update(None, g, size)])
    assert server.t == state.t
    assert np.allclose(server.read()[:40], state.W.reshape(40, K), rtol=1e-12, atol=1e-14)
    assert np.allclose(server.read()[40], state.b, rtol=1e-12, atol=1e-14)
