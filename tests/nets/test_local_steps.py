"""Nets with local steps: the same in this process, in virtual time and on Ray; what is refused."""

import numpy as np
import pytest
from small_nets import BATCH, N, classes, commits_of, cross_entropy, flat, perceptrons, torch

from widemargin.nets import Downpour, LocalSGD, Trainer, Virtual, optimizers
from widemargin.nets.local import plan_of
from widemargin.ps.policy import Async, RoundRobin, Sync

ADAM = optimizers.AdamW(lr=0.01)
SGD = optimizers.SGD(lr=0.1)
MEAN = optimizers.SGD(lr=1.0)


def trained(local, cluster=None, optimizer=ADAM, epochs=4, events=None, **options):
    callbacks = [] if events is None else [events.append]
    trainer = Trainer(perceptrons, cross_entropy, optimizer, cluster, local=local, **options)
    trainer.fit(classes(), epochs, BATCH, callbacks=callbacks)
    return flat(trainer.model())


@pytest.mark.parametrize("policy", [Sync(), Async(), RoundRobin()], ids=repr)
def test_one_worker_is_the_loop_of_this_process_bit_for_bit(policy):
    local = LocalSGD(2)
    many = trained(local, Virtual(servers=3, policy=policy))
    assert many.tobytes() == trained(local).tobytes()


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_overlap_is_the_same_in_this_process_bit_for_bit(mix):
    local = LocalSGD(2, overlap=True, mix=mix)
    many = trained(local, Virtual(servers=3))
    assert many.tobytes() == trained(local).tobytes()
    assert many.tobytes() != trained(LocalSGD(2)).tobytes()


def test_one_worker_that_averages_with_nobody_is_plain_training():
    """θ − (θ − θ_local) is θ_local, to rounding; the state of AdamW goes on between rounds."""
    for steps in (1, 2, 3):
        found = trained(LocalSGD(steps, MEAN))
        np.testing.assert_allclose(found, trained(None), rtol=1e-4, atol=1e-5)


def test_one_worker_of_downpour_is_plain_training():
    for pushes, pulls in [(1, 1), (2, 4), (3, 3)]:
        found = trained(Downpour(pushes, pulls), optimizer=SGD)
        np.testing.assert_allclose(found, trained(None, optimizer=SGD), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "local, cluster",
    [
        (LocalSGD(2), Virtual(3, 2)),
        (LocalSGD(2, fragments=2), Virtual(3, 2)),
        (LocalSGD(2, fragments=2, overlap=True), Virtual(3, 2)),
        (LocalSGD(2), Virtual(3, 2, policy=Async(3))),
        (Downpour(2, 4), Virtual(3, 2, policy=Async())),
        (Downpour(2, 2, lr=0.05), Virtual(3, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_many_workers_learn_and_use_each_round_once_an_epoch(local, cluster):
    events = []
    optimizer = SGD if isinstance(local, Downpour) else ADAM
    first = flat(perceptrons())
    found = trained(local, cluster, optimizer, epochs=6, events=events)
    rounds = 6 if getattr(local, "fragments", 1) == 2 else 3
    counted = sorted(block for blocks in commits_of(events) for block in blocks)
    assert [tuple(block) for block in counted] == [(e, r) for e in range(6) for r in range(rounds)]
    assert not np.array_equal(first, found) and loss_of(found) < loss_of(first_of())


def first_of():
    from widemargin.nets.job import built

    return flat(built(perceptrons, 0))


def loss_of(vector):
    """The mean loss over the data at these parameters."""
    module, start = perceptrons().eval(), 0
    with torch.no_grad():
        for parameter in module.parameters():
            stop = start + parameter.numel()
            parameter.copy_(torch.from_numpy(vector[start:stop]).reshape(parameter.shape))
            start = stop
        x, y = classes().tensors
        return float(cross_entropy(module(x), y))


def test_a_round_walks_through_all_its_samples():
    from widemargin.nets.job import NetJob
    from widemargin.nets.samples import source_of
    from widemargin.ps.messages import Block

    job = plan_of(LocalSGD(4), SGD, None).of(
        NetJob.create(perceptrons, cross_entropy, source_of(classes(), BATCH), plan_of(
            LocalSGD(4), SGD, None).inner)
    )  # fmt: skip
    assert job.n_blocks == 2
    assert [b.number for r in range(2) for b in job.batches(Block(0, r))] == list(range(6))
    task = job.open()
    parts = [job.first(keys) for keys in [_all(job)]]
    assert sum(task.compute(Block(0, r), parts, None).n for r in range(2)) == N
    task.close()


def _all(job):
    from widemargin.ps.job import Range

    return Range(0, job.n_keys)


@pytest.mark.parametrize(
    "local, optimizer, told",
    [
        (LocalSGD(0), SGD, "sync_every must be a whole number of at least 1, got 0"),
        (LocalSGD(10, fragments=3), SGD, "fragments=3 must divide sync_every=10"),
        (LocalSGD(2, overlap=True, mix=1.0), SGD, "mix must be at least 0 and below 1, got 1.0"),
        (Downpour(2, 3), SGD, "pull_every must be a multiple of push_every=2, got 3"),
        (Downpour(2, 2), ADAM, "lr is needed with AdamW.*Downpour"),
        (Downpour(1, 1, lr=-1.0), SGD, "lr must be above 0 and finite, got -1.0"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(local, optimizer, told):
    with pytest.raises(ValueError, match=told):
        Trainer(perceptrons, cross_entropy, optimizer, local=local)


def test_policies_that_do_not_go_with_it_are_refused():
    with pytest.raises(TypeError, match="local=3 is none"):
        Trainer(perceptrons, cross_entropy, SGD, local=3)
    with pytest.raises(ValueError, match="needs policy=Sync"):
        trained(LocalSGD(2, fragments=2), Virtual(2, 2, policy=Async()))
    with pytest.raises(ValueError, match="overlap=True needs policy=Sync"):
        trained(LocalSGD(2, overlap=True), Virtual(2, 2, policy=Async()))
    with pytest.raises(ValueError, match="must divide servers=1"):
        trained(LocalSGD(2, fragments=2))


def test_a_checkpoint_of_other_rounds_is_refused(tmp_path):
    trained(LocalSGD(2), epochs=1, checkpoint=tmp_path)
    with pytest.raises(Exception, match="local|fingerprint|another"):
        trained(LocalSGD(3), epochs=2, checkpoint=tmp_path)
