"""Conjugate gradients on the free dual variables: never down, never out of the box, to the end."""

import numpy as np
import pytest
from scipy.sparse import random as sparse_random

from reference import binary_samples
from widemargin.data.rows import n_rows
from widemargin.losses import Hinge, Logistic, SquaredHinge
from widemargin.objective import Objective, combine, conjugate_sums, zero_weights
from widemargin.run.certified import certified
from widemargin.solvers.dual import DualCoordinateDescent
from widemargin.solvers.free_set import climb, free_face, has_faces


def dual_value(objective, samples, state):
    V = zero_weights(samples)[0]
    combine(samples, state.alpha, V)
    return -0.5 * V @ V - conjugate_sums(
        objective.loss, objective.C, samples, state.alpha, np.ones(1)
    )


def problem(seed, n=150, d=30):
    rng = np.random.default_rng(seed)
    X = sparse_random(n, d, 0.4, format="csr", rng=rng)
    y = np.where(X @ rng.normal(size=d) + 0.3 * rng.normal(size=n) > 0.1, 1, -1)
    return binary_samples(X, y, rng.uniform(0.5, 2.0, n))


def half_way(objective, samples, seed, epochs=4):
    *_, last = certified(
        DualCoordinateDescent(),
        objective,
        samples,
        np.random.default_rng(seed),
        tol=1e-14,
        max_epochs=epochs,
    )
    return last.state


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()])
@pytest.mark.parametrize("seed", range(5))
def test_the_dual_rises_inside_the_box_and_the_balance_stays(loss, fit_intercept, seed):
    samples = problem(seed)
    objective = Objective(loss, 0.7, fit_intercept=fit_intercept)
    state = half_way(objective, samples, seed)
    before = dual_value(objective, samples, state)
    sides = np.where(samples.codes == 1, 1.0, -1.0)
    balance = sides @ state.alpha[:, 0]
    climb(objective, samples, state, 0, 100_000)
    V = zero_weights(samples)[0]
    combine(samples, state.alpha, V)
    np.testing.assert_allclose(state.W, V, rtol=0, atol=1e-10)
    assert dual_value(objective, samples, state) >= before - 1e-12 * abs(before)
    assert (state.alpha >= 0.0).all()
    if isinstance(loss, Hinge):
        assert (state.alpha[:, 0] <= objective.C * samples.weight).all()
    if fit_intercept:
        assert sides @ state.alpha[:, 0] == pytest.approx(balance, abs=1e-11)


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()])
def test_on_a_face_it_ends_where_the_slopes_vanish(loss):
    samples = problem(7)
    objective = Objective(loss, 0.7)
    state = half_way(objective, samples, 7)
    climb(objective, samples, state, 0, 100_000)
    face = free_face(objective, samples, state.alpha, 0)
    X = np.zeros((n_rows(samples.rows), samples.rows.n_features))
    for i in range(len(X)):
        a, e = samples.rows.indptr[i], samples.rows.indptr[i + 1]
        X[i, samples.rows.indices[a:e]] = samples.rows.values[a:e]
    scores = X[face.ids] @ state.W + state.b[0]
    slopes = face.y * scores - 1.0 + face.curve * face.a
    assert len(face.ids) > 2
    np.testing.assert_allclose(slopes, 0.0, atol=1e-9)


def test_it_makes_the_last_digits_cheap():
    samples, objective = problem(3, n=400, d=60), Objective(Hinge(), 100.0)
    *_, last = certified(
        DualCoordinateDescent(),
        objective,
        samples,
        np.random.default_rng(0),
        tol=1e-11,
        max_epochs=1000,
    )
    assert last.solved
    assert last.certificate.relative_gap <= 1e-11
    assert last.epoch < 1000


def test_the_logistic_dual_has_no_faces():
    assert not has_faces(Objective(Logistic(), 1.0))
