"""One look at all samples: equal to the certificate taken step by step, on any threads."""

import numpy as np
import pytest

from widemargin.data.rows import Dense, as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge, Logistic, PerceptronLoss, SquaredHinge
from widemargin.objective import Objective, certify
from widemargin.penalties import L1, L2, NoPenalty
from widemargin.run.evaluation import evaluate, losses_of
from widemargin.run.solve import DUAL_LOSSES, MARGIN_LOSSES, SOLVERS, solver_for
from widemargin.scores import codes_of, error_of, scores


def problem(n, d, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    X, codes = rng.normal(size=(n, d)), rng.integers(0, n_classes, n)
    weights = rng.uniform(0.0, 2.0, n)
    samples = make_samples(Dense(X), codes, n_classes, weights, rng.uniform(0.5, 2.0, n_classes))
    K = 1 if n_classes == 2 else n_classes
    W = rng.normal(size=d if K == 1 else (d, K))
    return samples, W, rng.normal(size=K), X


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge(), Logistic(), PerceptronLoss()])
@pytest.mark.parametrize("penalty", [L2(), L1(), NoPenalty()])
@pytest.mark.parametrize("intercept", [True, False])
def test_it_is_the_certificate_taken_step_by_step(loss, penalty, intercept):
    samples, W, b, X = problem(200, 5, 3)
    objective = Objective(loss, 0.3, penalty, intercept)
    seen = evaluate(objective, samples, W, b, threads=2)
    slow = certify(objective, samples, W, b)
    assert seen.certificate == pytest.approx(slow, rel=1e-12)
    assert seen.scores == pytest.approx(X @ W + b, rel=1e-12, abs=1e-12)


def test_the_number_of_threads_changes_no_bit():
    samples, W, b, _ = problem(40_000, 4, 2)
    objective = Objective(Hinge(), 0.3)
    one, three = (evaluate(objective, samples, W, b, threads=k) for k in (1, 3))
    assert one.certificate == three.certificate
    assert np.array_equal(one.scores, three.scores)
    assert np.array_equal(
        losses_of(objective, samples, W, b, 1), losses_of(objective, samples, W, b, 2)
    )


def test_scores_of_sparse_rows_and_their_classes():
    from scipy.sparse import random_array

    X = random_array((50, 9), density=0.3, format="csr", rng=np.random.default_rng(1))
    W, b = np.random.default_rng(2).normal(size=(9, 4)), np.arange(4.0)
    p = scores(as_rows(X), W, b)
    assert p == pytest.approx(X @ W + b)
    assert np.array_equal(codes_of(p), p.argmax(axis=1))
    assert error_of(p, codes_of(p)) == 0.0
    assert error_of(p, (codes_of(p) + 1) % 4) == 1.0


@pytest.mark.parametrize("loss", MARGIN_LOSSES)
def test_auto_takes_every_loss_and_misfits_are_told_before_any_work(loss):
    name = solver_for("auto", loss)
    assert loss in SOLVERS[name].losses
    for other, kind in SOLVERS.items():
        if loss in kind.losses:
            assert solver_for(other, loss) == other
            continue
        with pytest.raises(ValueError, match=f"loss='{loss}' does not go with solver='{other}'"):
            solver_for(other, loss)
    assert set(DUAL_LOSSES) == {"hinge", "squared_hinge", "log_loss"}
