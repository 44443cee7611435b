"""The dual on a real Ray of three nodes: proved, with α and w together, also when a worker dies."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from shared_problems import D, N, samples  # noqa: E402

from widemargin import LinearSVC  # noqa: E402
from widemargin.cluster import Cluster, Sync  # noqa: E402

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("three_nodes")]
TOL = 1e-4


class Deadly:
    """An engine whose worker-1 is killed after so many commits."""

    policy, workers = Sync(), 2

    def __init__(self, after):
        self.after, self.killed, self.run = after, None, None

    def start(self, job, epochs, *, seed=0, shuffle=True):
        cluster = Cluster(address="auto", workers=2, servers=2, deadline_s=1.0)
        self.run = cluster.start(job, epochs, seed=seed, shuffle=shuffle)
        threading.Thread(target=self.kill, daemon=True).start()
        return self.run

    def kill(self):
        import ray

        from widemargin.run.cluster.plan import space

        until = time.monotonic() + 60.0
        while sum(e.kind == "commit" for e in self.run.known) < self.after:
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        worker = ray.get_actor("worker-1", namespace=space(self.run.name))
        pid = ray.get(worker.identity.remote())["pid"]
        os.kill(pid, signal.SIGKILL)
        self.killed = pid


def test_the_answer_is_that_of_one_machine_although_a_worker_dies():
    some, engine = samples(), Deadly(after=5)
    X = np.zeros((N, D), np.float32)
    X[np.repeat(np.arange(N), np.diff(some.rows.indptr)), some.rows.indices] = some.rows.values
    how = dict(C=0.5, loss="hinge", tol=TOL, random_state=0)
    here = LinearSVC(**how).fit(X, some.codes)
    there = LinearSVC(engine=engine, **how).fit(X, some.codes)
    a, b = here.certificate_, there.certificate_
    assert engine.killed is not None
    assert b.relative_gap <= TOL and max(a.dual, b.dual) <= min(a.primal, b.primal)
    assert b.primal == pytest.approx(a.primal, rel=TOL)
    w, margin = there.coef_[0], np.where(some.codes == 1, 1.0, -1.0)
    losses = np.maximum(0.0, 1.0 - margin * (X.astype(float) @ w + there.intercept_[0]))
    assert b.primal == pytest.approx(0.5 * w @ w + 0.5 * losses.sum(), rel=1e-9)
    commits = [e.what for e in engine.run.known if e.kind == "commit"]
    blocks = [tuple(block) for what in commits for _, block in what["parts"]]
    assert len(set(blocks)) == len(blocks)  # nothing was rolled back: α of the dead were kept
    assert max(len(what["parts"]) for what in commits) == 2
