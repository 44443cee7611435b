"""A net in K partitions does the steps of the whole net, whatever K is."""

import os
import signal
import time

import cut_nets
import numpy as np
import pytest
from cut_nets import BATCH, MICRO, points
from small_nets import cross_entropy, torch

from widemargin.errors import PartitionLost, TrainingError
from widemargin.nets import Partitions, optimizers
from widemargin.nets.fitting import Judge
from widemargin.nets.gang import Gang, Processes
from widemargin.nets.job import NetJob
from widemargin.nets.layers import fill
from widemargin.nets.optimizers import rule_of
from widemargin.nets.partitioned import PartitionTask
from widemargin.nets.partitions import planned
from widemargin.nets.pieces import put
from widemargin.nets.samples import source_of
from widemargin.nets.segments import PartitionJudge
from widemargin.ps.job import Range
from widemargin.ps.kept import in_memory
from widemargin.ps.messages import Block
from widemargin.ps.parameters import Parameters

OPTIMIZERS = {
    "sgd": optimizers.SGD(lr=0.1),
    "momentum": optimizers.SGD(lr=0.1, momentum=0.9),
    "adam": optimizers.Adam(lr=0.01),
}
SLICED = {"1": "columns", "3": "rows"}


@pytest.fixture(scope="module")
def processes():
    """Processes that serve all gangs of this file: each imports torch, which takes seconds."""
    held = Processes(3)
    yield held
    held.close()


def job_of(build, partitions, optimizer="adam", data=None, **options):
    source = source_of(points() if data is None else data, BATCH)
    rule = rule_of(OPTIMIZERS[optimizer], None)
    return planned(partitions, build, cross_entropy, source, rule, microbatch=MICRO, **options)


def stepped(job, task, epochs=2):
    """The loss of every block and the parameters after it, by name; servers by the job's ranges."""
    parts = job.ranges(job.partitions + 1)
    shards = [Parameters.create(job.rule, job.first(part), part.start) for part in parts]
    losses, found = [], []
    for epoch in range(epochs):
        for number in range(job.n_blocks):
            update = task.compute(Block(epoch, number), [s.read() for s in shards], None)
            for shard, (start, stop) in zip(shards, parts, strict=True):
                shard.apply([update._replace(values=update.values[start:stop])])
            losses.append(task.loss)
            found.append(named(job, np.concatenate([s.read() for s in shards])))
    task.close()
    return losses, found


def named(job, vector):
    net = job.drawn()
    fill(net, range(len(net.layers)), job.seed, job.init)
    put(net, job.keys.pieces, in_memory(vector))
    return {name: p.detach().numpy().copy() for name, p in net.whole.named_parameters()}


def whole(build, optimizer="adam", **options):
    """The net in one process."""
    job = job_of(build, Partitions(1, **options), optimizer)
    return stepped(job, PartitionTask(job, 0, None))


def close(found, expected):
    losses, parameters = found
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    assert len(losses) == len(parameters) == 8
    for ours, theirs in zip(parameters, expected[1], strict=True):
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layers", [(2, 4), (1, 3, 2)])
def test_a_pipeline_does_the_steps_of_the_whole(processes, layers, optimizer):
    job = job_of(cut_nets.deep, Partitions(len(layers), layers), optimizer)
    close(stepped(job, Gang(job, processes)), whole(cut_nets.deep, optimizer))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("count", [2, 3])
def test_sliced_layers_do_the_steps_of_the_whole(processes, count, optimizer):
    job = job_of(cut_nets.wide, Partitions(count, sliced=SLICED), optimizer)
    assert job.keys.shared.stop == 6 * 8 + 8 + 8 + 8 * 3 + 3
    close(stepped(job, Gang(job, processes)), whole(cut_nets.wide, optimizer))


def test_tuples_frozen_and_shared_parameters_pass(processes):
    job = job_of(cut_nets.Branched, Partitions(3, (2, 3, 1), split=cut_nets.branches))
    found = stepped(job, Gang(job, processes))
    close(found, whole(cut_nets.Branched, split=cut_nets.branches))
    last = found[1][-1]
    first = named(job, np.concatenate([job.first(part) for part in job.ranges(1)]))
    assert np.array_equal(last["picked.frozen.weight"], first["picked.frozen.weight"])
    assert not np.array_equal(last["first.weight"], first["first.weight"])


def test_an_error_of_the_user_is_told_and_the_gang_goes_on(processes):
    data = points(large=[3])
    job = job_of(cut_nets.failing, Partitions(3, (1, 1, 1)), data=data)
    gang, values = Gang(job, processes), [job.first(part) for part in job.ranges(3)]
    failed = []
    for number in range(4):
        try:
            assert gang.compute(Block(0, number), values, None).n in (12, 8)
        except TrainingError as error:
            failed.append(str(error))
    assert failed == ["partition 1: KeyError: 'too large'"]
    gang.close()


def test_a_loss_that_is_not_finite_is_told(processes):
    job = job_of(cut_nets.deep, Partitions(2, (2, 4)))
    gang, values = Gang(job, processes), [job.first(part) for part in job.ranges(2)]
    values[1][-1] = np.inf
    with pytest.raises(ArithmeticError, match="loss is nan in block 0 of epoch 0"):
        gang.compute(Block(0, 0), values, None)
    values[1][-1] = 0.0
    assert np.isfinite(gang.compute(Block(0, 1), values, None).values).all()
    gang.close()


def test_a_process_that_hangs_is_noticed(processes):
    """The last test of this file: it ends the processes."""
    job = job_of(cut_nets.deep, Partitions(3, (1, 3, 2)))
    gang, values = Gang(job, processes, deadline_s=2.0), [job.first(p) for p in job.ranges(3)]
    gang.compute(Block(0, 0), values, None)
    os.kill(processes.processes[1].pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(PartitionLost, match="is gone"):
        gang.compute(Block(0, 1), values, None)
    assert time.monotonic() - began < 15.0
    with pytest.raises(PartitionLost, match="have ended"):
        gang.compute(Block(0, 2), values, None)


@pytest.mark.parametrize("kind", [Judge, PartitionJudge])
def test_epochs_are_judged_on_as_many_threads_as_a_worker_has(kind):
    job = job_of(cut_nets.deep, 1, threads=3)
    if kind is Judge:
        job = NetJob.create(cut_nets.deep, cross_entropy, job.source, job.rule, threads=3)
    metrics = {"threads": lambda outputs, targets: torch.get_num_threads()}
    before = torch.get_num_threads()
    judge = kind(job, source_of(points(20), BATCH), metrics, 0)
    row = judge.row(0, 1, in_memory(job.first(Range(0, job.n_keys))[:, 0]))
    assert row.values["threads"] == 3 and torch.get_num_threads() == before
