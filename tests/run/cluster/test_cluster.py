"""What each policy computes; SIGKILL, SIGSTOP, the loss of a node, of the driver: on a real Ray of
three nodes. One file, so that there is one Ray."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nodes
import numpy as np
import pytest
from jobs import Squares, blocks_of, path_of, replay, serial

from widemargin.cluster import Async, Cluster, RoundRobin, Sync
from widemargin.errors import ClusterError
from widemargin.run.cluster import fleet, plan

pytestmark = pytest.mark.timeout(170)
EPOCHS, MORE = 40, 8  # commits between faults
JOB, FEW = Squares(), 15


def exact(outcome, job, epochs):
    """Each block once an epoch; returns the path of commits."""
    path = path_of(outcome.events)
    blocks = blocks_of(path)
    assert sorted(blocks) == list(range(epochs))
    assert all(sorted(one) == list(range(job.n_blocks)) for one in blocks.values())
    return path


def test_one_worker_equals_the_serial_loop_bit_for_bit(three_nodes):
    outcome = Cluster(address="auto", workers=1, policy=Async()).run(JOB, FEW, seed=3)
    exact(outcome, JOB, FEW)
    expected = serial(JOB, FEW, seed=3)
    np.testing.assert_array_equal(outcome.parameters, expected.read())
    np.testing.assert_array_equal(outcome.average, expected.read_average())
    assert outcome.version == FEW * JOB.n_blocks


@pytest.mark.parametrize(
    "policy", [Sync(), Async(max_staleness=1), RoundRobin()], ids=["sync", "async", "round_robin"]
)
def test_two_workers(three_nodes, policy):
    outcome = Cluster(address="auto", workers=2, policy=policy).run(JOB, FEW, seed=3)
    path = exact(outcome, JOB, FEW)
    if isinstance(policy, Sync):
        averaged = replay(JOB, path)
        np.testing.assert_array_equal(outcome.parameters, averaged.read())
        assert max(len(what["parts"]) for what in path) == 2
    else:
        assert all(len(what["parts"]) == 1 for what in path)
        assert max(what["late"] for what in path) <= 1
    best = JOB.objective(serial(JOB, FEW, seed=3).read())
    assert abs(JOB.objective(outcome.parameters) - best) <= 1e-3


def test_a_failing_gradient_ends_the_run_with_its_error(three_nodes):
    job = JOB._replace(fails=7)
    with pytest.raises(ClusterError, match=r"Block\(epoch=0, number=7\) failed 3 times.*cannot be"):
        Cluster(address="auto", workers=1).run(job, 1)


class NoBeginning(Squares):
    """A job whose parameters cannot be made."""

    __slots__ = ()

    def first(self, keys):
        if keys.stop - keys.start > 1:
            raise ValueError("no parameters")
        return super().first(keys)


def test_nothing_stays_of_a_run_that_could_not_begin(three_nodes, monkeypatch, tmp_path):
    def no_room(plan, wanted):
        raise RuntimeError("no room")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cluster = Cluster(address="auto", replicas=2)
    with pytest.raises(ValueError, match="no parameters"):
        cluster.start(NoBeginning(), FEW, name="early")
    monkeypatch.setattr(fleet, "man", no_room)
    with pytest.raises(RuntimeError, match="no room"):
        cluster.start(JOB, FEW, name="late")
    assert list(tmp_path.iterdir()) == []
    assert plan.get("late", "plan") is None and plan.get("late", "secret") is None
    until = time.monotonic() + 10.0
    while fleet.runs() and time.monotonic() < until:
        time.sleep(0.05)
    assert not {"early", "late"} & set(fleet.runs())


def test_what_is_large_is_known_in_pieces(three_nodes, monkeypatch):
    monkeypatch.setattr(plan, "PIECE", 1000)
    for n in (10_000, 10, 2_000):
        plan.put("heavy", "job", np.arange(n))
        np.testing.assert_array_equal(plan.get("heavy", "job"), np.arange(n))
    plan.forget("heavy")
    assert plan.get("heavy", "job") is None


def test_an_unknown_run_names_those_there_are(three_nodes):
    with pytest.raises(ClusterError, match="no run 'nobody' is under way.*none"):
        Cluster.attach("nobody")


def check(outcome, job, epochs=EPOCHS):
    """Each block once an epoch; the weights those of one process that averages; the optimum."""
    path = exact(outcome, job, epochs)
    np.testing.assert_array_equal(outcome.parameters, replay(job, path).read())
    X, y = job.data()
    best = np.linalg.solve(X.T @ X / len(X) + 1e-3 * np.eye(job.keys), X.T @ y / len(X))
    assert job.objective(outcome.parameters) <= job.objective(best) + 1e-3


@pytest.fixture
def slowly(tmp_path):
    flag = tmp_path / "slowly"
    flag.touch()
    return flag


def cluster(**options):
    return Cluster(address="auto", workers=2, servers=2, snapshot_every=30, **options)


def killed(run, role, limit=5.0):
    since = nodes.kill(run, role)
    took = nodes.resumed(run, since, role)
    print(f"{role}: {took:.2f} s")
    assert took < limit, f"{role}: resumed after {took:.1f} s"
    nodes.await_commits(run, MORE)
    return took


def test_with_replicas(three_nodes, slowly, record_property):
    job = Squares(slowly=str(slowly))
    with cluster(replicas=2, max_workers=3).start(job, EPOCHS, seed=1) as run:
        nodes.await_commits(run, MORE)
        for role in ("worker-0", "shard-0.0", "coordinator"):
            record_property(role, killed(run, role))
        nodes.kill(run, "observer")
        nodes.await_commits(run, MORE)
        lose_node(three_nodes, run)
        slowly.unlink()
        outcome = run.result(60)
    check(outcome, job)


def lose_node(three_nodes, run):
    """A node goes with a replica on it; another comes, and gets a worker."""
    head = three_nodes.head_node.node_id
    replicas = ("shard-0.0", "shard-0.1")
    places = {r: nodes.identity(run, r)["node"] for r in (*replicas, "coordinator")}
    assert places["shard-0.0"] != places["shard-0.1"]
    lost = next(places[role] for role in replicas if places[role] != head)
    roles = [role for role, node in places.items() if node == lost]
    victim = next(n for n in three_nodes.list_all_nodes() if n.node_id == lost)
    since = time.time()
    three_nodes.remove_node(victim, allow_graceful=False)
    nodes.add(three_nodes)
    took = nodes.resumed(run, since, *roles)
    print(f"node of {roles}: {took:.2f} s")
    assert took < 10.0
    nodes.await_worker(run, "worker-2", since)
    assert len({nodes.identity(run, r)["node"] for r in replicas}) == 2


def test_with_snapshots_only(three_nodes, slowly, record_property):
    job = Squares(slowly=str(slowly))
    with cluster().start(job, EPOCHS, seed=2) as run:
        nodes.await_commits(run, MORE)
        for role in ("shard-0.0", "coordinator"):
            record_property(role, killed(run, role))
        slowly.unlink()
        outcome = run.result(60)
    check(outcome, job)
    assert any(
        e.kind == "reign" and e.what["rollback"] and e.what["term"] > 1 for e in outcome.events
    )


def test_a_stopped_worker_and_a_cut_link(three_nodes, slowly):
    import ray

    job = Squares(slowly=str(slowly))
    with cluster().start(job, EPOCHS, seed=4) as run:
        nodes.await_commits(run, MORE)
        stopped = nodes.identity(run, "worker-0")["pid"]
        os.kill(stopped, signal.SIGSTOP)
        since = time.time()
        try:
            assert nodes.resumed(run, since, "worker-0") < 5.0
            nodes.await_commits(run, MORE)
        finally:
            os.kill(stopped, signal.SIGCONT)
        nodes.await_worker(run, "worker-0", since)
        worker = nodes.actor(run, "worker-1")
        ray.get(worker.cut.remote(frozenset(["coordinator"])))
        assert nodes.resumed(run, time.time(), "worker-1") < 5.0
        ray.get(worker.cut.remote(frozenset()))
        run.scale(3)
        nodes.await_worker(run, "worker-2", since)
        slowly.unlink()
        outcome = run.result(60)
    check(outcome, job)


DRIVER = """
import sys
from jobs import Squares
from widemargin.cluster import Cluster
address, folder, slowly, name = sys.argv[1:]
cluster = Cluster(None if address == "none" else address, snapshot_to=folder, snapshot_every=5)
with cluster.start(Squares(slowly=slowly), 20, seed=5, name=name) as run:
    while len([e for e in run.events() if e.kind == "commit"]) < 20:
        pass
    print("under way", run.connection.folder, flush=True)
    run.result()
    print("done", flush=True)
"""


def drive(address, folder, slowly, name):
    command = [sys.executable, "-c", DRIVER, address, str(folder), str(slowly), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def under_way(driver):
    for line in driver.stdout:
        if line.startswith("under way"):
            return line.split()[2]
    raise AssertionError("the driver ended early")


def test_the_driver_dies_and_another_attaches(three_nodes, slowly, tmp_path):
    with drive(three_nodes.address, tmp_path / "run", slowly, "orphan") as driver:
        under_way(driver)
        driver.kill()
    since = time.time()
    with Cluster.attach("orphan") as run:
        before = [event for event in nodes.commits(run) if event.time > since]
        nodes.await_commits(run, 1)
        assert nodes.commits(run)[len(before) - 1].time - since < 10.0
        slowly.unlink()
        outcome = run.result(60)
    check(outcome, Squares(), 20)


def leftovers(folder):
    """Processes that were of a private Ray, and its files."""
    from widemargin.run.cluster.watchdog import users

    return [*users(str(folder)), *([folder] if folder.exists() else [])]


def test_a_private_ray_ends_with_its_killed_driver_and_the_run_goes_on(
    ray_installed, slowly, tmp_path
):
    shared_memory = set(os.listdir("/dev/shm"))
    with drive("none", tmp_path / "run", slowly, "mine") as driver:
        private = Path(under_way(driver)).parent
        assert leftovers(private)
        driver.kill()
    until = time.monotonic() + 10.0
    while leftovers(private) and time.monotonic() < until:
        time.sleep(0.1)
    assert leftovers(private) == []
    assert set(os.listdir("/dev/shm")) <= shared_memory
    slowly.unlink()
    with drive("none", tmp_path / "run", slowly, "mine") as driver:
        private = Path(under_way(driver)).parent
        rest = driver.stdout.read()
    assert driver.returncode == 0 and "done" in rest
    assert leftovers(private) == []
    assert set(os.listdir("/dev/shm")) <= shared_memory
    go_on(tmp_path / "run")


def go_on(folder):
    """The events of both drivers together tell one complete run."""
    import json

    from widemargin.ps.messages import Event
    from widemargin.run.cluster.observer import frozen

    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    events = [Event(kind, at, frozen(what)) for *_, kind, at, what in lines]
    blocks = blocks_of(path_of(events))
    assert len([e for e in events if e.kind == "began"]) == 2
    assert sorted(blocks) == list(range(20))
    assert all(sorted(one) == list(range(24)) for one in blocks.values())
