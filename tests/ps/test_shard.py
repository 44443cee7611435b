"""A shard applies what is committed, in order, once; and tells what it holds."""

import pytest
from stages import entry, of_kind, restore, settings, to

from widemargin.ps import messages as m
from widemargin.ps.shard import Shard

WORKER = "worker-0"


@pytest.fixture
def shard():
    """Whole, at version 0 of term 1."""
    shard = Shard(settings(), "shard-0.0", 1, restore)
    sends = shard.on(m.Install(1, (0, 0), (0, 0), (), "0-0"), 0.0)
    assert to(sends, m.STORAGE) == [m.Load("0-0/shard-0", "shard-0.0")]
    shard.on(m.Loaded("0-0/shard-0", {"total": 0.0, "order": ()}), 0.0)
    return shard


def push(number, value, term=1, version=0):
    return m.Push(WORKER, (term, number), m.Block(0, number), version, value)


def commit(*entries, void=(), stable=0, term=1):
    return m.Commit(term, entries, void, stable)


def test_a_push_is_held_and_applied_once_however_often_it_comes(shard):
    for _ in range(3):
        assert of_kind(shard.on(push(1, 2.0), 0.0), m.Held) == [m.Held("shard-0.0", 1, (1, 1), 0)]
    for _ in range(2):
        shard.on(commit(entry(1, 1)), 0.0)
    assert (shard.store.total, shard.version) == (2.0, 1)


def test_the_loss_of_a_gradient_is_told_with_it(shard):
    told = shard.on(push(1, 2.0)._replace(loss=0.5), 0.0)
    assert of_kind(told, m.Held) == [m.Held("shard-0.0", 1, (1, 1), 0, 0.5)]


def test_commits_that_arrive_out_of_order_are_applied_in_order(shard):
    for number in (1, 2):
        shard.on(push(number, float(number)), 0.0)
    shard.on(commit(entry(2, 2)), 0.0)
    assert shard.version == 0
    shard.on(commit(entry(1, 1)), 0.0)
    assert shard.store.order == [1.0, 2.0]


def test_a_commit_whose_gradient_is_lacking_is_not_applied_in_part(shard):
    shard.on(push(1, 1.0), 0.0)
    sends = shard.on(commit(entry(1, 1, 2)), 0.0)
    assert of_kind(sends, m.Lost) == [m.Lost("shard-0.0", 1, 1, 0)]
    assert shard.store.total == 0.0
    shard.on(push(2, 5.0), 0.0)
    shard.on(commit(entry(1, 1, 2)), 0.0)
    assert shard.store.total == 6.0


def test_void_gradients_are_forgotten_but_not_those_of_a_commit(shard):
    for number in (1, 2):
        shard.on(push(number, 1.0), 0.0)
    shard.on(commit(entry(2, 2)), 0.0)  # version 1 has not come yet
    shard.on(m.Release((1, 1)), 0.0)
    shard.on(m.Release((1, 2)), 0.0)
    assert set(shard.held) == {(1, 2)}


def test_what_is_held_for_long_is_told_again(shard):
    """After a deadline (here of 10 s), as the word that it is void may have been lost."""
    told = lambda now: of_kind(shard.on(m.Tick(), now), m.Held)  # noqa: E731
    assert told(0.0) == []
    shard.on(push(1, 1.0), 1.0)
    assert told(9.0) == told(10.0) == told(19.0) == []
    shard.on(push(2, 1.0), 19.5)
    assert told(20.0) == [m.Held("shard-0.0", 1, (1, 1), 0)]
    shard.on(m.Release((1, 1)), 25.0)
    assert told(29.0) == [] and told(30.0) == [m.Held("shard-0.0", 1, (1, 2), 0)]


def test_a_pull_waits_for_its_version(shard):
    assert not of_kind(shard.on(m.Pull(WORKER, (1, 2), 1, None), 0.0), m.Params)
    shard.on(push(1, 3.0), 0.0)
    (params,) = of_kind(shard.on(commit(entry(1, 1)), 0.0), m.Params)
    assert (params.version, params.values.tolist()) == (1, [3.0])


@pytest.mark.parametrize(
    "message",
    [commit(entry(1, 1), term=1), push(7, 1.0, term=1), m.Install(1, (0, 0), (0, 0), (), None)],
)
def test_what_an_older_term_says_is_void(shard, message):
    shard.on(push(1, 1.0), 0.0)
    shard.on(m.Inquire(2), 0.0)
    shard.on(message, 0.0)
    assert shard.version == 0 and (1, 7) not in shard.held


def test_all_who_pull_everything_get_the_same_array(shard):
    for worker in ("worker-0", "worker-1"):
        shard.on(m.Pull(worker, (1, 2), 1, None), 0.0)
    shard.on(push(1, 3.0), 0.0)
    one, other = of_kind(shard.on(commit(entry(1, 1)), 0.0), m.Params)
    assert one.values is other.values


def test_a_report_tells_where_it_stands_and_what_it_holds(shard):
    for number in (1, 2):
        shard.on(push(number, 1.0), 0.0)
    shard.on(commit(entry(1, 1)), 0.0)
    (report,) = of_kind(shard.on(m.Inquire(2), 0.0), m.Report)
    assert (report.stamp, report.base, report.term) == ((1, 1), (0, 0), 2)
    assert report.log == (entry(1, 1),) and report.held == {(1, 2)}


def test_a_new_term_goes_on_from_entries_that_lack(shard):
    for number in (1, 2):
        shard.on(push(number, float(number)), 0.0)
    shard.on(m.Inquire(2), 0.0)
    shard.on(m.Install(2, (1, 1), (0, 0), (entry(1, 1),), None), 0.0)
    assert (shard.store.total, shard.term, shard.held) == (1.0, 2, {})


def test_who_stands_off_the_way_of_a_new_term_is_whole_no_longer(shard):
    shard.on(push(1, 1.0), 0.0)
    shard.on(commit(entry(1, 1)), 0.0)
    shard.on(m.Install(2, (0, 0), (0, 0), (), None), 0.0)
    assert shard.store is None


def test_a_copy_makes_an_equal(shard):
    for number in (1, 2):
        shard.on(push(number, float(number)), 0.0)
    shard.on(commit(entry(1, 1)), 0.0)
    (state,) = to(shard.on(m.Copy(1, "shard-0.1"), 0.0), "shard-0.1")
    other = Shard(settings(groups=(("shard-0.0", "shard-0.1"),)), "shard-0.1", 5, restore)
    held = of_kind(other.on(state, 0.0), m.Held)
    assert [h.lease for h in held] == [(1, 2)]
    for one in (shard, other):
        one.on(commit(entry(2, 2)), 0.0)
    assert other.store.order == shard.store.order == [1.0, 2.0]
    assert (other.stamp, other.base, other.log) == (shard.stamp, shard.base, shard.log)


def test_a_snapshot_is_of_its_version_and_none_other(shard):
    for number in (1, 2, 3):
        shard.on(push(number, 1.0), 0.0)
    shard.on(m.Snapshot(1, 2, "1-2"), 0.0)
    assert not to(shard.on(commit(entry(1, 1)), 0.0), m.STORAGE)
    (save,) = to(shard.on(commit(entry(2, 2), entry(3, 3)), 0.0), m.STORAGE)
    assert save.key == "1-2/shard-0" and save.value["total"] == 2.0
    assert not to(shard.on(m.Snapshot(1, 2, "1-2"), 0.0), m.STORAGE), "the version has passed"


def test_a_snapshot_trims_the_log(shard):
    for number in (1, 2):
        shard.on(push(number, 1.0), 0.0)
    shard.on(commit(entry(1, 1), entry(2, 2)), 0.0)
    shard.on(commit(stable=1), 0.0)
    assert (list(shard.log), shard.base) == ([2], (1, 1))


def test_a_snapshot_that_is_gone_is_asked_for_again_until_a_newer_term_says_more(shard):
    shard.on(m.Install(2, (1, 5), (1, 5), (), "1-5"), 0.0)
    shard.on(m.Loaded("1-5/shard-0", None), 0.0)
    assert shard.store is None
    assert to(shard.on(m.Tick(), 2.0), m.STORAGE) == [m.Load("1-5/shard-0", "shard-0.0")]
    shard.on(m.Install(3, (2, 6), (2, 6), (), "2-6"), 3.0)
    shard.on(m.Loaded("2-6/shard-0", {"total": 1.0, "order": (1.0,)}), 3.0)
    assert (shard.store.total, shard.stamp) == (1.0, (2, 6))
