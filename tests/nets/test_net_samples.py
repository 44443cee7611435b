"""Blocks of samples, batches, and what is seen of a run."""

import builtins
import re
import sys
import types

import numpy as np
import pytest
from small_nets import BATCH, N, classes, cross_entropy, perceptrons, torch

from widemargin.nets import NetJob, Trainer, Virtual, optimizers
from widemargin.nets.forward import outputs_of, pair, pieces, size_of
from widemargin.nets.mlflow import mlflow
from widemargin.nets.optimizers import rule_of
from widemargin.nets.progress import Tally
from widemargin.nets.samples import order_of, read, samples_of, source_of
from widemargin.nets.tensorboard import tensorboard
from widemargin.ps.job import Range
from widemargin.ps.messages import Block, Event
from widemargin.ps.policy import Async

SGD = optimizers.SGD(lr=0.1)


class Plain(torch.utils.data.Dataset):
    """The same samples as `classes`, one at a time."""

    def __init__(self):
        self.x, self.y = classes().tensors

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], int(self.y[i])


class Several(Plain):
    """And many at a time."""

    def __getitems__(self, indices):
        return [self[i] for i in indices]


@pytest.mark.parametrize("dataset", [Plain(), Several(), [Plain()[i] for i in range(N)]])
def test_batches_are_those_of_the_collate(dataset):
    source = source_of(dataset, BATCH)
    for number in range(source.n_blocks):
        chosen = samples_of(source, order_of(source, 3, 1), number)
        x, y = read(source, chosen)
        expected = read(source_of(classes(), BATCH), chosen)
        assert torch.equal(x, expected[0]) and torch.equal(y, expected[1])


def test_blocks_cut_a_permutation_of_each_epoch():
    source = source_of(classes(), BATCH)
    orders = [order_of(source, 0, epoch) for epoch in range(3)]
    for order in orders:
        blocks = [samples_of(source, order, k) for k in range(source.n_blocks)]
        assert [len(block) for block in blocks] == [16] * 5 + [10]
        assert sorted(np.concatenate(blocks)) == list(range(N))
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[1], order_of(source, 0, 1))
    assert not np.array_equal(orders[0], order_of(source, 1, 0))


def test_of_a_loader_dataset_batch_size_and_collate_are_taken():
    def collate(samples):
        x, y = torch.utils.data.default_collate(samples)
        return 2 * x, y

    loader = torch.utils.data.DataLoader(Plain(), batch_size=30, shuffle=True, collate_fn=collate)
    source = source_of(loader)
    assert (source.batch_size, source.n_blocks) == (30, 3)
    assert torch.equal(read(source, [4, 2])[0], 2 * Plain().x[[4, 2]])
    assert source_of(loader, 10).batch_size == 10


def test_sources_that_cannot_be_leased_are_refused():
    weighted = torch.utils.data.WeightedRandomSampler([1.0] * N, N)
    with pytest.raises(ValueError, match="DataLoader with WeightedRandomSampler draws samples"):
        source_of(torch.utils.data.DataLoader(Plain(), 10, sampler=weighted))
    with pytest.raises(TypeError, match="must be map-style, .* got generator"):
        source_of((i for i in range(3)), 4)
    with pytest.raises(
        ValueError, match="batch_size must be a whole number of at least 1, got None"
    ):
        source_of(classes())
    with pytest.raises(ValueError, match="at least 1 sample, got 0"):
        source_of([], 4)
    with pytest.raises(ValueError, match=r"must be a pair \(inputs, targets\), got 3 parts"):
        pair((1, 2, 3))


def test_inputs_may_be_several_or_named():
    module = torch.nn.Bilinear(2, 3, 4)
    a, b = torch.ones(5, 2), torch.ones(5, 3)
    expected = module(a, b)
    assert torch.equal(outputs_of(module, (a, b)), expected)
    assert torch.equal(outputs_of(module, {"input2": b, "input1": a}), expected)
    batch = ({"input1": a, "input2": b}, torch.zeros(5))
    assert size_of(batch) == 5
    cut = [(size_of(piece), share) for piece, share in pieces(batch, 5, 2)]
    assert cut == [(2, 0.4), (2, 0.4), (1, 0.2)]


def test_reading_ahead_changes_nothing():
    job = NetJob.create(perceptrons, cross_entropy, source_of(Plain(), BATCH), rule_of(SGD))
    theta, task = job.first(Range(0, job.n_keys)), job.open()
    try:
        expected = [task.compute(Block(0, k), [theta], None) for k in range(4)]
        for k in range(5):
            task.prefetch(Block(0, k))
        assert len(task.read_ahead) == 2
        for k in (3, 0, 1, 2):
            found = task.compute(Block(0, k), [theta[:7], theta[7:]], None)
            assert found.values.tobytes() == expected[k].values.tobytes()
    finally:
        task.close()


def test_a_gradient_stays_as_it_is_while_someone_holds_it():
    job = NetJob.create(perceptrons, cross_entropy, source_of(Plain(), BATCH), rule_of(SGD))
    theta, task = job.first(Range(0, job.n_keys)), job.open()
    try:
        held = task.compute(Block(0, 0), [theta], None).values[3:20]
        before = held.copy()
        for k in range(1, 5):
            task.compute(Block(0, k), [theta], None)
        assert np.array_equal(held, before)
    finally:
        task.close()


def test_parameters_of_another_size_are_refused():
    job = NetJob.create(perceptrons, cross_entropy, source_of(Plain(), BATCH), rule_of(SGD))
    task = job.open()
    try:
        with pytest.raises(ValueError, match=f"has {job.n_keys} trainable parameters, the run has"):
            task.compute(Block(0, 0), [np.zeros((5, 1), np.float32)], None)
    finally:
        task.close()


# what is seen


def test_the_tally_counts_what_events_tell():
    events = []
    trainer = Trainer(perceptrons, cross_entropy, SGD, Virtual(3, 2, policy=Async()))
    trainer.fit(classes(), 2, BATCH, callbacks=[events.append])
    tally = Tally(6, BATCH)
    for k, event in enumerate(events):
        tally.on(event, 0.1 * k)
    assert (tally.committed, tally.version, len(tally.workers), len(tally.servers)) == (
        12,
        12,
        3,
        2,
    )
    assert tally.late > 0 and tally.dropped == tally.requeued == 0
    tally.on(Event("void", 0.0, {}), 9.0)
    tally.on(Event("gone", 0.0, {"name": "worker-1"}), 9.0)
    tally.on(Event("lost", 0.0, {"name": "shard-0.0"}), 9.0)
    text = tally.lines(2)
    assert "epoch 2/2" in text and "requeued 1  workers 2  servers 1" in text
    assert float(re.search(r"([\d.]+) steps/s", text)[1]) > 0


def test_progress_is_drawn_on_standard_error(capsys):
    trainer = Trainer(perceptrons, cross_entropy, SGD, progress=True)
    trainer.fit(classes(), 2, BATCH, classes(10, 1), metrics=["accuracy"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "committed 12  dropped 0  requeued 0  workers 1  servers 1" in told.err
    assert "accuracy" in told.err
    trainer.progress = None
    trainer.fit(classes(), 1, BATCH)
    assert capsys.readouterr().err == ""


class Writer:
    """Stands for the writer of a package that need not be installed."""

    def __init__(self, folder):
        self.folder, self.scalars, self.closed = folder, [], False
        Writer.last = self

    def add_scalar(self, name, value, step):
        self.scalars.append((name, step))

    def close(self):
        self.closed = True


def test_tensorboard_gets_scalars(monkeypatch, tmp_path):
    fake = types.ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    trainer = Trainer(perceptrons, cross_entropy, SGD)
    trainer.fit(classes(), 2, BATCH, classes(10, 1), callbacks=[tensorboard(tmp_path)])
    assert Writer.last.folder == str(tmp_path) and Writer.last.closed
    assert {("loss", 6), ("loss", 12), ("staleness", 1)} <= set(Writer.last.scalars)


def test_mlflow_gets_metrics(monkeypatch):
    logged, fake = [], types.ModuleType("mlflow")
    fake.log_metrics = lambda values, step: logged.append((sorted(values), step))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    trainer = Trainer(perceptrons, cross_entropy, SGD)
    trainer.fit(classes(), 2, BATCH, classes(10, 1), callbacks=[mlflow()])
    assert logged == [(["loss", "train_loss"], 6), (["loss", "train_loss"], 12)]


@pytest.mark.parametrize(
    "make, name", [(lambda: tensorboard("x"), "tensorboard"), (mlflow, "mlflow")]
)
def test_a_missing_writer_says_how_to_get_it(monkeypatch, make, name):
    real = builtins.__import__

    def absent(module, *args, **options):
        if module.split(".")[-1] == name:
            raise ImportError(module)
        return real(module, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=f"pip install {name}"):
        tensorboard("x") if name == "tensorboard" else mlflow()


def test_without_torch_the_package_says_what_to_install(monkeypatch):
    import widemargin.nets

    monkeypatch.setattr(widemargin.nets, "_find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs torch, .* pip install 'widemargin\[nets\]'"):
        widemargin.nets.Trainer  # noqa: B018
