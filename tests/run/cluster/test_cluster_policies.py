"""Without faults: what each policy computes, on a real Ray of three nodes."""

import numpy as np
import pytest
from jobs import Squares, blocks_of, path_of, replay, serial

from widemargin.cluster import Async, Cluster, RoundRobin, Sync
from widemargin.errors import ClusterError

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("three_nodes")]
JOB, EPOCHS = Squares(), 5


def exact(outcome, job=JOB, epochs=EPOCHS):
    """Each block once an epoch; returns the path of commits."""
    path = path_of(outcome.events)
    blocks = blocks_of(path)
    assert sorted(blocks) == list(range(epochs))
    assert all(sorted(one) == list(range(job.n_blocks)) for one in blocks.values())
    return path


def test_one_worker_equals_the_serial_loop_bit_for_bit():
    outcome = Cluster(address="auto", workers=1, policy=Async()).run(JOB, EPOCHS, seed=3)
    exact(outcome)
    expected = serial(JOB, EPOCHS, seed=3)
    np.testing.assert_array_equal(outcome.parameters, expected.read())
    np.testing.assert_array_equal(outcome.average, expected.read_average())
    assert outcome.version == EPOCHS * JOB.n_blocks


@pytest.mark.parametrize(
    "policy", [Sync(), Async(max_staleness=1), RoundRobin()], ids=["sync", "async", "round_robin"]
)
def test_two_workers(policy):
    outcome = Cluster(address="auto", workers=2, policy=policy).run(JOB, EPOCHS, seed=3)
    path = exact(outcome)
    if isinstance(policy, Sync):
        averaged = replay(JOB, path)
        np.testing.assert_array_equal(outcome.parameters, averaged.read())
        assert max(len(what["parts"]) for what in path) == 2
    else:
        assert all(len(what["parts"]) == 1 for what in path)
        assert max(what["late"] for what in path) <= 1
    best = JOB.objective(serial(JOB, EPOCHS, seed=3).read())
    assert abs(JOB.objective(outcome.parameters) - best) <= 1e-3


def test_a_failing_gradient_ends_the_run_with_its_error():
    job = JOB._replace(fails=7)
    with pytest.raises(ClusterError, match=r"Block\(epoch=0, index=7\) failed 3 times.*cannot be"):
        Cluster(address="auto", workers=1).run(job, 1)


def test_an_unknown_run_names_those_there_are():
    with pytest.raises(ClusterError, match="no run 'nobody' is under way.*none"):
        Cluster.attach("nobody")
