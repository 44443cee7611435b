"""The history of a fit tells of every epoch what is known of it without a further pass."""

import numpy as np
import pytest

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.losses import SquaredHinge
from widemargin.objective import Objective, primal
from widemargin.run.fit import fit_newton
from widemargin.run.online import met
from widemargin.run.solve import SOLVERS, Plan, fit, make_objective
from widemargin.solvers.newton import FiniteNewton
from widemargin.solvers.steps import State, progressive


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(300, 6)), rng.integers(0, 2, 300)
    X[:, 0] += 1.2 * codes
    return make_samples(as_rows(X), codes, 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_epoch_is_told(samples, solver):
    objective = make_objective(solver, "perceptron" if solver == "perceptron" else "hinge", 0.1)
    plan = Plan(tol=1e-6 if solver == "dual" else None, epochs=None if solver == "dual" else 6)
    fitted = fit(solver, objective, samples, rng=np.random.default_rng(0), plan=plan)
    *before, last = fitted.history
    assert len(before) >= 3
    assert all(list(row) == ["epoch", "seconds", "objective", "gap", "dual"] for row in before)
    told = "dual" if solver == "dual" else "objective"
    assert np.isfinite([row[told] for row in before]).all()
    proof = fitted.certificate
    assert (last["objective"], last["dual"]) == (proof.primal, proof.dual)
    assert last["gap"] == proof.relative_gap
    assert np.diff([row["seconds"] for row in fitted.history]).min() >= 0.0


def test_the_dual_that_is_summed_up_comes_close_to_the_proved_one(samples):
    objective = make_objective("dual", "hinge", 0.1)
    plan = Plan(tol=1e-9)
    rows = fit("dual", objective, samples, rng=np.random.default_rng(0), plan=plan).history
    optimum, proved = rows[-1]["dual"], [np.isfinite(row["gap"]) for row in rows]
    assert 0 < sum(proved) < len(rows)
    assert [abs(row["dual"] - optimum) / optimum < 0.02 for row in rows[5:]].count(False) == 0


def test_the_objective_as_met_is_that_of_all_columns():
    rng = np.random.default_rng(1)
    state = State(rng.normal(size=(5, 3)), np.zeros(3), 7, rng.uniform(size=3))
    objective = make_objective("sgd", "hinge", 2.0)
    assert met(objective, state) == pytest.approx(progressive(objective, state).sum(), rel=1e-14)


def test_newton_tells_the_objective_of_each_step(samples):
    objective = Objective(SquaredHinge(), 0.5)
    solver = FiniteNewton()
    fitted = fit_newton(solver, objective, samples, tol=1e-9, max_epochs=50, to_the_end=True)
    state = solver.init(objective, samples)
    for row in fitted.history:
        state = solver.step(objective, samples, state)
        f = primal(objective, samples, state.W, state.b).sum()
        assert row["objective"] == pytest.approx(f, rel=1e-12)
    assert len(fitted.history) >= 3
