"""Workers of several processes: the leader, its partitions, and what they say to each other."""

import numpy as np
import pytest
from stages import of_kind, settings, to

from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.leader import Leader
from widemargin.ps.parameters import Update
from widemargin.ps.partition import Partition
from widemargin.ps.partition_work import PartitionCarrier, own_updates
from widemargin.ps.simulate_trial import Plan, scenario, trial

GROUPS = (("shard-0.0",), ("shard-1.0", "shard-1.1"), ("shard-2.0",))
OWNER, READS = (0, 1, 1), ((0, 2), (1, 2))  # group 2 is read by both
BLOCK = m.Block(0, 1)
QUIT = m.Quit


def run():
    return settings(groups=GROUPS, owner=OWNER, reads=READS)


def lease(number=1, version=0, exact=False):
    return m.Lease((1, number), BLOCK, version, exact, GROUPS, GROUPS, None)


def standing(gang=7, life=5, **changes):
    plain = m.Standing(1, life, gang, gang > 0, None, (), None, "")
    return plain._replace(**changes)


@pytest.fixture
def leader():
    """In its life 7, its partner in life 5 and all opened."""
    made = Leader(run(), "worker-0", 7)
    made.on(m.Place("here:1"), 0.0)
    made.on(standing(gang=0), 0.0)
    made.on(m.Opened(""), 0.0)
    made.on(standing(), 0.0)
    return made


@pytest.fixture
def partition():
    """In the gang 7."""
    made = Partition(run(), "worker-0/1", 5)
    (opens, _) = made.on(m.Summons(7, (7, 5), "here:1"), 0.0)
    assert opens.message == m.Open(7, 1, "here:1")
    made.on(m.Opened(""), 0.0)
    return made


def test_a_gang_begins_when_all_are_there_and_works_when_all_have_opened():
    leader = Leader(run(), "worker-0", 7)
    (meet, left) = of_kind(leader.on(m.Tick(), 0.0), (m.Meet, m.Left))
    assert meet == m.Meet() and left == m.Left("worker-0", 6, "began anew")
    assert leader.on(m.Place("here:1"), 0.0) == []
    sends = leader.on(standing(gang=0), 0.0)
    assert of_kind(sends, m.Open) == [m.Open(7, 0, "here:1")]
    assert to(sends, "worker-0/1") == [m.Summons(7, (7, 5), "here:1")]
    leader.on(m.Opened(""), 0.0)
    assert of_kind(leader.on(m.Tick(), 0.1), m.Beat) == []
    leader.on(standing(), 0.2)
    assert of_kind(leader.on(m.Tick(), 0.3), m.Beat)[0].waiting


def test_each_pulls_what_it_reads_and_small_words_alone_pass_through_the_leader(leader):
    pulls = leader.on(lease(), 1.0)
    asked = [(s.to, s.message.worker) for s in pulls if isinstance(s.message, m.Pull)]
    assert sorted(asked) == [
        ("shard-0.0", "worker-0"),
        (asked[1][0], "worker-0/1"),
        ("shard-2.0", "worker-0"),
        ("shard-2.0", "worker-0/1"),
    ]
    assert asked[1][0] in GROUPS[1]
    leader.on(m.Params(0, (1, 1), 3, "θ0"), 1.0)
    leader.on(m.Params(2, (1, 1), 4, "θ2"), 1.0)
    sends = leader.on(standing(lease=(1, 1), versions=((1, 5), (2, 6))), 1.0)
    (own,) = of_kind(sends, m.Compute)
    assert own.values == ("θ0", "θ2") and own.version == 3
    assert of_kind(sends, m.Proceed) == [m.Proceed(7, (1, 1), BLOCK, 3, (None, None))]
    assert leader.on(m.Computed((1, 1), ("g0",)), 2.0) == []
    sends = leader.on(standing(made=(1, 1)), 2.0)
    assert to(sends, "shard-0.0") == [m.Push("worker-0", (1, 1), BLOCK, 3, "g0")]
    assert to(sends, "worker-0/1") == [
        m.Deliver(7, (1, 1), 3, ("shard-1.0", "shard-1.1", "shard-2.0"))
    ]
    assert of_kind(sends, m.Pushed) == [m.Pushed("worker-0", (1, 1), 3)]


def test_a_partition_keeps_computes_and_pushes_as_it_is_told(partition):
    partition.on(m.Params(1, (1, 1), 5, "θ1"), 1.0)
    order = m.Proceed(7, (1, 1), BLOCK, 3, (None, None))
    assert partition.on(order, 1.0) == [], "a group is missing"
    (told,) = of_kind(partition.on(m.Params(2, (1, 1), 6, "θ2"), 1.0), m.Standing)
    assert told.versions == ((1, 5), (2, 6)) and told.lease == (1, 1)
    assert partition.on(order._replace(gang=6), 1.0) == [], "of another gang"
    (compute,) = of_kind(partition.on(order, 1.0), m.Compute)
    assert compute.values == ("θ1", "θ2")
    assert partition.on(order, 1.1) == [], "once is enough"
    assert partition.on(m.Deliver(7, (1, 1), 3, ("shard-1.1",)), 1.2) == [], "not made"
    (told,) = of_kind(partition.on(m.Computed((1, 1), ("g1", "g2")), 1.5), m.Standing)
    assert told.made == (1, 1)
    deliver = m.Deliver(7, (1, 1), 3, ("shard-1.1", "shard-2.0"))
    pushes = partition.on(deliver, 1.6)
    assert [(s.to, s.message.update) for s in pushes] == [("shard-1.1", "g1"), ("shard-2.0", "g2")]
    assert partition.on(deliver._replace(lease=(1, 0)), 1.6) == [], "of an older lease"


def test_an_older_lease_or_gang_moves_nobody(leader, partition):
    leader.on(lease(2), 1.0)
    leader.on(m.Params(0, (1, 2), 0, "θ0"), 1.0)
    leader.on(m.Params(2, (1, 2), 0, "θ2"), 1.0)
    assert not of_kind(leader.on(standing(lease=(1, 1), versions=((1, 0), (2, 0))), 1.0), m.Compute)
    assert leader.on(standing(gang=6), 1.0) == []
    partition.on(m.Params(1, (1, 2), 0, "new"), 1.0)
    partition.on(m.Params(1, (1, 1), 0, "old"), 1.0)
    assert partition.values[1].values == "new"
    assert partition.on(m.Summons(6, (6, 5), "there:1"), 1.0) == []


def test_what_all_read_is_of_one_version_where_it_must_be(leader):
    leader.on(lease(version=3, exact=True), 1.0)
    leader.on(m.Params(0, (1, 1), 3, "θ0"), 1.0)
    leader.on(m.Params(2, (1, 1), 3, "θ2"), 1.0)
    sends = leader.on(standing(lease=(1, 1), versions=((1, 3), (2, 4))), 1.0)
    assert not of_kind(sends, m.Compute) and of_kind(sends, m.Beat)[0].waiting


def test_a_partner_that_began_anew_or_is_silent_ends_the_gang(leader, partition):
    sends = leader.on(standing(gang=0, life=6), 1.0)
    assert to(sends, m.COORDINATOR) == [m.Left("worker-0", 7, "worker-0/1 began anew")]
    assert of_kind(sends, QUIT) and leader.on(m.Tick(), 2.0) == []
    assert of_kind(partition.on(m.Summons(8, (), ""), 1.0), QUIT)
    lonely = Partition(run(), "worker-0/1", 5)
    lonely.on(m.Summons(7, (7, 5), "here:1"), 0.0)
    assert not of_kind(lonely.on(m.Tick(), 90.0), QUIT), "who loads may take ten deadlines"
    (end,) = of_kind(lonely.on(m.Tick(), 110.0), QUIT)
    assert end == QUIT("worker-0 was silent")


def test_a_leader_whose_partner_is_silent_gives_its_lease_back(leader):
    leader.on(lease(), 1.0)
    assert not of_kind(leader.on(m.Tick(), 9.0), QUIT)
    sends = leader.on(m.Tick(), 11.0)
    assert to(sends, m.COORDINATOR) == [m.Left("worker-0", 7, "worker-0/1 was silent")]


def test_errors_end_the_block_and_those_of_opening_the_gang(leader):
    leader.on(lease(), 1.0)
    leader.on(m.Params(0, (1, 1), 0, "θ0"), 1.0)
    leader.on(m.Params(2, (1, 1), 0, "θ2"), 1.0)
    leader.on(standing(lease=(1, 1), versions=((1, 0), (2, 0))), 1.0)
    leader.on(m.Broken((1, 1), "KeyError: 1"), 1.0)
    sends = leader.on(standing(made=(1, 1), error="KeyError: 1"), 1.0)
    assert of_kind(sends, m.Failed) == [m.Failed("worker-0", (1, 1), "KeyError: 1")]
    assert of_kind(sends, m.Beat)[0].waiting and not of_kind(sends, QUIT)
    closed = Leader(run(), "worker-0", 7)
    closed.on(m.Place("here:1"), 0.0)
    closed.on(standing(gang=0), 0.0)
    closed.on(m.Opened("ValueError: no"), 0.0)
    assert of_kind(closed.on(m.Tick(), 0.1), m.Beat)[0].waiting
    sends = closed.on(lease(), 0.2)
    assert of_kind(sends, m.Failed) == [m.Failed("worker-0", (1, 1), "ValueError: no")]
    assert of_kind(sends, QUIT)


class Task:
    def __init__(self, result):
        self.result = result

    def compute(self, block, parts, keys):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_a_gradient_is_cut_into_the_groups_of_its_partition():
    parts = (Range(0, 2), Range(2, 4), Range(4, 7))
    values = np.arange(5.0)[:, None]
    one, two = own_updates(Update(None, values, 3.0), parts[1:])
    assert one.values.ravel().tolist() == [0, 1] and two.values.ravel().tolist() == [2, 3, 4]
    keys = np.array([3, 4, 6])
    one, two = own_updates(Update(keys, values[:3], 3.0), parts[1:])
    assert one.keys.tolist() == [3] and two.values.ravel().tolist() == [1, 2]
    ask = m.Compute((1, 1), BLOCK, 0, ("θ1", "θ2"), (None, None))
    for error, kind in (
        (ConnectionError("gone"), m.Severed),
        (KeyError("no"), m.Broken),
        ("a result of a wrong form", m.Broken),
    ):
        assert isinstance(PartitionCarrier(Task(error), parts, (1, 2)).on(ask), kind)


def test_one_process_draws_the_runs_that_it_always_drew():
    plan = "Plan(workers=8, servers=3, policy='all', replicas=None, backup=None, "
    assert Plan().drawn == f"{plan}staleness=None, faults=None)"
    assert scenario(Plan(), 3).setup.settings.owner == ()
    assert trial(Plan(2, 1, partitions=3), 0).violations == []
