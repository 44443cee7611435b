"""A worker: one lease at a time, pulled, computed, pushed, again when it is not answered."""

import pytest
from stages import of_kind, settings, to

from widemargin.ps import messages as m
from widemargin.ps.worker import Worker

GROUPS = (("shard-0.0", "shard-0.1"), ("shard-1.0",))


def lease(number, version=0, exact=False):
    block = m.Block(0, number)
    return m.Lease((1, number), block, version, exact, GROUPS, GROUPS, m.Block(0, number + 1))


def params(group, number=1, version=0):
    return m.Params(group, (1, number), version, f"values of {group}")


@pytest.fixture
def worker():
    return Worker(settings(groups=GROUPS), "worker-0", 1)


def begun(worker, **kwargs):
    """A worker that computes lease 1."""
    worker.on(lease(1, **kwargs), 0.0)
    worker.on(params(0), 0.0)
    return worker.on(params(1), 0.0)


def test_from_lease_to_push(worker):
    pulls = worker.on(lease(1), 0.0)
    assert len(pulls) == 2 and {p.message.keys for p in pulls} == {None}
    assert worker.on(params(1), 0.0) == []
    sends = worker.on(params(0), 0.0)
    (compute,) = of_kind(sends, m.Compute)
    assert compute.values == ("values of 0", "values of 1")
    assert of_kind(sends, m.Prefetch) == [m.Prefetch(m.Block(0, 2))]
    sends = worker.on(m.Computed((1, 1), ("g0", "g1")), 1.0)
    assert [s.to for s in sends] == ["shard-0.0", "shard-0.1", "shard-1.0", m.COORDINATOR]
    assert [p.update for p in of_kind(sends, m.Push)] == ["g0", "g0", "g1"]
    (beat,) = of_kind(worker.on(m.Release((1, 1)), 1.0), m.Beat)
    assert beat.waiting


def test_pulls_and_words_of_pushes_are_repeated_by_another_way(worker):
    first = worker.on(lease(1), 0.0)
    worker.on(params(1), 0.1)
    (second,) = [s for s in worker.on(m.Tick(), 1.1) if isinstance(s.message, m.Pull)]
    assert second.message == first[0].message
    assert {first[0].to, second.to} == {"shard-0.0", "shard-0.1"}
    worker.on(params(0), 2.3)
    worker.on(m.Computed((1, 1), ("g0", "g1")), 3.0)
    assert not of_kind(worker.on(m.Tick(), 3.5), m.Pushed)
    assert of_kind(worker.on(m.Tick(), 4.1), m.Pushed)
    sends = worker.on(m.Missing((1, 1), ("shard-0.1",)), 4.2)
    assert [p.update for p in of_kind(to_sends(sends, "shard-0.1"), m.Push)] == ["g0"]


def to_sends(sends, name):
    return [send for send in sends if send.to == name]


def test_a_lease_seen_before_is_not_begun_again(worker):
    begun(worker)
    worker.on(m.Computed((1, 1), ("g0", "g1")), 1.0)
    worker.on(m.Release((1, 1)), 1.0)
    assert worker.on(lease(1), 1.0) == []
    assert worker.on(lease(2), 1.0)


def test_in_sync_parameters_of_another_version_end_the_lease(worker):
    worker.on(lease(1, version=3, exact=True), 0.0)
    worker.on(params(0, version=3), 0.0)
    (beat,) = of_kind(worker.on(params(1, version=4), 0.0), m.Beat)
    assert beat.waiting and beat.lease == (1, 1)


def test_in_async_a_gradient_is_as_old_as_its_oldest_parameters(worker):
    worker.on(lease(1, version=3), 0.0)
    worker.on(params(0, version=5), 0.0)
    worker.on(params(1, version=4), 0.0)
    (push, *_) = of_kind(worker.on(m.Computed((1, 1), ("g0", "g1")), 1.0), m.Push)
    assert push.version == 4


def test_a_gradient_nobody_wants_is_cancelled_and_the_next_lease_waits_for_it(worker):
    begun(worker)
    sends = worker.on(m.Release((1, 1)), 0.5)
    assert of_kind(sends, m.Cancel) == [m.Cancel((1, 1))]
    assert not of_kind(sends, m.Beat)[0].waiting
    assert not of_kind(worker.on(lease(2), 0.6), m.Pull)
    assert of_kind(worker.on(m.Computed((1, 1), ("g0", "g1")), 1.0), m.Pull)


def test_an_error_of_the_gradient_is_told(worker):
    begun(worker)
    sends = worker.on(m.Broken((1, 1), "ValueError: no"), 1.0)
    assert to(sends, m.COORDINATOR)[0] == m.Failed("worker-0", (1, 1), "ValueError: no")
    assert of_kind(sends, m.Beat)[0].waiting


def test_sparse_workers_ask_which_keys_a_block_touches():
    worker = Worker(settings(groups=GROUPS, sparse=True), "worker-0", 1)
    assert to(worker.on(lease(1), 0.0), m.LOCAL) == [m.Touch(m.Block(0, 1))]
    pulls = of_kind(worker.on(m.Touched(m.Block(0, 1), ("k0", "k1")), 0.0), m.Pull)
    assert [p.keys for p in pulls] == ["k0", "k1"]


def test_a_stopped_worker_takes_nothing_more(worker):
    worker.on(m.Stop(), 0.0)
    assert worker.on(lease(1), 0.0) == []
