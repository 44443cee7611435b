"""The coordinator: decisions, deadlines, terms. Whole runs under faults: test_simulate.py."""

import random
from itertools import count

import pytest
from stages import first_snapshot, of_kind, settings, to

from widemargin.ps import leases
from widemargin.ps import messages as m
from widemargin.ps.books import RUNNING
from widemargin.ps.coordinator import Coordinator
from widemargin.ps.policy import Async, RoundRobin, Sync

SEQUENCE = count(1)


class Scene:
    """A coordinator that runs, with shards that hold and apply all, and workers that wait."""

    def __init__(self, workers=2, groups=(("shard-0.0",),), workers_expected=0, **changes):
        self.settings = settings(groups=groups, workers=workers_expected, **changes)
        self.coordinator, self.now, self.sends = Coordinator(self.settings), 0.0, []
        self.members = [name for names in groups for name in names]
        self.tell(m.Tick(), m.Loaded("term", 3), m.Saved("term", 4))
        self.tell(m.Loaded("latest", first_snapshot(self.settings)))
        self.tell(*(self.report(name) for name in self.members))
        self.alive((0, 0))
        for k in range(workers):
            self.wait(f"worker-{k}")

    @property
    def books(self):
        return self.coordinator.books

    def tell(self, *messages):
        """The sends that follow."""
        answer = [s for message in messages for s in self.coordinator.on(message, self.now)]
        self.sends += answer
        return answer

    def report(self, name, life=1):
        term = self.books.term
        return m.Report(name, life, term, True, (0, 0), (0, 0), (), frozenset())

    def alive(self, stamp, whole=True, life=1, names=None):
        term = self.books.term
        return self.tell(
            *(m.Alive(n, life, next(SEQUENCE), term, whole, stamp) for n in names or self.members)
        )

    def wait(self, worker, life=1):
        mine = [lease.lease for lease in of_kind(self.sends_to(worker), m.Lease)]
        return self.tell(m.Beat(worker, life, max(mine, default=None), True))

    def lease_of(self, worker):
        return of_kind([s for s in self.sends if s.to == worker], m.Lease)[-1]

    def push(self, worker, names=None, loss=None):
        """Its gradient arrives at the members."""
        lease = self.lease_of(worker)
        held = [m.Held(n, 1, lease.lease, lease.version, loss) for n in names or self.members]
        return self.tell(*held, m.Pushed(worker, lease.lease, lease.version))

    def commits(self):
        return [e for c in of_kind(self.sends_to(self.members[0]), m.Commit) for e in c.entries]

    def sends_to(self, name):
        return [send for send in self.sends if send.to == name]

    def events(self, kind):
        return [e for e in to(self.sends, m.OBSERVER) if e.kind == kind]


def test_a_term_is_kept_in_storage_before_it_is_used():
    scene = Scene(workers=0)
    saves = of_kind(scene.sends, m.Save)
    assert saves[0] == m.Save(4, "term", 4, m.COORDINATOR)
    assert of_kind(scene.sends, m.Install)[0].key is None
    assert scene.books.phase == "running"


def test_sync_commits_when_the_first_n_are_whole_and_voids_the_rest():
    scene = Scene(workers=3, policy=Sync(backup=1), groups=(("shard-0.0",), ("shard-1.0",)))
    first = sorted(scene.lease_of(worker).block for worker in ("worker-0", "worker-2"))
    scene.push("worker-2")
    scene.push("worker-0", names=["shard-0.0"])
    assert not scene.commits(), "the second is not whole: a group lacks it"
    sends = scene.push("worker-0", names=["shard-1.0"])
    (entry,) = scene.commits()
    assert [block for _, block in entry.parts] == first, "in the order of the blocks"
    lease = scene.lease_of("worker-1")
    late = lease.lease
    assert of_kind(sends, m.Commit)[0].void == (late,)
    assert m.Release(late) in to(sends, "worker-1")
    assert lease.block in [m.Block(0, i) for i in scene.books.ledger.free]


def test_a_commit_tells_the_losses_of_its_parts_in_their_order():
    scene = Scene(workers=3, policy=Sync(backup=1))
    scene.push("worker-1", loss=0.5)
    scene.push("worker-2", loss=0.25)
    (entry,), (event,) = scene.commits(), scene.events("commit")
    assert [block.number for _, block in entry.parts] == [1, 2]
    assert entry.losses == event.what["losses"] == (0.25, 0.5)


def Block(number):
    return m.Block(0, number)


def test_a_synchronous_run_begins_with_all_workers_that_are_expected():
    scene = Scene(workers=1, workers_expected=2)
    assert not of_kind(scene.sends, m.Lease)
    scene.wait("worker-1")
    assert [lease.block.number for lease in of_kind(scene.sends, m.Lease)] == [0, 1]
    scene.push("worker-0")
    assert not scene.commits()
    scene.push("worker-1")
    assert [len(entry.parts) for entry in scene.commits()] == [2]


def test_a_worker_that_does_not_come_holds_nobody_up_for_longer_than_the_deadline():
    scene = Scene(workers=1, workers_expected=2, deadline_s=10.0)
    scene.now = 9.9
    scene.wait("worker-0")
    assert not of_kind(scene.sends, m.Lease)
    scene.now = 10.0
    scene.tell(m.Tick())
    assert [lease.block.number for lease in of_kind(scene.sends, m.Lease)] == [0]


@pytest.mark.parametrize("policy", [Async(), RoundRobin()], ids=repr)
def test_other_policies_begin_with_the_first(policy):
    scene = Scene(workers=1, workers_expected=2, policy=policy)
    assert len(of_kind(scene.sends, m.Lease)) == 1


def test_a_replica_that_is_quiet_is_not_waited_for_while_another_serves():
    scene = Scene(policy=Async(), groups=(("shard-0.0", "shard-0.1"),), quiet_s=2.0)
    scene.push("worker-0", names=["shard-0.0"])
    scene.now = 3.0
    scene.alive((0, 0), names=["shard-0.0"])
    assert not scene.commits(), "the other may be on its way"
    scene.tell(m.Tick())
    assert [entry.version for entry in scene.commits()] == [1]
    assert scene.lease_of("worker-1").sources == (("shard-0.0", "shard-0.1"),)
    scene.wait("worker-0")
    assert scene.lease_of("worker-0").sources == (("shard-0.0",),)
    assert scene.lease_of("worker-0").view == (("shard-0.0", "shard-0.1"),), "it is not dead"
    scene.alive((scene.books.term, 1))
    scene.push("worker-0", names=["shard-0.0"])
    assert len(scene.commits()) == 1, "it counts again"
    scene.push("worker-0", names=["shard-0.1"])
    assert len(scene.commits()) == 2


def test_when_all_replicas_are_quiet_all_are_waited_for():
    scene = Scene(policy=Async(), groups=(("shard-0.0", "shard-0.1"),), quiet_s=2.0)
    scene.push("worker-0", names=["shard-0.0"])
    scene.now = 3.0
    scene.tell(m.Tick())
    assert not scene.commits() and scene.books.phase == "running"


def test_a_worker_that_is_quiet_is_not_waited_for():
    scene = Scene(policy=Sync(), quiet_s=2.0)
    scene.push("worker-0")
    scene.now = 3.0
    scene.tell(m.Beat("worker-0", 1, scene.lease_of("worker-0").lease, False))
    scene.tell(m.Tick())
    (entry,) = scene.commits()
    assert [block for _, block in entry.parts] == [Block(0)]
    assert not scene.events("gone"), "it may come back"
    scene.wait("worker-1")
    scene.wait("worker-0")
    scene.push("worker-0")
    assert len(scene.commits()) == 1, "it is waited for again"


def test_sync_waits_for_no_block_that_nobody_can_take():
    scene = Scene(workers=3, policy=Sync(), n_blocks=3)
    scene.books.roster.hands["worker-0"].durations.append(1.0)
    scene.now = 5.0
    scene.wait("worker-3")
    assert scene.lease_of("worker-3").block == Block(0), "worker-0 is slow with it"
    scene.tell(m.Beat("worker-2", 2, None, False))
    assert list(scene.books.ledger.free) == [1], "of the life that ended; the new one wants none"
    scene.books.roster.hands.pop("worker-2")
    for worker in ("worker-0", "worker-1", "worker-3"):
        scene.push(worker)
    (entry,) = scene.commits()
    assert [block for _, block in entry.parts] == [Block(0), Block(2)]


def test_a_gradient_of_an_older_version_is_never_committed():
    scene = Scene(workers=2, policy=Sync(backup=1))
    scene.push("worker-0")
    stale = scene.lease_of("worker-1").lease
    scene.wait("worker-0")
    for _ in range(2):  # also when the word of it was lost
        answer = scene.tell(m.Held("shard-0.0", 1, stale, 0), m.Pushed("worker-1", stale, 0))
        assert to(answer, "shard-0.0") == to(answer, "worker-1") == [m.Release(stale)]
    assert len(scene.commits()) == 1


def test_async_commits_each_in_order_of_arrival():
    scene = Scene(workers=2, policy=Async())
    scene.push("worker-1")
    scene.push("worker-0")
    assert [entry.parts[0][1] for entry in scene.commits()] == [Block(2), Block(0)]


def test_round_robin_waits_for_the_turn():
    scene = Scene(workers=2, policy=RoundRobin())
    scene.push("worker-1")
    assert not scene.commits()
    scene.push("worker-0")
    assert [entry.parts[0][1] for entry in scene.commits()] == [Block(0), Block(2)]


def test_blocks_are_read_ahead_by_those_who_get_them():
    """However many begin together, and whoever comes later."""
    scene = Scene(workers=1, workers_expected=3, policy=Sync(), n_blocks=12)
    scene.wait("worker-1")
    scene.wait("worker-2")
    names = [f"worker-{k}" for k in range(3)]
    for _ in range(3):
        told = [scene.lease_of(name) for name in names]
        for name in names:
            scene.push(name)
        for name in names:
            scene.wait(name)
        assert [scene.lease_of(name).block for name in names] == [lease.ahead for lease in told]
    scene = Scene(workers=3, policy=Async(), n_blocks=12)
    told = [scene.lease_of(name) for name in names]
    assert len({lease.ahead for lease in told} | {lease.block for lease in told}) == 6


@pytest.mark.parametrize("n_blocks", [12, 11, 10])
def test_synchronous_rounds_take_the_blocks_in_order_whoever_asks_first(n_blocks):
    """So that runs of one seed give the same bytes."""
    names = [f"worker-{k}" for k in range(3)]
    chunks = [tuple(range(n_blocks))[i : i + 3] for i in range(0, n_blocks, 3)]
    for seed in range(20):
        rng = random.Random(seed)
        scene = Scene(workers=3, workers_expected=3, policy=Sync(), n_blocks=n_blocks, epochs=3)
        while scene.books.phase == RUNNING and not scene.books.ledger.done:
            name = rng.choice(names)
            if leases.of(scene.books, name):
                scene.push(name)
            else:
                scene.wait(name)
        told = [tuple(block.number for _, block in entry.parts) for entry in scene.commits()]
        assert told == 3 * chunks


def test_the_blocks_of_a_silent_worker_are_leased_again_within_the_deadline():
    scene = Scene(workers=1)
    assert scene.lease_of("worker-0").block == Block(0)
    for scene.now in (4.0, 8.0, 10.5):
        scene.alive((0, 0))
        scene.wait("worker-1")
        scene.tell(m.Tick())
    assert [e.what["name"] for e in scene.events("gone")] == ["worker-0"]
    assert Block(0) in [m.Block(0, i) for i in scene.books.ledger.free]


def test_a_worker_that_began_anew_has_no_lease():
    scene = Scene(workers=1)
    scene.tell(m.Beat("worker-0", 2, None, True))
    leases = of_kind(scene.sends_to("worker-0"), m.Lease)
    assert [lease.block for lease in leases] == [Block(0), Block(0)]
    assert leases[1].lease > leases[0].lease


def test_a_replica_that_is_gone_is_not_waited_for():
    scene = Scene(workers=1, groups=(("shard-0.0", "shard-0.1"),))
    scene.push("worker-0", names=["shard-0.1"])
    assert not scene.commits()
    scene.now = 6.0
    scene.alive((0, 0), names=["shard-0.1"])
    scene.tell(m.Beat("worker-0", 1, scene.lease_of("worker-0").lease, False))
    scene.now = 11.0
    scene.tell(m.Tick())
    assert scene.books.term == 4 and len(of_kind(scene.sends_to("shard-0.1"), m.Commit)) == 1


def test_a_replica_that_began_anew_gets_a_copy_and_counts_when_it_is_whole():
    scene = Scene(workers=1, groups=(("shard-0.0", "shard-0.1"),))
    sends = scene.alive((0, 0), whole=False, life=2, names=["shard-0.1"])
    assert to(sends, "shard-0.0") == [m.Copy(4, "shard-0.1")]
    assert not scene.books.roster.members["shard-0.1"].full
    scene.alive((0, 0), life=2, names=["shard-0.1"])
    assert scene.books.roster.members["shard-0.1"].full


def test_without_a_replica_a_new_term_begins():
    scene = Scene(workers=1)
    scene.alive((0, 0), whole=False, life=2)
    assert (scene.books.term, scene.books.phase) == (5, "opening")
    scene.tell(m.Saved("term", 5), m.Loaded("latest", scene.books.latest))
    empty = m.Report("shard-0.0", 2, 5, False, (0, 0), (0, 0), (), frozenset())
    sends = scene.tell(empty)
    assert of_kind(sends, m.Install)[0].key == "0-0"
    assert scene.events("reign")[-1].what["rollback"]


def test_terms_of_two_coordinators_are_never_the_same():
    scene = Scene(workers=1)
    scene.alive((0, 0), whole=False, life=2)
    scene.tell(m.Saved("term", 4))
    assert scene.books.phase == "opening", "an answer to an older term confirms nothing"
    sends = scene.tell(m.Loaded("term", 5))
    assert of_kind(sends, m.Save) == [m.Save(6, "term", 6, "coordinator")]
    scene.tell(m.Saved("term", 6), m.Loaded("term", 6))
    assert (scene.books.term, scene.books.stored) == (6, 6)
    scene.tell(m.Report("shard-0.0", 2, 8, False, (0, 0), (0, 0), (), frozenset()))
    assert scene.books.term == 9


def test_a_group_that_stays_away_ends_the_run_with_its_name():
    scene = Scene(workers=0, give_up_s=30.0)
    scene.now = 11.0
    scene.tell(m.Tick(), m.Saved("term", 5), m.Loaded("latest", scene.books.latest))
    scene.now = 42.0
    scene.tell(m.Tick())
    (event,) = scene.events("failed")
    assert "group 0 (shard-0.0) had no living member for 30 s" in event.what["reason"]
    assert "snapshot" in event.what["reason"]


def test_a_gradient_that_always_fails_ends_the_run_with_its_error():
    scene = Scene(workers=1, attempts=2)
    for _ in range(4):  # other blocks come in between
        scene.tell(m.Failed("worker-0", scene.lease_of("worker-0").lease, "ValueError: no"))
        scene.wait("worker-0")
    (event,) = scene.events("failed")
    assert "ValueError: no" in event.what["reason"] and "2 times" in event.what["reason"]
    assert m.Stop() in to(scene.sends, "worker-0")


def test_the_run_is_done_when_its_last_snapshot_is_whole():
    scene = Scene(workers=1, n_blocks=1)
    scene.push("worker-0")
    assert to(scene.sends, "shard-0.0")[-1] == m.Snapshot(4, 1, "4-1")
    scene.alive((4, 1))
    (save,) = of_kind(scene.tell(m.Saved("4-1/shard-0", 4)), m.Save)
    assert save.key == "4-1/manifest" and save.value["ledger"]["epoch"] == 1
    assert scene.books.phase == "running"
    scene.tell(m.Saved("4-1/manifest", 4))
    assert scene.books.phase == "done" and scene.events("done")


def test_a_slow_block_is_tried_by_a_second_worker_and_committed_once():
    scene = Scene(workers=2, policy=Async(), n_blocks=3)
    for scene.now in (1.0, 2.0):  # worker-0 takes a second for a block, worker-1 has the first one
        scene.push("worker-0")
        scene.wait("worker-0")
    scene.now = 3.0
    scene.tell(m.Tick())
    assert scene.lease_of("worker-0").block == scene.lease_of("worker-1").block == Block(2)
    scene.push("worker-0")
    scene.push("worker-1")
    blocks = [block.number for entry in scene.commits() for _, block in entry.parts]
    assert sorted(blocks) == [0, 1, 2]


@pytest.mark.parametrize("bound", [0, 1])
def test_nobody_begins_what_would_come_too_late(bound):
    scene = Scene(workers=3, policy=Async(bound))
    begun = of_kind(scene.sends, m.Lease)
    assert len(begun) == bound + 1


def test_an_epoch_that_the_last_coordinator_ended_is_told_anew_and_kept():
    scene = Scene(workers=0, n_blocks=1, epochs=2)
    scene.tell(m.Loaded("term", 9))  # another coordinator was there: begin after it
    scene.tell(m.Saved("term", 10), m.Loaded("latest", scene.books.latest))
    entry = m.Entry(1, 9, (((9, 1), m.Block(0, 0)),))
    stamp = (9, 1)
    scene.tell(m.Report("shard-0.0", 1, 10, True, stamp, (0, 0), (entry,), frozenset()))
    assert [event.what for event in scene.events("epoch")] == [
        {"term": 10, "epoch": 0, "version": 1}
    ]
    sends = scene.alive(stamp)
    assert of_kind(sends, m.Snapshot)[0].version == 1
