"""Batch descent: its gradient is the objective's, f falls, weights are repetitions."""

import numpy as np
import pytest
import scipy.sparse as sp
from twins import problem

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge, Logistic
from widemargin.objective import Objective, certify, primal
from widemargin.penalties import L1, L2, ElasticNet
from widemargin.solvers.batch import Batch, batch_gradient, penalty_slope


def epochs(f, samples, many):
    solver = Batch()
    states = [solver.init(f, samples)]
    for _ in range(many):
        states.append(solver.epoch(f, samples, np.arange(0), states[-1]))
    return states[1:]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [L2(), L1(), ElasticNet(0.3)])
def test_the_gradient_is_the_slope_of_the_objective(classes, penalty, h=1e-6):
    samples, f = problem(classes).samples, Objective(Logistic(), 0.7, penalty)
    rng = np.random.default_rng(3)
    K = 1 if classes == 2 else classes
    W, b = rng.normal(size=(20, K)), rng.normal(size=K)
    W = W[:, 0].copy() if K == 1 else W
    G, g = np.empty_like(W), np.empty(K)
    batch_gradient(f.loss, f.C, samples, W, b, G, g)
    G += penalty_slope(penalty, W)
    D, e = rng.normal(size=W.shape), rng.normal(size=K)
    up, down = (primal(f, samples, W + s * D, b + s * e) for s in (h, -h))
    np.testing.assert_allclose(
        (G * D).reshape(-1, K).sum(0) + g * e, (up - down) / (2 * h), rtol=1e-7, atol=1e-7
    )


def test_smooth_losses_fall_to_the_optimum():
    samples, f = problem().samples, Objective(Logistic(), 0.5, L2())
    states = epochs(f, samples, 80)
    values = [float(state.f[0]) for state in states]
    assert all(b <= a for a, b in zip(values, values[1:], strict=False))
    assert certify(f, samples, states[-1].W, states[-1].b).relative_gap < 1e-9


@pytest.mark.parametrize("penalty", [L2(), L1()])
def test_kinked_losses_keep_the_best_and_pass_where_armijo_stalls(penalty):
    samples, f = problem().samples, Objective(Hinge(), 0.5, penalty)
    states = epochs(f, samples, 300)
    last = states[-1]
    assert last.f[0] == min(state.f[0] for state in states)
    np.testing.assert_allclose(primal(f, samples, last.W, last.b), last.f, rtol=1e-12)
    best, rng = float(last.f[0]), np.random.default_rng(0)
    W, b = last.W, last.b
    for scale in np.logspace(0, -4, 400):  # a random search from there finds little below
        V, c = W + scale * rng.normal(size=W.shape) / 10, b + scale * rng.normal(size=1) / 10
        assert primal(f, samples, V, c)[0] > best * 0.998


def test_sample_weights_are_repetitions():
    data, f = problem(), Objective(Logistic(), 0.5)
    times = np.random.default_rng(5).integers(0, 4, 60)
    weighted = make_samples(data.samples.rows, data.samples.codes, 2, times)
    at = np.repeat(np.arange(60), times)
    repeated = make_samples(as_rows(sp.csr_array(data.X[at])), data.samples.codes[at], 2)
    a, b = (epochs(f, samples, 20)[-1] for samples in (weighted, repeated))
    np.testing.assert_allclose(a.W, b.W, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a.b, b.b, rtol=1e-10, atol=1e-12)


def test_columns_together_are_columns_alone():
    data, f = problem(3), Objective(Logistic(), 0.5)
    together = epochs(f, data.samples, 15)[-1]
    for k in range(3):
        alone = make_samples(
            data.samples.rows,
            data.samples.codes == k,
            2,
            data.samples.weight,
            data.samples.factor[:, k],
        )
        state = epochs(f, alone, 15)[-1]
        np.testing.assert_allclose(together.W[:, k], state.W, rtol=1e-9, atol=1e-12)
