"""Linear models on a real Ray of three nodes: the serial bits, the optimum, equal models."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from shared_problems import LAM, N, job, optimum, samples  # noqa: E402
from virtual_engine import Virtual  # noqa: E402

from widemargin import SGDClassifier  # noqa: E402
from widemargin.cluster import Async, Cluster, Int8, RoundRobin, Sync, TopK  # noqa: E402
from widemargin.objective import primal  # noqa: E402
from widemargin.run.shared_fit import averaging, follow, job_of  # noqa: E402
from widemargin.run.shared_serial import Serial  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("three_nodes")]


def test_one_worker_has_the_bits_of_the_serial_run(tmp_path):
    work = job(tmp_path, samples(), decay=0.9)
    alone = Serial().run(work, 2, seed=5)
    shared = Cluster(address="auto", workers=1, policy=Async()).run(work, 2, seed=5)
    assert shared.version == alone.version == 94
    assert shared.parameters.tobytes() == alone.parameters.tobytes()
    assert shared.average.tobytes() == alone.average.tobytes()


@pytest.mark.parametrize("codec", [Int8(64), TopK(0.2)], ids=repr)
def test_one_worker_that_compresses_has_the_bits_of_virtual_time(codec, tmp_path):
    work = job(tmp_path, samples(), decay=0.9)
    virtual = Virtual(1, 2, compression=codec).run(work, 2, seed=5)
    shared = Cluster(address="auto", workers=1, compression=codec).run(work, 2, seed=5)
    assert shared.version == virtual.version == 94
    assert shared.parameters.tobytes() == virtual.parameters.tobytes()


# Each policy is on Ray in test_cluster.py, and with these models in test_shared_linear.py.
SLOW = [pytest.param(policy, marks=pytest.mark.slow) for policy in (Sync(), RoundRobin())]


@pytest.mark.parametrize("policy", [Async(), *SLOW], ids=repr)
def test_two_workers_reach_the_optimum(policy, tmp_path):
    dual, objective = optimum()
    engine = Cluster(address="auto", workers=2, policy=policy)
    work = job(tmp_path, samples())
    work = averaging(job_of(work.store, work.loss, LAM, block_size=150), 10, engine)
    learned = follow(engine, work, 10, seed=0)
    f = float(primal(objective, samples(), learned.W, learned.b)[0])
    assert dual <= f <= 1.001 * dual
    assert [row["epoch"] for row in learned.history] == list(range(1, 11))


def test_two_synchronous_runs_in_which_nobody_is_silent_give_the_same_bytes():
    rows = samples().rows
    X = np.zeros((N, rows.n_features), np.float32)
    X[np.repeat(np.arange(N), np.diff(rows.indptr)), rows.indices] = rows.values
    engine = Cluster(address="auto", workers=2, policy=Sync(), deadline_s=9.0)
    models = [
        SGDClassifier(alpha=LAM, engine=engine, max_iter=2, random_state=0).fit(X, samples().codes)
        for _ in range(2)
    ]
    assert len({model.coef_.tobytes() for model in models}) == 1
    assert models[0].certificate_.primal <= 1.02 * optimum()[0]
