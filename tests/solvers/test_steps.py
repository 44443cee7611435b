"""Kernels equal their twins; columns together equal columns alone; what is refused says why."""

import numpy as np
import pytest
from twins import problem, truncation, walk

from widemargin.data.samples import make_samples
from widemargin.errors import Diverged
from widemargin.losses import Hinge, Logistic, PerceptronLoss, SquaredHinge
from widemargin.objective import Objective, column
from widemargin.penalties import L1, L2, ElasticNet, NoPenalty
from widemargin.schedules import PA1, PA2, Averaged, Constant, InvScaling, Optimal
from widemargin.solvers.asgd import Asgd
from widemargin.solvers.minibatch import Minibatch
from widemargin.solvers.perceptron import Perceptron, separated
from widemargin.solvers.sgd import Sgd
from widemargin.solvers.steps import progressive
from widemargin.solvers.truncated import Truncated

LAM = 0.05
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def objective(loss, penalty=None, n=60):
    return Objective(loss, 1.0 / (LAM * n), L2() if penalty is None else penalty)


def run(solver, f, data):
    """Two epochs that visit data.order, as a runner would cut it."""
    state = solver.init(f, data.samples)
    for half in np.split(data.order, 2):
        state = solver.epoch(f, data.samples, half, state)
    return state


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("lam", [LAM, 30.0], ids=["plain", "scale renewed and clipped"])
def test_sgd_is_its_twin(classes, sparse, lam):
    data, f, schedule = problem(classes, sparse), objective(Hinge()), Optimal(0.1, LAM)
    state = run(Sgd(schedule, 0.3, clip=True, lam=lam), f, data)
    for k in range(state.b.size):
        w, b = walk(data, f, schedule, lam, 0.3, k)[-1]
        np.testing.assert_allclose(column(state.W, k), w, **EXACT)
        np.testing.assert_allclose(state.b[k], b, **EXACT)


@pytest.mark.parametrize("schedule", [Constant(0.5), InvScaling(0.7, 0.4), PA1(0.3), PA2(0.2)])
def test_sgd_follows_every_schedule(schedule):
    data, f = problem(), objective(Hinge(), NoPenalty())
    state = run(Sgd(schedule, 1.0), f, data)
    w, b = walk(data, f, schedule, 0.0, 1.0, 0)[-1]
    np.testing.assert_allclose(state.W, w, **EXACT)
    np.testing.assert_allclose(state.b, b, **EXACT)


def test_the_progressive_loss_is_that_of_each_sample_before_its_step():
    data, f, schedule = problem(), objective(Hinge()), Constant(0.2)
    solver = Sgd(schedule, 1.0)
    state = solver.epoch(f, data.samples, data.order[:60], solver.init(f, data.samples))
    path = [(np.zeros(20), 0.0), *walk(data, f, schedule, LAM, 1.0, 0)]
    total = 0.0
    for (w, b), i in zip(path, data.order[:60], strict=False):
        y = 1.0 if data.samples.codes[i] == 1 else -1.0
        weight = data.samples.weight[i] * data.samples.factor[int(y > 0), 0]
        total += weight * max(0.0, 1.0 - y * (w @ data.X[i] + b))
    np.testing.assert_allclose(state.loss_sum, total, **EXACT)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("average_from", [1, 37, 90])
@pytest.mark.parametrize("lam", [LAM, 1.9], ids=["plain", "scale renewed"])
def test_asgd_is_the_naive_average(classes, average_from, lam):
    data, f, schedule = problem(classes), objective(Hinge()), Averaged(0.4, LAM)
    state = run(Asgd(schedule, 0.3, average_from, lam=lam), f, data)
    for k in range(state.b.size):
        path = walk(data, f, schedule, lam, 0.3, k)[average_from - 1 :]
        np.testing.assert_allclose(column(state.W, k), np.mean([w for w, _ in path], 0), **EXACT)
        np.testing.assert_allclose(state.b[k], np.mean([b for _, b in path]), **EXACT)


def test_asgd_before_its_first_average_is_sgd():
    data, f = problem(), objective(Hinge())
    plain = run(Sgd(Optimal(0.1, LAM), 1.0), f, data)
    late = run(Asgd(Optimal(0.1, LAM), 1.0, average_from=121), f, data)
    assert np.array_equal(plain.W, late.W) and np.array_equal(plain.b, late.b)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("penalty", [L1(), ElasticNet(0.3)])
def test_truncated_is_its_twin(classes, penalty):
    data, f, schedule = problem(classes), objective(Hinge(), penalty), Constant(0.3)
    l1 = LAM if penalty == L1() and isinstance(penalty, L1) else 0.3 * LAM
    state = run(Truncated(schedule, 1.0), f, data)
    averaged = run(Truncated(schedule, 1.0, average_from=50), f, data)
    assert (state.W == 0.0).any()
    for k in range(state.b.size):
        path = walk(data, f, schedule, LAM - l1, 1.0, k, truncation(schedule, l1, 20))
        np.testing.assert_allclose(column(state.W, k), path[-1][0], **EXACT)
        mean = np.mean([w for w, _ in path[49:]], axis=0)
        np.testing.assert_allclose(column(averaged.W, k), mean, **EXACT)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_batch_of_one_is_sgd_bit_for_bit(classes):
    data, f = problem(classes), objective(Hinge())
    one = run(Minibatch(Optimal(0.1, LAM), 1, 0.3), f, data)
    sgd = run(Sgd(Optimal(0.1, LAM), 0.3), f, data)
    assert all(np.array_equal(a, b) for a, b in zip(one, sgd, strict=True))


def test_minibatch_steps_by_the_mean_subgradient():
    data, f, schedule, d = problem(n=50), objective(Hinge(), n=50), Constant(0.3), 20
    order, w, b = data.order[:50], np.zeros(20), 0.0
    solver = Minibatch(schedule, 7, 1.0)
    state = solver.epoch(f, data.samples, order, solver.init(f, data.samples))
    y = np.where(data.samples.codes == 1, 1.0, -1.0)
    c = data.samples.weight * np.where(y > 0, *data.samples.factor[::-1, 0])
    for batch in (order[a : a + 7] for a in range(0, 50, 7)):
        missed = y[batch] * (data.X[batch] @ w + b) < 1.0
        g = -(c[batch] * y[batch] * missed) / len(batch)
        w, b = (1.0 - 0.3 * LAM) * w - 0.3 * g @ data.X[batch], b - 0.3 * g.sum()
    assert state.t == 8 and w.shape == (d,)
    np.testing.assert_allclose(state.W, w, **EXACT)
    np.testing.assert_allclose(state.b, b, **EXACT)


@pytest.mark.parametrize("classes", [2, 4])
def test_perceptron_is_its_twin(classes):
    data, f = problem(classes), objective(PerceptronLoss(), NoPenalty())
    state = run(Perceptron(0.7, 0.5), f, data)
    for k in range(state.b.size):
        w, b = walk(data, f, Constant(0.7), 0.0, 0.5, k)[-1]
        np.testing.assert_allclose(column(state.W, k), w, **EXACT)
        np.testing.assert_allclose(state.b[k], b, **EXACT)


def test_perceptron_is_conservative_and_knows_when_it_is_done():
    data, f = problem(n=60, d=20), objective(PerceptronLoss(), NoPenalty())
    y = (data.X @ np.linspace(-1.0, 1.0, 20) > 0.0).astype(int)
    samples = make_samples(data.samples.rows, y, 2)
    solver = Perceptron()
    state = solver.init(f, samples)
    assert not separated(state)
    for _ in range(200):
        state = solver.epoch(f, samples, np.arange(60), state)
        if separated(state):
            break
    assert separated(state)
    after = solver.epoch(f, samples, np.arange(60), state)
    assert np.array_equal(after.W, state.W) and np.array_equal(after.b, state.b)


@pytest.mark.parametrize(
    "solver, penalty",
    [(Sgd(Constant(0.3)), L2()), (Asgd(Constant(0.3)), L2()), (Truncated(Constant(0.3)), L1())],
)
def test_columns_together_are_columns_alone(solver, penalty):
    data, f = problem(4), objective(Hinge(), penalty)
    together = run(solver, f, data)
    for k in range(4):
        binary = make_samples(
            data.samples.rows,
            data.samples.codes == k,
            2,
            data.samples.weight,
            data.samples.factor[:, k],
        )
        alone = run(solver, f, data._replace(samples=binary))
        np.testing.assert_allclose(together.W[:, k], alone.W, **EXACT)
        np.testing.assert_allclose(together.b[k], alone.b[0], **EXACT)


def test_epochs_leave_the_state_before_them_alone():
    data, f = problem(), objective(Hinge())
    solver = Sgd(Constant(0.3))
    first = solver.epoch(f, data.samples, data.order, solver.init(f, data.samples))
    kept = first.W.copy()
    solver.epoch(f, data.samples, data.order, first)
    assert np.array_equal(first.W, kept)


def test_no_intercept_stays_zero():
    data, f = problem(), objective(Hinge())._replace(fit_intercept=False)
    assert run(Sgd(Constant(0.3)), f, data).b == 0.0


def test_a_step_that_would_flip_w_is_refused():
    data, f = problem(), objective(Hinge())
    with pytest.raises(ValueError, match=r"0\.05 \* 40 = 2.*flip the sign.*below 20"):
        run(Sgd(Constant(40.0)), f, data)


@pytest.mark.parametrize("solver", [Sgd(), Asgd(), Minibatch()])
def test_l1_is_sent_to_the_truncated_solver(solver):
    data, f = problem(), objective(Hinge(), L1())
    with pytest.raises(ValueError, match=r"penalty=L1\(\).*knows only: L2, NoPenalty.*truncated"):
        run(solver, f, data)


def test_divergence_names_epoch_last_objective_and_remedy():
    data, f = problem(), objective(SquaredHinge(), NoPenalty())
    calm, wild = Sgd(Constant(1e-3)), Sgd(Constant(1e9))
    order, start = data.order[:60], calm.init(f, data.samples)
    with pytest.raises(Diverged, match=r"epoch #1; the first\. Lower eta0.*Scaling"):
        wild.epoch(f, data.samples, order, start)
    later = calm.epoch(f, data.samples, order, start)
    last = progressive(f, later).sum()
    with pytest.raises(Diverged, match=rf"epoch #2; the objective was {last:g} one epoch before"):
        wild.epoch(f, data.samples, order, later)


def test_a_second_call_compiles_nothing():
    from widemargin.solvers.sgd import sgd_epoch_1

    data, f = problem(), objective(Logistic())
    run(Sgd(Optimal(0.1, LAM)), f, data)
    before = len(sgd_epoch_1.signatures)
    run(Sgd(Optimal(0.2, LAM)), f, problem(seed=1, n=30))
    assert len(sgd_epoch_1.signatures) == before
