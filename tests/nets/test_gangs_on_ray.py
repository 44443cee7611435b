"""Replicas of two processes on a real Ray: all together, and one process of them killed."""

import time

import pytest

from shared import needs

needs("ray")

from cut_nets import deep, failing, points
from placed_nets import kill_worker, let_workers_import_from_here
from small_nets import commits_of, cross_entropy, flat

from widemargin.cluster import Async, Cluster, Sync
from widemargin.errors import TrainingError
from widemargin.nets import Partitions, Trainer, optimizers
from widemargin.nets.samples import order_of, samples_of, source_of

BATCH, N = 12, 44
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def one_ray():
    """For all tests here: what is to be imported in its processes is known to them."""
    from widemargin.run.cluster import private

    patch = pytest.MonkeyPatch()
    let_workers_import_from_here(patch)
    connection = private.connect(None, 6, 100 << 20)
    yield
    private.end(connection)
    patch.undo()


def trained(cluster, build=deep, epochs=3, callbacks=(), data=None, layers=(3, 3)):
    rule, cut = optimizers.Adagrad(lr=0.05), Partitions(len(layers), layers)
    trainer = Trainer(build, cross_entropy, rule, cluster, microbatch=5, partitions=cut)
    rows = trainer.fit(data or points(), epochs, BATCH, points(20), callbacks=callbacks)
    return trainer, rows


def test_one_replica_of_two_processes_is_the_net_in_partitions_here():
    """Two servers, one of which each process never talks with: bit for bit."""
    here, _ = trained(None)
    placed, _ = trained(Cluster(workers=1, servers=1, policy=Sync()))
    assert flat(placed.model()).tobytes() == flat(here.model()).tobytes()


def test_all_together_and_a_killed_process_costs_its_replica_alone():
    events, killed = [], []

    def kill(event):
        events.append(event)
        done = sum(event.kind == "commit" for event in events)
        came = [e for e in events if e.kind == "worker" and e.what["name"] == "worker-1"]
        if done >= 20 and came and not killed:
            kill_worker("worker-1/1")
            killed.append(time.time())
        return bool(killed) and len(came) > 1 and event.kind == "epoch"

    cluster = Cluster(workers=2, servers=2, policy=Async(max_staleness=4), deadline_s=2.0)
    trained(cluster, epochs=4000, callbacks=[kill])
    gone = [e.what["name"] for e in events if e.kind == "gone"]
    assert set(gone) == {"worker-1"}
    first, *_, again = [e for e in events if e.kind == "worker" and e.what["name"] == "worker-1"]
    assert again.time - killed[0] < 15.0
    between = [e for e in events if e.kind == "commit" and killed[0] < e.time < again.time]
    assert len(between) > 5, "the other replica goes on"
    assert all(e.what["late"] <= 4 for e in events if e.kind == "commit")
    commits, source, samples = commits_of(events), source_of(points(), BATCH), {}
    whole = max(e.what["epoch"] for e in events if e.kind == "epoch") + 1
    for block in sum(commits, []):
        chosen = samples_of(source, order_of(source, 0, block.epoch), block.number)
        samples.setdefault(block.epoch, []).extend(chosen.tolist())
    assert all(sorted(samples[epoch]) == list(range(N)) for epoch in range(whole))
    print(f"back after {again.time - killed[0]:.1f} s, {len(between)} commits meanwhile")


@pytest.mark.slow
def test_an_error_of_a_layer_ends_the_run_with_its_words():
    with pytest.raises(TrainingError, match="failed 3 times.*KeyError: 'too large'"):
        trained(Cluster(workers=1, servers=1), failing, data=points(large=[40]), layers=(2, 1))
