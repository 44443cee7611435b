"""Nets on a real Ray of this machine: the same result, errors told, a killed worker replaced."""

import numpy as np
import pytest

from shared import needs

needs("ray")

from placed_nets import kill_worker, let_workers_import_from_here
from small_nets import (
    BATCH,
    N,
    classes,
    commits_of,
    cross_entropy,
    flat,
    normed,
    perceptrons,
    torch,
    torch_loop,
)

from widemargin.cluster import Cluster
from widemargin.errors import TrainingError
from widemargin.nets import Trainer, optimizers
from widemargin.nets.samples import order_of, samples_of, source_of

SGD = optimizers.SGD(lr=0.1, momentum=0.9)
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("default")]


@pytest.fixture(autouse=True)
def workers_find_this_folder(monkeypatch):
    let_workers_import_from_here(monkeypatch)


def trained(cluster, build=perceptrons, epochs=3, callbacks=(), **options):
    trainer = Trainer(build, cross_entropy, SGD, cluster, **options)
    rows = trainer.fit(classes(), epochs, BATCH, classes(20, 1), callbacks=callbacks)
    return trainer, rows


def test_one_worker_on_ray_is_the_serial_loop_and_goes_on_from_it(tmp_path):
    """Two epochs here, two more on Ray from the same folder: four epochs here, bit for bit."""
    serial, rows = trained(None, normed, 4)
    trained(None, normed, 2, checkpoint=tmp_path)
    cluster = Cluster(workers=1, servers=1)
    placed, again = trained(cluster, normed, 4, checkpoint=tmp_path)
    assert flat(placed.model()).tobytes() == flat(serial.model()).tobytes()
    assert [row.version for row in again][:2] == [6, 12]
    known = {row.version: row.values for row in rows}
    assert all(row.values == known[row.version] for row in again)
    assert [row.train_loss for row in again] == [row.train_loss for row in rows]


def test_sync_on_ray_is_torch_on_the_mean_and_uses_every_sample_once():
    """Although a worker is killed half-way."""
    events, killed = [], []

    def kill(event):
        events.append(event)
        if event.kind == "commit" and event.what["stamp"][1] == 8 and not killed:
            killed.append(kill_worker("worker-1"))

    trainer, _ = trained(Cluster(workers=2, servers=2, deadline_s=1.0), epochs=6, callbacks=[kill])
    assert killed
    commits, source, samples = commits_of(events), source_of(classes(), BATCH), {}
    for block in sum(commits, []):
        chosen = samples_of(source, order_of(source, 0, block.epoch), block.number)
        samples.setdefault(block.epoch, []).extend(chosen.tolist())
    assert {e: sorted(s) for e, s in samples.items()} == {e: list(range(N)) for e in range(6)}
    expected = torch_loop(perceptrons, classes(), lambda p: torch.optim.SGD(p, 0.1, 0.9), commits)
    np.testing.assert_allclose(flat(trainer.model()), expected, rtol=1e-4, atol=1e-5)


def broken():
    return torch.nn.Linear(5, 3)


def test_an_error_of_the_module_ends_the_run_on_ray_with_its_words():
    with pytest.raises(TrainingError, match="failed 3 times: RuntimeError: mat1"):
        trained(Cluster(workers=1, servers=1), broken)
