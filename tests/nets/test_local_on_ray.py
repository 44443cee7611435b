"""Local steps on a real Ray of this machine: rounds once an epoch, also when a worker is killed."""

import pytest

from shared import needs

needs("ray")

from placed_nets import kill_worker, let_workers_import_from_here
from small_nets import BATCH, classes, commits_of, cross_entropy, flat, perceptrons

from widemargin.cluster import Cluster
from widemargin.nets import LocalSGD, Trainer, optimizers

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("default")]
LOCAL = LocalSGD(2, fragments=2)
OVERLAP = LOCAL._replace(overlap=True)


@pytest.fixture(autouse=True)
def workers_find_this_folder(monkeypatch):
    let_workers_import_from_here(monkeypatch)


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
