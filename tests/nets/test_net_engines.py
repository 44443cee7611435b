"""Where a net is trained does not matter: one worker is the serial loop, which is torch's own."""

import numpy as np
import pytest
from small_nets import (
    BATCH,
    N,
    Tied,
    classes,
    commits_of,
    cross_entropy,
    flat,
    normed,
    one_by_one,
    perceptrons,
    torch,
    torch_loop,
)

from widemargin.nets import Trainer, Virtual, optimizers
from widemargin.nets.engines import Serial
from widemargin.nets.samples import order_of, samples_of, source_of
from widemargin.ps.compression import BFloat16, Int8, TopK
from widemargin.ps.policy import Async, RoundRobin, Sync

PAIRS = {
    "sgd": (optimizers.SGD(lr=0.1, weight_decay=0.01), torch.optim.SGD),
    "momentum": (optimizers.SGD(lr=0.1, momentum=0.9), torch.optim.SGD),
    "nesterov": (optimizers.SGD(lr=0.05, momentum=0.8, nesterov=True), torch.optim.SGD),
    "adagrad": (optimizers.Adagrad(lr=0.05, lr_decay=0.01), torch.optim.Adagrad),
    "adam": (optimizers.Adam(lr=0.01, betas=(0.8, 0.95)), torch.optim.Adam),
    "adamw": (optimizers.AdamW(lr=0.01, weight_decay=0.1), torch.optim.AdamW),
}
POLICIES = [Sync(), Sync(1), Async(), Async(2), RoundRobin()]


def trained(build, optimizer, cluster=None, epochs=3, events=None, **options):
    callbacks = [] if events is None else [events.append]
    trainer = Trainer(build, cross_entropy, optimizer, cluster, **options)
    trainer.fit(classes(), epochs, BATCH, callbacks=callbacks)
    return flat(trainer.model())


def theirs(ours, kind):
    names = kind([torch.zeros(1, requires_grad=True)]).defaults
    arguments = {k: v for k, v in ours._asdict().items() if k in names}
    return lambda parameters: kind(parameters, **arguments)


@pytest.mark.parametrize("name", PAIRS)
def test_one_worker_is_the_loop_of_torch(name):
    ours, kind = PAIRS[name]
    expected = torch_loop(perceptrons, classes(), theirs(ours, kind), one_by_one(3))
    np.testing.assert_allclose(trained(perceptrons, ours), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("policy", [Sync(), Async(), Async(0), RoundRobin()])
@pytest.mark.parametrize("build", [perceptrons, Tied, normed])
def test_one_worker_and_three_servers_are_the_serial_loop_bit_for_bit(policy, build):
    optimizer = optimizers.Adam(lr=0.01)
    serial = trained(build, optimizer)
    many = trained(build, optimizer, Virtual(servers=3, replicas=2, policy=policy))
    assert many.tobytes() == serial.tobytes()


@pytest.mark.parametrize("name", PAIRS)
def test_sync_is_torch_on_the_mean_of_the_gradients(name):
    ours, kind = PAIRS[name]
    events = []
    found = trained(perceptrons, ours, Virtual(4, 2), events=events)
    commits = commits_of(events)
    assert max(map(len, commits)) == 4
    expected = torch_loop(perceptrons, classes(), theirs(ours, kind), commits)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_sample_counts_once_an_epoch(policy):
    events = []
    trained(perceptrons, optimizers.SGD(lr=0.1), Virtual(4, 2, policy=policy), events=events)
    source, samples = source_of(classes(), BATCH), {}
    for block in sum(commits_of(events), []):
        chosen = samples_of(source, order_of(source, 0, block.epoch), block.number)
        samples.setdefault(block.epoch, []).extend(chosen.tolist())
    assert {e: sorted(s) for e, s in samples.items()} == {e: list(range(N)) for e in range(3)}
    assert samples[0] != samples[1]


@pytest.mark.parametrize("policy", POLICIES)
def test_virtual_time_comes_out_the_same_again(policy):
    results = [
        trained(perceptrons, optimizers.Adam(lr=0.01), Virtual(4, 2, policy=policy))
        for _ in range(2)
    ]
    assert results[0].tobytes() == results[1].tobytes()


def test_tied_weights_count_once_and_frozen_ones_stay():
    optimizer = optimizers.SGD(lr=0.1, momentum=0.9)
    trainer = Trainer(Tied, cross_entropy, optimizer, Virtual(2, 2), seed=3)
    trainer.fit(classes(), 2, BATCH)
    model, first = trainer.model(), Trainer(Tied, cross_entropy, optimizer, seed=3)
    assert model.second.weight is model.first.weight
    first.fit(classes(), 1, N)
    assert torch.equal(model.frozen.weight, first.model().frozen.weight)
    expected = torch_loop(
        Tied, classes(), lambda p: torch.optim.SGD(p, 0.1, 0.9), one_by_one(2), seed=3
    )
    found = trained(Tied, optimizer, epochs=2, seed=3)
    assert len(found) == 6 * 6 + 6 + 6 + 6 * 3 + 3
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("size", [1, 5, 16, 100])
def test_microbatches_add_up_to_the_block(size):
    build, optimizer = Tied, optimizers.SGD(lr=0.1)  # no dropout, which is drawn for each piece
    whole, pieces = trained(build, optimizer), trained(build, optimizer, microbatch=size)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


def test_the_average_is_that_of_the_steps():
    seen, optimizer, alpha = [], optimizers.SGD(lr=0.1), 0.9
    for epochs in range(1, 7):
        commits = one_by_one(1)[:epochs]
        seen.append(torch_loop(Tied, classes(), lambda p: torch.optim.SGD(p, 0.1), commits))
    average = torch_loop(Tied, classes(), lambda p: torch.optim.SGD(p, 0.1), [])
    for theta in seen:
        average = alpha * average + (1 - alpha) * theta
    found = trained(Tied, optimizer, epochs=1, average=alpha)
    np.testing.assert_allclose(found, average, rtol=2e-5, atol=2e-6)
    assert np.abs(found - seen[-1]).max() > 1e-3


def test_bfloat16_computes_nearly_the_same():
    optimizer = optimizers.SGD(lr=0.1)
    single, half = trained(Tied, optimizer), trained(Tied, optimizer, precision="bfloat16")
    assert half.dtype == np.float32 and not np.array_equal(single, half)
    np.testing.assert_allclose(half, single, atol=0.02)


def test_the_generators_and_threads_of_the_caller_stay_as_they_are():
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(perceptrons, optimizers.SGD(lr=0.1), epochs=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


CODECS = ["bf16", BFloat16(stochastic=True, feedback=True), Int8(32), TopK(0.05)]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("policy", [Sync(), Async(1)], ids=repr)
def test_one_worker_that_compresses_is_the_serial_loop_that_does(codec, policy):
    optimizer = optimizers.SGD(lr=0.1)
    serial = trained(perceptrons, optimizer, Serial(groups=2, compression=codec))
    many = trained(
        perceptrons, optimizer, Virtual(servers=2, replicas=2, policy=policy, compression=codec)
    )
    assert serial.tobytes() == many.tobytes()
    assert np.abs(serial - trained(perceptrons, optimizer)).max() > 1e-5  # it was compressed


def test_with_feedback_a_twentieth_of_the_entries_learns_as_much():
    def loss(codec):
        engine = Virtual(workers=3, policy=Sync(), compression=codec)
        trainer = Trainer(perceptrons, cross_entropy, optimizers.SGD(lr=0.2), engine, average=0.9)
        trainer.fit(classes(), 80, BATCH)
        return trainer.evaluate(classes())["loss"]

    whole, fed, starved = loss(None), loss(TopK(0.05)), loss(TopK(0.05, feedback=False))
    assert abs(fed - whole) < 0.1 * whole < starved - whole
