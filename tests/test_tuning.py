"""Cross-validation in common walks: each fold's fit is the fit on its rows alone."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import make_classification

from widemargin.data.folds import fold_samples
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge, SquaredHinge
from widemargin.objective import Objective, primal
from widemargin.run.cross_scores import deal_folds, dual_cross_scores, fitted_cross_scores
from widemargin.run.fit import fit_dual
from widemargin.run.path import dual_path, newton_path
from widemargin.run.tuning import Effort, Point, best_index, is_behind, standard_error, tune
from widemargin.solvers.dual_kernels import dual_epoch
from widemargin.solvers.fold_dual import first_state
from widemargin.solvers.fold_kernels import fold_steps

CS = [0.01, 0.1, 1.0, 10.0]


def problem(n_classes=2, n=150, d=8, sparse=True):
    X, y = make_classification(
        n, d, n_informative=5, n_classes=n_classes, flip_y=0.2, random_state=1
    )
    rng = np.random.default_rng(0)
    X[rng.random(X.shape) < 0.3] = 0.0
    weight = rng.integers(1, 4, n) * 0.5
    return make_samples(as_rows(csr_matrix(X) if sparse else X), y, n_classes, weight)


def alone(loss, samples, train, C, fit_intercept=True, tol=1e-9):
    weight = np.zeros_like(samples.weight)
    weight[train] = samples.weight[train]
    samples = samples._replace(weight=weight)
    objective, rng = Objective(loss, C, fit_intercept=fit_intercept), np.random.default_rng(0)
    return fit_dual(objective, samples, tol=tol, max_epochs=5000, rng=rng), samples


def curve(loss, samples, folds, effort, fit_intercept=True, threads=1):
    """The points and, for each, W and b of every fold."""
    seen = []

    def judge(held):
        found = [held.weights(f) for f in range(len(folds))]
        for f, (W, b) in enumerate(found):
            X = samples.rows[0] if len(samples.rows) == 1 else dense(samples.rows)
            np.testing.assert_allclose(
                held.decisions(f), (X @ W + b)[folds[f].held], rtol=1e-7, atol=1e-9
            )
        seen.append((held.C, found))
        return np.zeros(len(folds))

    objective = Objective(loss, 1.0, fit_intercept=fit_intercept)
    rng = np.random.default_rng(0)
    points = tune(
        objective, samples, folds, np.array(CS), judge, rng=rng, effort=effort, threads=threads
    )
    return points, [{C: found for C, found in seen}[C] for C in CS]


def dense(rows):
    return csr_matrix((rows.values, rows.indices, rows.indptr), (150, rows.n_features)).toarray()


@pytest.mark.parametrize(
    "loss, n_classes, fit_intercept",
    [(Hinge(), 2, True), (SquaredHinge(), 2, False), (SquaredHinge(), 3, True)],
)
def test_folds_in_one_walk_are_fits_on_their_rows(loss, n_classes, fit_intercept):
    samples, tol = problem(n_classes), 1e-6
    folds = deal_folds(samples.codes, np.random.default_rng(2))
    points, found = curve(loss, samples, folds, Effort(tol, None, 2000), fit_intercept)
    for point, weights in zip(points, found, strict=True):
        assert (point.gaps <= tol).all()
        for fold, (W, b) in zip(folds, weights, strict=True):
            single, part = alone(loss, samples, fold.train, point.C, fit_intercept)
            objective = Objective(loss, point.C, fit_intercept=fit_intercept)
            W = W[:, 0].copy() if W.shape[1] == 1 else W
            ours = primal(objective, part, W, b).sum()
            least, most = single.certificate.dual, single.certificate.primal
            assert least * (1 - 1e-12) <= ours <= most * (1 + 2 * tol)


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()])
def test_the_folds_walk_is_the_general_one(loss):
    samples = problem(3)._replace(factor=np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 3.0]]))
    trains = [fold.train for fold in deal_folds(samples.codes, np.random.default_rng(2))[:2]]
    folds = fold_samples(samples, [(k, train) for k in range(3) for train in trains])
    objective, order = Objective(loss, 0.7), np.random.default_rng(3).permutation(150)
    states = []
    for steps in (fold_steps, dual_epoch):
        state = first_state(objective, samples, folds, 6)._replace(scale=1.5, slack=0.1)
        state.live[1] = False
        p, g = np.empty(8), np.empty(8)
        found = [steps(objective, folds, order, state, p, g) for _ in range(3)]
        states.append((state, found))
    (ours, told), (theirs, known) = states
    np.testing.assert_allclose(told, known, rtol=1e-10)
    for name in ("W", "b", "alpha", "delta"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-10, atol=1e-12
        )
    np.testing.assert_array_equal(ours.keep, theirs.keep)


def test_threads_change_nothing():
    samples = problem(3)  # 15 columns: two groups
    folds = deal_folds(samples.codes, np.random.default_rng(2))
    one, two = (
        curve(Hinge(), samples, folds, Effort(1e-2, None, 50), threads=threads)[1]
        for threads in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        for (W, b1), (V, b2) in zip(a, b, strict=True):
            np.testing.assert_array_equal(W, V)
            np.testing.assert_array_equal(b1, b2)


def test_a_C_that_is_behind_gets_its_epochs_and_no_more():
    samples = problem()
    folds = deal_folds(samples.codes, np.random.default_rng(2))
    marks = {C: value for C, value in zip(CS, (0.5, 0.9, 0.5, 0.4), strict=True)}

    def judge(held):
        return marks[held.C] + 0.01 * np.arange(5)

    points = tune(
        Objective(Hinge(), 1.0),
        samples,
        folds,
        np.array(CS),
        judge,
        rng=np.random.default_rng(0),
        effort=Effort(1e-7, 2, 5000),
    )
    assert all((point.gaps <= 1e-7).all() for point in points[:3])
    assert points[3].epochs == 2 and (points[3].gaps > 1e-7).all()


def test_the_rule_of_one_standard_error_by_hand():
    scores = [[0.70, 0.72, 0.74], [0.78, 0.80, 0.85], [0.80, 0.83, 0.89], [0.84, 0.84, 0.84]]
    points = [Point(C, np.array(s), np.zeros(3), 1) for C, s in zip(CS, scores, strict=True)]
    # means 0.72, 0.81, 0.84, 0.84; deviations of the best 0.04, 0.01, 0.05 about its mean
    error = np.sqrt((0.04**2 + 0.01**2 + 0.05**2) / 2 / 3)
    assert standard_error(points[2].scores) == pytest.approx(error) and 0.02 < error < 0.03
    assert best_index(points, "best") == 2  # of equals the smaller C
    assert best_index(points, "one_standard_error") == 2
    near = [*points[:1], points[1]._replace(scores=points[1].scores + 0.01), *points[2:]]
    assert best_index(near, "one_standard_error") == 1  # 0.82 >= 0.84 - 0.026
    assert is_behind(np.array([0.78, 0.78, 0.79]), points[:3])
    assert not is_behind(np.array([0.79, 0.79, 0.80]), points[:3]) and not is_behind(error, [])


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()])
def test_a_path_is_made_of_cold_fits(loss):
    samples, tol = problem(), 1e-7
    rng = np.random.default_rng(0)
    fits = list(dual_path(Objective(loss, 1.0), samples, CS, tol=tol, max_epochs=5000, rng=rng))
    for C, fitted in zip(CS, fits, strict=True):
        cold, _ = alone(loss, samples, np.arange(150), C)
        assert fitted.solved and fitted.certificate.relative_gap <= tol
        assert cold.certificate.dual * (1 - 1e-12) <= fitted.certificate.primal
        assert fitted.certificate.primal <= cold.certificate.primal * (1 + 2 * tol)


def test_newtons_path_is_exact():
    samples = problem(3)
    fits = list(newton_path(Objective(SquaredHinge(), 1.0), samples, CS, tol=1e-9, max_epochs=100))
    for C, fitted in zip(CS, fits, strict=True):
        cold, _ = alone(SquaredHinge(), samples, np.arange(150), C)
        assert fitted.certificate.primal == pytest.approx(cold.certificate.primal, rel=1e-8)
    assert fits[-1].epochs <= fits[0].epochs + 3


def test_folds_are_dealt_evenly():
    codes = np.repeat([0, 1, 2], [40, 23, 7])
    folds = deal_folds(codes, np.random.default_rng(0))
    assert sorted(np.concatenate([fold.held for fold in folds]).tolist()) == list(range(70))
    counts = np.stack([np.bincount(codes[fold.held], minlength=3) for fold in folds])
    assert (np.ptp(counts, axis=0) <= 1).all()
    for fold in folds:
        assert not np.intersect1d(fold.train, fold.held).size
        assert len(fold.train) + len(fold.held) == 70
    assert len(deal_folds(np.repeat([0, 1], [9, 3]), np.random.default_rng(0))) == 3
    with pytest.raises(ValueError, match="1 of class number 1"):
        deal_folds(np.array([0, 0, 1]), np.random.default_rng(0))


def test_cross_scores_of_the_two_ways_agree():
    samples, objective = problem(3), Objective(SquaredHinge(), 0.3)
    rng = np.random.default_rng(0)
    folds = deal_folds(samples.codes, rng)
    together = dual_cross_scores(objective, samples, folds, tol=1e-3, max_epochs=500, rng=rng)

    def fit(part):
        done = fit_dual(objective, part, tol=1e-9, max_epochs=5000, rng=rng)
        return done.W, done.b

    one_by_one = fitted_cross_scores(samples, folds, fit)
    assert np.abs(together - one_by_one).max() < 0.3  # gap 1e-3: |w − w*| <= sqrt(2e-3 f)
    assert np.corrcoef(together.ravel(), one_by_one.ravel())[0, 1] > 0.999
