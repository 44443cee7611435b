"""Dual coordinate descent on the parameter server, in virtual time: bits, optimum, faults."""

import numpy as np
import pytest
from shared_problems import D, N, samples
from virtual_engine import Virtual

from widemargin import LinearSVC
from widemargin.bounded import fit_store
from widemargin.data.store_of_samples import write
from widemargin.losses import Hinge, Logistic, SquaredHinge
from widemargin.objective import Objective
from widemargin.ps import messages as m
from widemargin.ps.faults import Fault, inject
from widemargin.ps.oracle import commits_of, each_block_once, surviving
from widemargin.ps.oracle_replay import Replay, equal
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_net import Net
from widemargin.ps.simulate_pace import Pace
from widemargin.run.fit import fit_dual
from widemargin.run.shared_dual import dealt_to, spans
from widemargin.run.shared_dual_fit import added_by, dual_job, fit_dual_on, in_memory, state_of
from widemargin.run.shared_linear import stored
from widemargin.run.shared_serial import Serial
from widemargin.solvers.shared_dual import SUMS
from widemargin.threads import ALONE

TOL = 1e-3
POLICIES = [Sync(), Sync(1), Async(1), RoundRobin()]


def job(folder, some, objective, engine, **changes):
    """A job on a store of the samples, in their order."""
    kept = write(some, folder, None)
    return dual_job(kept.store, objective, engine, weights=kept.weights, **changes)


def signed(work):
    """X, and yₖ of each column, (n, K), in plain NumPy."""
    some = stored(work)
    X, rows = np.zeros((N, D)), some.rows
    X[np.repeat(np.arange(N), np.diff(rows.indptr)), rows.indices] = rows.values
    return X, np.where(some.codes[:, None] == np.arange(work.width) + some.first, 1.0, -1.0)


def kept_together(work, theta):
    """Are w, δ and α of one and the same set of steps, and α within its bounds?"""
    X, y = signed(work)
    alpha, c = theta[D + SUMS :], work.C * stored(work).weight[:, None]
    np.testing.assert_allclose(theta[:D], X.T @ (alpha * y), rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(theta[D], (alpha * y).sum(axis=0), rtol=0.0, atol=1e-9)
    top = np.inf if isinstance(work.loss, SquaredHinge) else c * (1.0 + 1e-12)
    assert (alpha >= -1e-12).all() and (alpha <= top).all() and (alpha > 0.0).any()


@pytest.mark.parametrize("policy", [Sync(), Async(2), RoundRobin()], ids=repr)
def test_one_worker_has_the_bits_of_the_serial_run(policy, tmp_path):
    objective = Objective(SquaredHinge(), 0.5)
    work = job(tmp_path, samples(3, weighted=True), objective, Serial(), block_size=400)
    assert work == dual_job(
        work.store, objective, Virtual(1, 3, policy), weights=work.weights, block_size=400
    )
    alone = Serial().run(work, 2, seed=5)
    shared = Virtual(1, 3, policy).run(work, 2, seed=5)
    assert shared.version == alone.version == 2 * 8
    assert shared.parameters.tobytes() == alone.parameters.tobytes()
    kept_together(work, alone.parameters)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()], ids=repr)
def test_workers_reach_the_optimum_of_one_machine(policy, loss, tmp_path):
    objective, some = Objective(loss, 0.2), samples(weighted=True)
    engine = Virtual(2 + policy.backup if isinstance(policy, Sync) else 2, 2, policy)
    work = job(tmp_path, some, objective, engine)
    prove = in_memory(objective, stored(work), TOL, ALONE)
    fitted, commits = fit_dual_on(engine, work, prove, tol=TOL, max_epochs=10, seed=1)
    best = fit_dual(objective, some, tol=1e-6, max_epochs=500, rng=np.random.default_rng(0))
    low, high = best.certificate.dual, best.certificate.primal
    assert fitted.solved and fitted.certificate.relative_gap <= TOL
    assert fitted.certificate.dual <= high and low <= fitted.certificate.primal
    assert fitted.certificate.primal <= (1.0 + TOL) * high
    X, y = signed(work)
    margins = y[:, 0] * (X @ fitted.W + fitted.b)
    losses = np.maximum(0.0, 1.0 - margins) ** (1 if isinstance(loss, Hinge) else 2)
    f = 0.5 * fitted.W @ fitted.W + 0.2 * stored(work).weight @ losses
    assert fitted.certificate.primal == pytest.approx(f, rel=1e-9)
    assert commits <= 10 * work.n_blocks and fitted.epochs == 10


def test_it_stops_at_the_epoch_that_is_proved(tmp_path):
    objective, told = Objective(Hinge(), 0.2), []
    work = job(tmp_path, samples(), objective, Serial())
    prove = in_memory(objective, stored(work), TOL, ALONE)
    how = dict(tol=TOL, max_epochs=100, progress=told.append)
    fitted, commits = fit_dual_on(Serial(), work, prove, **how)
    gaps = [row["gap"] for row in fitted.history]
    assert fitted.history == told and fitted.solved and fitted.epochs == len(gaps) < 20
    assert commits == fitted.epochs * work.n_blocks
    assert gaps[-1] == fitted.certificate.relative_gap <= TOL < min(gaps[:-1])
    stopped, _ = fit_dual_on(Serial(), work, prove, tol=TOL, max_epochs=2)
    assert not stopped.solved and stopped.epochs == 2


def test_an_epoch_deals_each_row_to_one_block_and_anew(tmp_path):
    work = job(tmp_path, samples(), Objective(Hinge(), 1.0), Virtual(3))
    assert (work.blocks, work.stretch) == (12, 3)

    def rows(epoch):
        blocks = [spans(dealt_to(work, epoch, k), work) for k in range(work.blocks)]
        return [np.concatenate([np.arange(a, e) for a, e in block]) for block in blocks]

    first, again, other = rows(0), rows(0), rows(1)
    assert np.array_equal(np.sort(np.concatenate(first)), np.arange(N))
    assert np.array_equal(np.sort(np.concatenate(other)), np.arange(N))
    assert all((np.diff(block) > 0).all() and abs(len(block) - N / 12) < 6 for block in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(np.intersect1d(first[0], other[0])) < 0.3 * len(first[0])


def test_a_block_touches_and_moves_its_own_keys(tmp_path):
    work = job(tmp_path, samples(), Objective(Hinge(), 1.0), Virtual(2))
    task, block = work.open(), m.Block(3, 2)
    keys = task.touch(block)
    rows = np.concatenate([np.arange(a, e) for a, e in spans(dealt_to(work, 3, 2), work)])
    own = [key for key in keys if D + SUMS <= key]
    assert (np.diff(keys.astype(int)) > 0).all() and keys.dtype == np.uint32
    assert np.array_equal(own, D + SUMS + rows) and {D, D + 1, D + 2} <= set(keys)
    update = task.compute(block, [np.zeros((len(keys), 1))], keys)
    assert set(update.keys) < set(keys) and update.values.any(axis=1).all()
    assert update.n == len(rows) and (update.values[update.keys >= D + SUMS] < 0.0).all()
    task.close()


# faults

FAULTS = {
    "worker": [Fault(0.5, "crash", "worker-0", 0.6), Fault(1.2, "crash", "worker-1", 0.4)],
    "shard": [Fault(0.7, "crash", "shard-0.0", 0.5), Fault(1.9, "crash", "shard-1.0", 0.3)],
    "coordinator": [Fault(0.6, "crash", "coordinator", 0.4), Fault(1.4, "pause", "worker-1", 1.2)],
}


@pytest.mark.parametrize("policy", [Sync(), Async(2)], ids=repr)
@pytest.mark.parametrize("name", FAULTS)
def test_weights_and_dual_variables_stay_one_whatever_dies(name, policy, tmp_path):
    engine = Virtual(2, 2, policy)
    objective = Objective(Hinge(), 0.2)
    work = job(tmp_path, samples(weighted=True), objective, engine)
    groups = (("shard-0.0",), ("shard-1.0",))
    of_run = Settings(
        work.n_blocks,
        6,
        policy,
        groups,
        sparse=True,
        snapshot_every=3,
        deadline_s=0.5,
        retry_s=0.1,
        tick_s=0.08,
        give_up_s=20.0,
    )
    net = Net(latency=0.002, drop=0.03, double=0.03, overtake=0.05, late=0.1)
    setup = Setup(of_run, work, ("worker-0", "worker-1"), net, Pace(0.1, spread=0.2), seed=3)
    sim = Simulation(setup)
    inject(sim, FAULTS[name])
    assert sim.run(60.0) is not False and sim.events[-1].kind == "done"
    assert all(sim.fired[fault.kind, fault.name.split("-")[0]] for fault in FAULTS[name])
    checked(sim, work)


def checked(sim, work):
    """Every block once, the last parameters those of the history, each snapshot consistent."""
    path = surviving(commits_of(sim.events)[0], tuple(sim.events[-1].what["stamp"]))
    assert each_block_once(sim.settings, path) == []
    replay = Replay(work, sim.parts)
    for commit in path:
        assert replay.step(commit.stamp, commit.parts, sim.gradients)
    for kept in sim.storage.snapshots:
        shards = [sim.restore(g, arrays) for g, arrays in enumerate(kept.parts)]
        kept_together(work, np.concatenate([shard.read() for shard in shards]))
    for arrays, made in zip(kept.parts, replay.arrays[path[-1].stamp], strict=True):
        assert equal(arrays, made)
    prove = in_memory(work.objective, stored(work), TOL, ALONE)
    state, upper, lower = prove(state_of(work, np.concatenate([s.read() for s in shards]), 6))
    assert (upper - lower <= 5e-3 * upper).all() and (upper >= lower).all()


# σ′, blocks


def test_blocks_are_as_many_for_each_worker_and_of_bounded_size(tmp_path, monkeypatch):
    objective = Objective(Hinge(), 1.0)
    work = job(tmp_path, samples(), objective, Virtual(3))
    assert work.blocks == 12 and work.rho > 0.0 and work.adding == 3.0
    monkeypatch.setattr("widemargin.run.shared_dual_fit.LARGEST", 1000)
    entries = len(samples().rows.values)
    small = dual_job(work.store, objective, Virtual(3))
    assert small.blocks % 3 == 0 and 0 <= small.blocks - entries / 1000 < 3
    assert dual_job(work.store, objective, Virtual(3), block_size=700).blocks == 5
    without = dual_job(work.store, objective._replace(fit_intercept=False), Virtual(3))
    assert without.rho == 0.0 and without.fingerprint != work.fingerprint


def test_as_many_updates_may_be_added_as_can_meet_unseen():
    class Engine:
        workers, max_workers = 4, 6

        def __init__(self, policy):
            self.policy = policy

    assert added_by(Serial()) == added_by(Virtual(1, policy=Async(5))) == 1.0
    assert added_by(Engine(Sync())) == 6.0 and added_by(Engine(Sync(2))) == 4.0
    assert added_by(Engine(Sync("auto"))) == 6.0
    assert added_by(Engine(Async(3))) == 9.0 and added_by(Engine(RoundRobin())) == 11.0
    with pytest.raises(ValueError, match=r"^max_staleness=None of Async .* Give Async\(max_stal"):
        added_by(Engine(Async()))


# who uses it


@pytest.mark.parametrize("classes", [2, 3])
def test_the_estimator_on_an_engine(classes):
    some = samples(classes)
    X = np.zeros((N, D), np.float32)
    X[np.repeat(np.arange(N), np.diff(some.rows.indptr)), some.rows.indices] = some.rows.values
    weight = np.random.default_rng(0).uniform(0.5, 1.5, N)
    how = dict(C=0.2, loss="hinge", tol=TOL, class_weight={0: 2.0}, random_state=0)
    here = LinearSVC(**how).fit(X, some.codes, sample_weight=weight)
    there = LinearSVC(engine=Serial(), **how).fit(X, some.codes, sample_weight=weight)
    a, b = here.certificate_, there.certificate_
    assert there.certificate_.relative_gap <= TOL
    assert max(a.dual, b.dual) <= min(a.primal, b.primal)
    assert b.primal == pytest.approx(a.primal, rel=TOL)
    assert there.coef_.shape == here.coef_.shape
    assert np.mean(there.predict(X) == here.predict(X)) > 0.97


def test_a_fit_that_ran_out_of_epochs_says_so():
    X, y = np.random.default_rng(0).normal(size=(300, 5)), np.arange(300) % 2
    clf = LinearSVC(engine=Serial(), max_iter=1, tol=1e-9, loss="hinge", random_state=0)
    with pytest.warns(UserWarning, match="stopped at max_iter=1 with a relative duality gap"):
        clf.fit(X, y)
    assert clf.n_iter_ == 1


@pytest.mark.parametrize(
    "wrong",
    [dict(penalty="l1"), dict(multi_class="crammer_singer"), dict(probability=True)],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_go_together_is_refused(wrong):
    (name, value), X = next(iter(wrong.items())), np.eye(4)
    with pytest.raises(ValueError, match=f"^{name}={value!r} does not go with engine=.*Change"):
        LinearSVC(engine=Serial(), **wrong).fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize("loss", [Hinge(), Logistic()], ids=repr)
def test_a_store_is_fitted_block_by_block(loss, tmp_path):
    some, name = samples(3), {Hinge: "hinge", Logistic: "log_loss"}[type(loss)]
    store = write(some, tmp_path, 0).store
    model = fit_store(store, loss=name, C=0.2, solver="dual", engine=Serial(), tol=TOL)
    best = fit_dual(
        Objective(loss, 0.2), some, tol=TOL, max_epochs=500, rng=np.random.default_rng(0)
    )
    assert model.training["solved"] and model.training["relative_gap"] <= TOL
    assert model.training["objective"] == pytest.approx(best.certificate.primal, rel=TOL)
    assert (model.solver, model.training["block_size"]) == ("dual", 750)
    assert model.training["commits"] == 4 * model.training["epochs"]
    assert 0.0 < model.training["train_error"] < 0.4


@pytest.mark.parametrize("compression", ["bf16", "int8", "topk"])
def test_compression_is_refused_as_it_would_part_w_from_its_sum(tmp_path, compression):
    with pytest.raises(ValueError, match=f"compression='{compression}' .* Leave compression out"):
        job(tmp_path, samples(), Objective(Hinge(), 1.0), Virtual(2, compression=compression))
