"""Local steps on a real Ray of this machine: rounds once an epoch, also when a worker is killed."""

import os
import signal
from pathlib import Path

import pytest

from shared import needs

needs("ray")

from small_nets import BATCH, classes, commits_of, cross_entropy, flat, perceptrons

from widemargin.cluster import Cluster
from widemargin.nets import LocalSGD, Trainer, optimizers

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("default")]
LOCAL = LocalSGD(2, fragments=2)
OVERLAP = LOCAL._replace(overlap=True)


@pytest.fixture(autouse=True)
def workers_find_this_folder(monkeypatch):
    here = Path(__file__).parent
    places = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))


def kill_worker(role):
    """SIGKILL the process that carries a role of the run under way."""
    import ray
    from ray.util import list_named_actors

    (space,) = {a["namespace"] for a in list_named_actors(all_namespaces=True) if a["name"] == role}
    pid = ray.get(ray.get_actor(role, namespace=space).identity.remote(), timeout=10)["pid"]
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("local", [LOCAL, pytest.param(OVERLAP, marks=pytest.mark.slow)])
def test_streaming_on_ray_counts_each_round_once_though_a_worker_is_killed(local):
    events, killed = [], []

    def watch(event):
        events.append(event)
        if event.kind == "commit" and event.what["stamp"][1] >= 6 and not killed:
            killed.append("worker-1")
            kill_worker(*killed)

    cluster = Cluster(workers=2, servers=2)
    optimizer = optimizers.AdamW(lr=0.01)
    trainer = Trainer(perceptrons, cross_entropy, optimizer, cluster, local=local)
    rows = trainer.fit(classes(), 12, BATCH, classes(60), callbacks=[watch])
    assert killed
    counted = sorted(tuple(block) for blocks in commits_of(events) for block in blocks)
    assert counted == [(epoch, r) for epoch in range(12) for r in range(6)]
    assert rows[-1].values["loss"] < rows[0].values["loss"]
    assert len(flat(trainer.model())) == 123
