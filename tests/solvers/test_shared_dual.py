"""The local dual problem: against plain NumPy, and that what several workers climb adds up."""

import numpy as np
import pytest

from widemargin.data.rows import Sparse
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge, Logistic, SquaredHinge
from widemargin.objective import Objective
from widemargin.solvers.shared_dual import SUMS, How, at_bounds, dual_moves, shares_of

N, D = 24, 6
LOSSES = [Hinge(), SquaredHinge()]


def problem(seed=0, n=N, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    codes = rng.integers(classes, size=n)
    indptr = np.arange(0, n * D + 1, D)
    rows = Sparse(X.reshape(-1).copy(), np.tile(np.arange(D, dtype=np.uint32), n), indptr, D)
    return X, make_samples(rows, codes, classes, rng.uniform(0.5, 2.0, n))


def dual_value(objective, X, y, c, alpha):
    w = (alpha * y) @ X
    if isinstance(objective.loss, Hinge):
        return alpha.sum() - 0.5 * w @ w
    return alpha.sum() - 0.25 * (alpha * alpha / c).sum() - 0.5 * w @ w


def twin(objective, X, y, c, theta, how):
    """One pass in order without scaling, from the docstring."""
    w, delta, beta = theta[:D].copy(), theta[D], theta[D + 1]
    alpha, dw, dd = theta[D + SUMS :].copy(), np.zeros(D), 0.0
    for i in range(len(y)):
        b = beta + how.rho * (delta + how.adding * dd)
        m = y[i] * ((w + how.adding * dw) @ X[i] + b)
        q = how.adding * (X[i] @ X[i] + how.rho)
        if isinstance(objective.loss, Hinge):
            z = min(max(alpha[i] - (m - 1.0) / q, 0.0), c[i])
        else:
            z = max(alpha[i] - (m - 1.0 + 0.5 * alpha[i] / c[i]) / (q + 0.5 / c[i]), 0.0)
        dw, dd = dw + (z - alpha[i]) * y[i] * X[i], dd + (z - alpha[i]) * y[i]
        alpha[i] = z
    guess = how.rho * (delta + how.adding * dd)
    turn = min(1.0, 4 * how.adding * len(y) / how.n) / how.adding
    sums = [dd, turn * np.clip(guess, -1.0, 1.0), len(y)]
    return np.concatenate([dw, sums, alpha - theta[D + SUMS :]])


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("adding", [1.0, 3.0])
def test_the_moves_are_those_of_the_docstring(loss, adding):
    X, samples = problem()
    objective, how = Objective(loss, 0.7), How(1000, 0.1, adding)
    y, c = np.where(samples.codes == 1, 1.0, -1.0), 0.7 * samples.weight
    rng = np.random.default_rng(1)
    alpha = c * rng.choice([0.0, 0.3, 1.0], N)
    theta = np.concatenate([rng.normal(size=D), [0.4, -0.2, 5.0], alpha])
    moves = dual_moves(objective, samples, np.arange(N), theta[:, None], False, how)
    expected = twin(objective, X, y, c, theta, how)
    np.testing.assert_allclose(moves[:, 0], expected, rtol=0.0, atol=1e-12)
    assert (np.abs(expected) > 1e-3).sum() > N // 2


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("workers", [3, 5])
def test_updates_of_workers_with_the_same_rows_raise_the_dual_when_added(loss, workers):
    X, samples = problem(3)
    objective = Objective(loss, 100.0, fit_intercept=False)
    y, c = np.where(samples.codes == 1, 1.0, -1.0), 100.0 * samples.weight
    wide, y, c = np.tile(X, (workers, 1)), np.tile(y, workers), np.tile(c, workers)

    def after(adding, rounds=8):
        theta = [np.zeros((D + SUMS + N, 1)) for _ in range(workers)]
        values, rng = [0.0], np.random.default_rng(0)
        for _ in range(rounds):
            how = How(workers * N, 0.0, adding, 20)
            moves = [
                dual_moves(objective, samples, rng.permutation(N), one, False, how) for one in theta
            ]
            shared = np.sum([move[: D + SUMS] for move in moves], axis=0)
            for one, move in zip(theta, moves, strict=True):
                one[: D + SUMS] += shared
                one[D + SUMS :] += move[D + SUMS :]
            alpha = np.concatenate([one[D + SUMS :, 0] for one in theta])
            np.testing.assert_allclose(theta[0][:D, 0], (alpha * y) @ wide, atol=1e-9)
            values.append(dual_value(objective, wide, y, c, alpha))
        return np.diff(values)

    assert (after(float(workers)) >= -1e-9).all() and after(float(workers))[0] > 0.0
    assert (after(1.0) < 0.0).any()  # too little caution: what all took at once was too much


def test_the_first_epoch_leans_on_the_rows_seen_by_all():
    how = How(10_000, 0.1, 2.0)
    assert shares_of(100, 500.0, False, how) == [(0, 100, 1.0, 0.08)]
    first = shares_of(1000, 0.0, True, how)
    assert [(s.start, s.stop, s.scale) for s in first[:3]] == [(0, 100, 50.0)] * 3
    scales = [s.scale for s in first[3:]]
    assert scales == sorted(scales, reverse=True) and 5.0 < scales[-1] < 6.0
    cuts = [(s.start, s.stop) for s in first[3:]]
    assert cuts[0][0] == 100 and cuts[-1][1] == 1000
    assert all(a[1] == b[0] for a, b in zip(cuts, cuts[1:], strict=False))
    last = shares_of(1000, 8000.0, True, how)
    assert (last[0].start, last[-1].stop) == (0, 1000) and all(s.scale >= 1.0 for s in last)
    again = shares_of(1000, 12_000.0, True, how)  # blocks that were walked anew after a fault
    assert again[-1].stop == 1000 and all(s.scale == 1.0 for s in again)


@pytest.mark.parametrize("n, m, seen", [(5, 5, 0.0), (7, 1, 0.0), (7, 1, 6.0), (50, 25, 25.0)])
@pytest.mark.parametrize("adding", [1.0, 3.0])
def test_small_blocks_are_walked_whole(n, m, seen, adding):
    shares = shares_of(m, seen, True, How(n, 0.1, adding))
    walked = {i for share in shares for i in range(share.start, min(share.stop, m))}
    assert walked == set(range(m)) and all(1.0 <= share.scale <= n for share in shares)


@pytest.mark.parametrize("loss", [*LOSSES, Logistic()], ids=repr)
def test_rounding_takes_no_alpha_out_of_its_bounds(loss):
    _, samples = problem(2, classes=3)
    weight = np.array(samples.weight)
    weight[0] = 0.0
    samples = samples._replace(weight=weight)
    c = np.repeat(weight[:, None], 3, axis=1) * 2.0
    bent = c * np.array([1.0 + 1e-15, -1e-17, 0.5])
    bent[0] = 1e-18
    straight = at_bounds(Objective(loss, 2.0), samples, bent)
    top = bent[:, 0] if isinstance(loss, SquaredHinge) else c[:, 0]
    expected = np.stack([top, np.zeros(N), 0.5 * c[:, 2]], axis=1)
    expected[0] = 0.0
    np.testing.assert_array_equal(straight, expected)
