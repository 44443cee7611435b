"""Linear models on the parameter server, in virtual time: the bits, the optimum, the bytes."""

import numpy as np
import pytest
from shared_problems import LAM, D, N, job, optimum, samples
from virtual_engine import Virtual

from widemargin.errors import InputError
from widemargin.losses import Logistic
from widemargin.objective import primal
from widemargin.ps import messages as m
from widemargin.ps.compression import TopK
from widemargin.ps.job import Range
from widemargin.ps.optimizers import Adagrad
from widemargin.ps.parameters import Parameters
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.run.shared_fit import (
    averaging,
    block_size_of,
    follow,
    job_of,
    touches_few,
    weights_of,
)
from widemargin.run.shared_linear import LinearTask, stored
from widemargin.run.shared_serial import Serial
from widemargin.schedules import Optimal

POLICIES = [Sync(), Sync(backup="auto"), Async(), Async(max_staleness=2), RoundRobin()]
MEAN = pytest.mark.parametrize("policy", POLICIES, ids=repr)


@MEAN
def test_one_worker_has_the_bits_of_the_serial_run(policy, tmp_path):
    work = job(tmp_path, samples(3, "float64", weighted=True), decay=0.9)
    alone = Serial().run(work, 2, seed=5)
    shared = Virtual(1, 3, policy).run(work, 2, seed=5)
    assert shared.version == alone.version == 2 * 47
    assert shared.parameters.tobytes() == alone.parameters.tobytes()
    assert shared.average.tobytes() == alone.average.tobytes()
    assert not np.array_equal(alone.average, alone.parameters)


@pytest.mark.parametrize("sparse", [True, False])
def test_named_keys_and_all_keys_give_the_same_bits(sparse, tmp_path):
    work = job(tmp_path, samples())
    alone = Serial().run(work, 2, seed=1)
    shared = Virtual(1, 2, Async()).run(work._replace(sparse=sparse), 2, seed=1)
    assert shared.parameters.tobytes() == alone.parameters.tobytes()
    assert np.any(alone.parameters[-1] != 0.0)


@pytest.mark.parametrize("workers", [2, 3])
def test_synchronous_commits_are_averages_in_the_order_of_blocks(workers, tmp_path):
    work = job(tmp_path, samples())
    with Virtual(workers, 2, Sync()).start(work, 2, seed=2) as run:
        made, commits = run.result(), run.commits()
    server, task = Parameters.create(work.rule, work.first(Range(0, work.n_keys)), 0), work.open()
    twin, t = np.zeros(D + 1), 0
    for blocks in commits:
        updates = []
        for block in blocks:
            keys = task.touch(block)
            updates.append(task.compute(block, [server.read(keys)], keys))
        server.apply(updates)
        twin = mean_step(twin, t, blocks)
        t += 1
    assert max(map(len, commits)) == workers
    assert made.parameters.tobytes() == server.read().tobytes()
    assert np.allclose(made.parameters[:, 0], twin, rtol=0.0, atol=2e-5 * np.abs(twin).max())


def mean_step(theta, t, blocks):
    """The step of all samples of several blocks, in plain NumPy and float64."""
    some = samples()
    chosen = np.concatenate([np.arange(N)[b.number * 64 : b.number * 64 + 64] for b in blocks])
    X, y = dense(some)[chosen], np.where(some.codes[chosen] == 1, 1.0, -1.0)
    slope = np.where(y * (X @ theta[:D] + theta[D]) < 1.0, -y, 0.0) / len(chosen)
    eta = 16.0 / (1.0 + LAM * 16.0 * t)
    after = theta.copy()
    after[:D] = (1.0 - eta * LAM) * theta[:D] - eta * (slope @ X)
    after[D] -= eta * 0.01 * slope.sum()
    return after


def dense(some):
    X, rows = np.zeros((N, D)), some.rows
    X[np.repeat(np.arange(N), np.diff(rows.indptr)), rows.indices] = rows.values
    return X


@pytest.mark.parametrize("policy", [Sync(), Async(), RoundRobin()], ids=repr)
def test_two_workers_reach_the_optimum(policy, tmp_path):
    dual, objective = optimum()
    work = job(tmp_path, samples())
    engine = Virtual(2, 2, policy)
    work = averaging(job_of(work.store, work.loss, LAM), 30, engine)
    learned = follow(engine, work, 30, seed=0)
    f = float(primal(objective, samples(), learned.W, learned.b)[0])
    assert dual <= f <= 1.001 * dual
    assert [row["epoch"] for row in learned.history] == list(range(1, 31))
    seconds = [row["seconds"] for row in learned.history]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("codec", ["bf16", "int8", TopK(0.2)], ids=repr)
def test_compressed_gradients_reach_the_optimum_with_fewer_bytes(codec, tmp_path):
    dual, objective = optimum()
    sizes, stored = [], job(tmp_path, samples())
    for engine in (Virtual(2, 2), Virtual(2, 2, compression=codec)):
        work = averaging(job_of(stored.store, stored.loss, LAM, block_size=150), 10, engine)
        with engine.start(work, 10) as run:
            W, b = weights_of(work, run.result().average)
            sizes.append(run.simulation.bytes["Push"])
    assert float(primal(objective, samples(), W, b)[0]) <= 1.002 * dual
    assert sizes[1] < 0.8 * sizes[0]


def test_a_synchronous_run_does_not_depend_on_the_network(tmp_path):
    work = job(tmp_path, samples())
    runs = [Virtual(2, 2, Sync(), network=seed).run(work, 2, seed=3) for seed in (0, 1)]
    assert runs[0].events[-1].time != runs[1].events[-1].time
    assert runs[0].parameters.tobytes() == runs[1].parameters.tobytes()


def test_bytes_grow_with_what_is_touched(tmp_path):
    work = job(tmp_path, samples(), block_size=16)
    with Virtual(2, 2, Sync()).start(work, 1) as run:
        run.result()
    task = work.open()
    touched = sum(len(task.touch(m.Block(0, k))) for k in range(work.n_blocks))
    assert touched < 0.5 * work.n_blocks * work.n_keys
    sent = run.simulation.bytes
    numbers = 32 * run.simulation.sent["Push"]  # an update's n and the ends of its tuple
    assert sent["Pull"] == sent["Params"] == 4 * touched
    assert 0 < sent["Push"] - numbers <= 8 * touched
    assert sum(sent.values()) - numbers <= 2 * 8 * touched


def test_only_changed_keys_are_pushed(tmp_path):
    work = job(tmp_path, samples())
    task, block = work.open(), m.Block(0, 0)
    keys = task.touch(block)
    theta = Serial().run(work, 10).parameters
    update = task.compute(block, [theta[keys]], keys)
    assert set(update.keys) < set(keys) and update.values.any(axis=1).all()
    assert (update.keys.dtype, update.values.dtype, update.n) == (np.uint32, np.float32, 64.0)


def test_other_losses_optimizers_and_no_penalty_run(tmp_path):
    work = job(tmp_path, samples(3), loss=Logistic(), lam=0.0, optimizer=Adagrad())
    work = work._replace(schedule=Optimal(0.1, 0.0), fit_intercept=False)
    made = Virtual(2, 2, Async()).run(work, 3)
    assert made.parameters.shape == (D, 3)
    W, b = weights_of(work, made.parameters)
    scores = dense(samples(3)) @ W + b
    assert np.mean(scores.argmax(axis=1) == samples(3).codes) > 0.7  # 1 / 3 by chance
    assert np.array_equal(b, np.zeros(3))


def test_reading_ahead_gives_the_same_batches(tmp_path):
    work = job(tmp_path, samples())
    task = work.open()
    assert isinstance(task, LinearTask)
    task.prefetch(m.Block(0, 4))
    ahead, here = task.batch(4), task.read(4)
    assert ahead.keys.tobytes() == here.keys.tobytes()
    for k in (1, 2, 3, 5):
        task.prefetch(m.Block(0, k))
    assert list(task.ahead.held) == [2, 3, 5]
    task.close()


def test_a_store_that_is_not_there_is_named(tmp_path):
    work = job(tmp_path, samples())
    with pytest.raises(InputError, match="nowhere: this machine sees no packed store"):
        work._replace(store=str(tmp_path / "nowhere")).open()
    with pytest.raises(ValueError, match="holds 3000 rows of 500 features, not 3001 of 500"):
        work._replace(n_samples=3001).open()


def test_a_run_goes_on_only_with_the_same_data(tmp_path):
    work = job(tmp_path, samples())
    there = work._replace(store="elsewhere")
    assert there.fingerprint == work.fingerprint
    for change in (dict(digest="other"), dict(block_size=65), dict(class_weight=(1.0, 2.0))):
        assert work._replace(**change).fingerprint != work.fingerprint


def test_the_plan_of_a_job(tmp_path):
    work = job(tmp_path, samples())
    assert [block_size_of(n) for n in (1, 100, 6400, 10**7)] == [1, 1, 100, 4096]
    assert touches_few(work._replace(block_size=4)) and not touches_few(work._replace(block_size=N))
    assert averaging(work, 10, Virtual(2, 2, Async())).decay == pytest.approx(1.0 - 10.0 / 470)
    assert averaging(work, 10, Virtual(2)).decay == pytest.approx(1.0 - 10.0 / 235)
    assert stored(work).rows.n_features == D
