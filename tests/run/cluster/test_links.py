"""Each link of a run is cut in turn, on a real Ray: training goes on within the deadline, what hung
on the link comes back with it, or an error names who does not answer."""

import contextlib
import os
import signal
import time

import nodes
import pytest
from jobs import Squares, blocks_of, path_of, replay

from widemargin.cluster import Cluster
from widemargin.errors import ClusterError

pytestmark = pytest.mark.timeout(120)
DEADLINE_S, MARGIN_S = 1.0, 1.0
EPOCHS, MORE = 30, 8
WATCHED_S = 1.8  # how long a link stays cut: longer than the deadline


@contextlib.contextmanager
def cut(run, one, other):
    """Between these two nothing arrives, either way."""
    import ray

    links = {one: {other}, other: {one}}
    for role, names in links.items():
        ray.get(nodes.actor(run, role).cut.remote(frozenset(names)), timeout=10.0)
    try:
        yield time.time()
    finally:
        for role in links:
            ray.get(nodes.actor(run, role).cut.remote(frozenset()), timeout=10.0)


def longest_pause(run, since):
    """Between commits, from the one before `since` until now."""
    times = [e.time for e in nodes.commits(run)]
    before = max(t for t in times if t <= since)
    marks = [before, *(t for t in times if t > since), time.time()]
    return max(b - a for a, b in zip(marks, marks[1:], strict=False))


def goes_on(run, since):
    time.sleep(max(0.0, since + WATCHED_S - time.time()))
    assert longest_pause(run, since) < DEADLINE_S + MARGIN_S


def await_event(run, since, kind, limit=10.0, **what):
    until = time.monotonic() + limit
    while True:
        for e in run.events():
            if e.kind == kind and e.time > since and what.items() <= e.what.items():
                return e
        assert time.monotonic() < until, [e for e in run.known if e.kind != "commit"][-9:]
        time.sleep(0.05)


def test_each_link_is_cut_in_turn(three_nodes, tmp_path):
    slowly = tmp_path / "slowly"
    slowly.touch()
    job, folder = Squares(slowly=str(slowly)), tmp_path / "run"
    limits = {"deadline_s": DEADLINE_S, "snapshot_every": 10}
    cluster = Cluster(
        address="auto", workers=2, servers=2, replicas=2, snapshot_to=folder, **limits
    )
    with cluster.start(job, EPOCHS, seed=6) as run:
        nodes.await_commits(run, MORE)
        for one, other in [
            ("worker-0", "shard-0.0"),
            ("worker-1", "coordinator"),
            ("shard-0.0", "coordinator"),
        ]:
            with cut(run, one, other) as since:
                goes_on(run, since)
            nodes.await_commits(run, MORE)
        no_copy_between_replicas(run)
        no_way_to_storage(run, folder)
        no_answer_to_the_driver(run)
        slowly.unlink()
        outcome = run.result(60)
    path = path_of(outcome.events)
    blocks = blocks_of(path)
    assert sorted(blocks) == list(range(EPOCHS))
    assert all(sorted(one) == list(range(job.n_blocks)) for one in blocks.values())
    assert (outcome.parameters == replay(job, path).read()).all()


def no_copy_between_replicas(run):
    """A replica that begins anew gets no copy while the link is cut, and gets it afterwards."""
    await_full(run, "shard-1.0")
    with cut(run, "shard-1.0", "shard-1.1"):
        since = nodes.kill(run, "shard-1.1")
        life = nodes.life(run, "shard-1.1")
        goes_on(run, since)
        await_event(run, since, "member", name="shard-1.1", life=life)
        told = [e for e in run.events() if e.kind == "full" and e.time > since]
        assert "shard-1.1" not in [e.what["name"] for e in told]
    mended = time.time()
    await_event(run, since, "full", name="shard-1.1")
    assert time.time() - mended < DEADLINE_S + MARGIN_S
    nodes.await_commits(run, MORE)


def await_full(run, name):
    """Wait until what the last cuts did to a replica is over: it has been heard since."""
    until = time.monotonic() + 10.0
    while name not in run.status()["members"]:
        assert time.monotonic() < until, run.status()
        time.sleep(0.05)


def no_way_to_storage(run, folder):
    """Snapshots fail, with an error that is told; training goes on, and they with the folder."""
    kept, since = folder / "kept", time.time()
    (folder / "snapshots").rename(kept)
    (folder / "snapshots").touch()
    told = await_event(run, since, "storage")
    assert "snapshots" in told.what["error"]
    goes_on(run, since)
    (folder / "snapshots").unlink()
    kept.rename(folder / "snapshots")
    await_event(run, time.time(), "snapshot")


def no_answer_to_the_driver(run):
    """Who asks learns after `give_up_s` who is silent; the run goes on meanwhile."""
    pid, since, plan = nodes.identity(run, "observer")["pid"], time.time(), run.plan
    run.plan = plan._replace(settings=plan.settings._replace(give_up_s=4.0))  # ours alone
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ClusterError, match="observer of the run .* has not answered for 4 s"):
            run.status()
    finally:
        os.kill(pid, signal.SIGCONT)
        run.plan = plan
    nodes.await_commits(run, MORE)  # those that it was not told while it stood still come first
    goes_on(run, since)
