"""Fits over the blocks of a store: optimum, certificate and counts are those of fits in memory."""

from types import SimpleNamespace

import numpy as np
import pytest

from widemargin.data.blocks import make_blocks
from widemargin.data.dataset import open as open_data
from widemargin.data.samples import make_samples
from widemargin.data.store import write_meta
from widemargin.data.store_stream import Facts
from widemargin.data.store_writer import StoreWriter
from widemargin.errors import Diverged
from widemargin.losses import Hinge
from widemargin.objective import Objective, dual, primal
from widemargin.run.blocked import blocked, evaluate_blocks
from widemargin.run.blocked_dual import BlockedDual, First, first_shares, later_shares
from widemargin.run.evaluation import evaluate
from widemargin.run.solve import Plan, fit, make_objective
from widemargin.run.solve_blocks import fit_blocks
from widemargin.scores import error_of
from widemargin.solvers.steps import State

N, D = 3000, 50
WINDOW = 8000  # some forty blocks


def make_store(folder, classes):
    rng = np.random.default_rng(classes)
    X = rng.random((N, D)) * (rng.random((N, D)) < 0.2)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)
    scores = X @ rng.normal(size=(D, classes)) + 0.2 * rng.normal(size=(N, classes))
    codes = scores.argmax(axis=1) if classes > 2 else (scores[:, 0] > 0.3).astype(int)
    i, j = np.nonzero(X)
    folder.mkdir()
    with StoreWriter(folder, "float32") as out:
        out.append(X[i, j], j, np.bincount(i, minlength=N), codes)
    names = tuple("abcdef"[:classes])
    write_meta(folder, Facts(names, D, D - 1, False), {"seed": 0})
    return open_data(folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("two") / "s", 2)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("four") / "s", 4)


def samples_of(data, weights=None):
    return make_samples(data.rows, data.codes, len(data.label_names), class_weight=weights)


def in_blocks(name, data, objective, seed=0, window=WINDOW, mapped=False, weights=None, **plan):
    blocks = make_blocks(data, window, class_weight=weights)
    assert blocks.many > 20
    rng = np.random.default_rng(seed)
    return fit_blocks(name, objective, blocks, rng=rng, plan=Plan(**plan), mapped=mapped)


class Counting:
    """A solver that changes nothing and notes the rows it is shown."""

    def __init__(self):
        self.seen = []

    def init(self, objective, samples):
        return State(np.zeros(D), np.zeros(1), 0, np.zeros(1))

    def epoch(self, objective, samples, order, state):
        assert len(order) == len(samples.codes)
        rows = samples.rows
        self.seen += [(int(rows.indptr[i]), int(rows.indptr[i + 1])) for i in order]
        return state._replace(t=state.t + len(order), loss_sum=np.ones(1))


def test_an_epoch_visits_every_row_once_in_an_order_of_its_own(two):
    solver, blocks = Counting(), make_blocks(two, WINDOW)
    states = blocked(solver, make_objective("sgd", "hinge", 1.0), blocks, np.random.default_rng(0))
    ends = two.rows.indptr.tolist()
    rows, orders = sorted(zip(ends[:-1], ends[1:], strict=True)), []
    for epoch in range(1, 4):
        state = next(states)
        assert sorted(solver.seen) == rows and state.t == epoch * N
        assert state.loss_sum == blocks.many  # counts of the blocks add up
        orders.append(tuple(solver.seen))
        solver.seen.clear()
    assert len(set(orders)) == 3


@pytest.mark.parametrize("window", [1000, WINDOW, 10**8])
def test_the_dual_solver_visits_every_row_once_an_epoch(two, window):
    blocks = make_blocks(two, window)
    alpha = np.zeros((N, 1))
    dual_ = BlockedDual(make_objective("dual", "hinge", 1.0), blocks, alpha, np.zeros((N, 1)))
    seen = []

    def walk(objective, samples, order, state):
        start = int(np.searchsorted(two.rows.indptr, samples.rows.indptr[0]))
        seen.append((state.scale, (start + order).tolist()))
        return state._replace(gain=1.0)

    solver = SimpleNamespace(walk=walk, settle=lambda state: None, init=dual_.solver.init)
    dual_ = BlockedDual(dual_.objective, blocks, alpha, dual_.scores, solver)
    states = dual_.states(np.random.default_rng(0))
    next(states)
    once = [i for scale, rows in seen if scale <= 2.0 * N / 60 for i in rows]
    assert sorted({i for _, rows in seen for i in rows}) == list(range(N)) and len(once) > 0.8 * N
    assert max(scale for scale, _ in seen) > 10.0 and min(scale for scale, _ in seen) < 1.2
    seen.clear()
    assert next(states).visited >= 2 * N
    assert {scale for scale, _ in seen} == {1.0}
    assert sorted(i for _, rows in seen for i in rows) == list(range(N))


@pytest.mark.parametrize("n, head", [(1000, 20), (5000, 1), (7, 7)])
def test_shares_of_an_epoch(n, head):
    first = first_shares(n, head, First())
    assert [s[:2] for s in first[:3]] == [(0, head)] * 3 and first[3].start == head
    for shares in (first[2:], later_shares(n)):
        assert shares[0].start == 0 and shares[-1].stop == n
        assert all(a.stop == b.start for a, b in zip(shares[:-1], shares[1:], strict=True))


@pytest.mark.parametrize("loss, intercept", [("hinge", True), ("hinge", False), ("log_loss", True)])
def test_dual_reaches_the_optimum_and_proves_it(two, loss, intercept):
    objective = make_objective("dual", loss, 1.0, fit_intercept=intercept)
    samples = samples_of(two)
    best = fit("dual", objective, samples, rng=np.random.default_rng(0), plan=Plan(tol=1e-9))
    found = in_blocks("dual", two, objective, tol=1e-4)
    assert found.solved and found.certificate.relative_gap <= 1e-4
    value = primal(objective, samples, found.W, found.b).sum()
    assert found.certificate.primal == pytest.approx(value, rel=1e-9)
    assert found.certificate.dual <= best.certificate.primal * (1.0 + 1e-12)
    assert value <= best.certificate.primal * (1.0 + 1e-4)
    p = evaluate(objective, samples, found.W, found.b).scores
    assert found.errors == round(error_of(p, two.codes) * N)


def test_dual_variables_are_feasible_and_give_the_value(two):
    objective = make_objective("dual", "hinge", 3.0)
    blocks = make_blocks(two, WINDOW)
    solver = BlockedDual(objective, blocks, np.zeros((N, 1)), np.zeros((N, 1)))
    states = solver.states(np.random.default_rng(0))
    for _ in range(3):
        state = next(states)
    state, upper, lower = solver.certify(1e-9, state)
    y = 2.0 * two.codes - 1.0
    assert (solver.alpha >= 0.0).all() and (solver.alpha <= 3.0).all()
    assert abs((solver.alpha[:, 0] * y).sum()) <= 1e-10
    value = dual(objective, samples_of(two), solver.alpha.copy()).sum()
    assert lower.sum() <= value + 1e-9 * abs(value)
    assert lower.sum() == pytest.approx(value, rel=1e-6)


def test_threads_walk_each_block_together(two, monkeypatch):
    monkeypatch.setattr("widemargin.solvers.dual_replicas.WORTH_A_THREAD", 1)
    monkeypatch.setattr("widemargin.threads.FEWEST", 20)
    objective = make_objective("dual", "hinge", 1.0)
    alone = in_blocks("dual", two, objective, tol=1e-3)
    a, b = (in_blocks("dual", two, objective, tol=1e-3, threads=2) for _ in range(2))
    assert a.solved and np.array_equal(a.W, b.W) and not np.array_equal(a.W, alone.W)
    value = primal(objective, samples_of(two), a.W, a.b).sum()
    assert a.certificate.primal == pytest.approx(value, rel=1e-9)
    assert alone.certificate.dual <= value * (1.0 + 1e-9)
    assert a.certificate.dual <= alone.certificate.primal


@pytest.mark.parametrize("mapped", [False, True])
def test_many_classes_with_weights(four, mapped):
    weights = np.array([1.0, 2.0, 0.5, 1.0])
    objective = make_objective("dual", "hinge", 1.0)
    samples = samples_of(four, weights)
    best = fit("dual", objective, samples, rng=np.random.default_rng(0), plan=Plan(tol=1e-7))
    found = in_blocks("dual", four, objective, tol=1e-4, weights=weights, mapped=mapped)
    assert found.solved and found.W.shape == (D, 4)
    assert best.certificate.dual <= found.certificate.primal * (1 + 1e-9)
    assert found.certificate.primal <= best.certificate.primal * (1 + 1e-4)


STEPPING = ["sgd", "asgd", "minibatch"]


@pytest.mark.parametrize("name", STEPPING)
def test_steps_come_as_near_as_in_memory(two, name):
    objective, samples = make_objective(name, "hinge", 1.0), samples_of(two)
    plan, rng = {"epochs": 20, "batch_size": 4}, np.random.default_rng(0)
    best = fit("dual", objective, samples, rng=rng, plan=Plan(tol=1e-6)).certificate.primal
    there = fit(name, objective, samples, rng=rng, plan=Plan(**plan)).certificate.primal
    here = in_blocks(name, two, objective, **plan)
    assert here.epochs == 20
    assert here.certificate.primal - best <= 2.0 * (there - best) + 0.002 * best
    again = evaluate(objective, samples, here.W, here.b)
    assert here.certificate == pytest.approx(again.certificate, rel=1e-9)
    assert here.errors == round(error_of(again.scores, two.codes) * N)


def test_batch_takes_the_steps_it_takes_in_memory(two):
    objective, samples = make_objective("batch", "hinge", 1.0), samples_of(two)
    plan = {"epochs": 8}
    there = fit("batch", objective, samples, rng=np.random.default_rng(0), plan=Plan(**plan))
    here = in_blocks("batch", two, objective, **plan)
    assert here.W == pytest.approx(there.W, rel=1e-7, abs=1e-9)
    assert here.certificate == pytest.approx(there.certificate, rel=1e-7)


def test_perceptron_stops_when_nothing_is_wrong(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    X = np.column_stack([2.0 * y - 1.0, rng.random(N)]).astype(np.float32)
    (tmp_path / "s").mkdir()
    with StoreWriter(tmp_path / "s", "float32") as out:
        out.append(X.ravel(), np.tile([0, 1], N), np.full(N, 2), y)
    write_meta(tmp_path / "s", Facts(("a", "b"), 2, 1, False), {"seed": 0})
    objective = make_objective("perceptron", "perceptron", 1.0)
    found = in_blocks("perceptron", open_data(tmp_path / "s"), objective, window=2500)
    assert found.errors == 0 and found.epochs < 20


@pytest.mark.parametrize("name", ["dual", "sgd"])
def test_the_seed_decides_and_the_place_of_the_dual_variables_does_not(two, name):
    objective, plan = make_objective(name, "hinge", 1.0), {"epochs": 3, "tol": 1e-3}
    a, b, c = (
        in_blocks(name, two, objective, seed=seed, mapped=mapped, **plan)
        for seed, mapped in ((1, False), (1, True), (2, False))
    )
    assert np.array_equal(a.W, b.W) and a.certificate == b.certificate and a.errors == b.errors
    assert not np.array_equal(a.W, c.W)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_look_at_any_weights(four, threads):
    objective = Objective(Hinge(), 0.7)
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(D, 4)), rng.normal(size=4)
    blocks = make_blocks(four, WINDOW)
    seen = evaluate_blocks(objective, blocks, W, b, np.zeros((N, 4)), threads)
    whole = evaluate(objective, samples_of(four), W, b)
    assert seen.certificate == pytest.approx(whole.certificate, rel=1e-9)
    assert seen.scores is None and seen.errors == round(error_of(whole.scores, four.codes) * N)


def test_divergence_names_the_epoch(two):
    class Wild(Counting):
        def epoch(self, objective, samples, order, state):
            super().epoch(objective, samples, order, state)
            if len(self.seen) > N:
                raise Diverged("of a block")
            return state

    objective = make_objective("sgd", "hinge", 1.0)
    states = blocked(Wild(), objective, make_blocks(two, WINDOW), np.random.default_rng(0))
    next(states)
    with pytest.raises(Diverged, match=r"at epoch #2\. Lower eta0"):
        next(states)
