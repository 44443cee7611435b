"""The training loss of an epoch: what commits tell, against the losses done by hand."""

import numpy as np
import pytest
from small_nets import BATCH, N, classes, cross_entropy, normed, perceptrons, torch

from widemargin.nets import Downpour, LocalSGD, Serial, Trainer, Virtual, optimizers
from widemargin.nets.job import NetJob
from widemargin.nets.losses import Losses
from widemargin.nets.optimizers import rule_of
from widemargin.nets.samples import source_of
from widemargin.ps.messages import Block, Event
from widemargin.ps.policy import Async, Sync

STILL = optimizers.SGD(lr=1e-30)  # so that each loss is that of the beginning


def commit(*losses, epoch=0, first=0):
    parts = tuple(((1, k), Block(epoch, first + k)) for k in range(len(losses)))
    return Event("commit", 0.0, {"parts": parts, "losses": losses})


def test_the_mean_is_over_samples():
    losses = Losses(size=4, n=10)  # blocks of 4, 4 and 2
    losses.on(commit(1.0, 2.0))
    losses.on(commit(5.0, first=2))
    assert losses.mean(0) == pytest.approx((4 * 1.0 + 4 * 2.0 + 2 * 5.0) / 10)
    losses.on(commit(3.0, epoch=1))
    assert losses.mean(1) == 3.0 and losses.mean(2) is None


def test_done_again_counts_once_and_unknown_not_at_all():
    losses = Losses(size=4, n=12)
    losses.on(commit(9.0, None, 3.0))
    losses.on(commit(1.0))
    assert losses.mean(0) == 2.0
    losses.on(Event("commit", 0.0, {"parts": (((1, 1), Block(0, 1)),)}))  # of one that tells none
    losses.on(Event("epoch", 0.0, {"epoch": 0}))
    assert losses.mean(0) == 2.0
    losses.forget(1)
    assert losses.mean(0) is None


def by_hand(build, optimizer):
    """Mean over an epoch's samples of the loss of a task of one process, θ as it is at first."""
    job = NetJob.create(build, cross_entropy, source_of(classes(), BATCH), rule_of(optimizer))
    task, theta = job.open(), [job.first(range(0, job.n_keys))]
    made = [task.compute(Block(0, k), theta, None) for k in range(job.n_blocks)]
    task.close()
    assert sum(update.n for update in made) == N
    return sum(update.n * update.loss for update in made) / N


@pytest.mark.parametrize(
    "engine, options",
    [
        (None, {}),
        (Serial(compression="int8"), {}),
        (Virtual(workers=3, policy=Sync(backup=1)), {}),
        (Virtual(workers=3, servers=2, replicas=2, policy=Async()), {}),
        (None, {"local": LocalSGD(sync_every=4)}),
        (
            Virtual(workers=2, servers=2),
            {"local": LocalSGD(sync_every=4, fragments=2, overlap=True)},
        ),
        (Virtual(workers=2, policy=Async()), {"local": Downpour(push_every=2, pull_every=2)}),
    ],
    ids=["serial", "int8", "sync", "async", "local", "overlap", "downpour"],
)
def test_every_engine_tells_the_loss_of_every_block(engine, options):
    trainer = Trainer(perceptrons, cross_entropy, STILL, engine, **options)
    (row,) = trainer.fit(classes(), 1, BATCH)
    assert row.values == {}
    assert row.train_loss == pytest.approx(by_hand(perceptrons, STILL), rel=1e-6)


def test_each_loss_is_from_before_its_step():
    """One block an epoch: the loss of epoch e is that of the parameters after e steps."""
    torch.manual_seed(0)
    trainer = Trainer(normed, cross_entropy, optimizers.SGD(lr=0.5))
    rows = trainer.fit(classes(), 3, N)
    losses = [row.train_loss for row in rows]
    assert losses == sorted(losses, reverse=True)
    (first,) = Trainer(normed, cross_entropy, STILL).fit(classes(), 1, N)
    assert losses[0] == pytest.approx(first.train_loss, rel=1e-6)


def test_it_is_kept_and_told(tmp_path):
    told = []
    trainer = Trainer(perceptrons, cross_entropy, STILL, checkpoint=tmp_path)
    rows = trainer.fit(classes(), 2, BATCH, callbacks=[told.append])
    evaluated = [event.what["train_loss"] for event in told if event.kind == "evaluated"]
    assert evaluated == [row.train_loss for row in rows]
    again = Trainer(perceptrons, cross_entropy, STILL, checkpoint=tmp_path)
    assert again.fit(classes(), 3, BATCH)[:2] == rows
    assert np.isfinite(again.fit(classes(), 3, BATCH)[2].train_loss)
