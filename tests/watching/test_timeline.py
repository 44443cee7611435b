"""The state that events add up to."""

import json

import pytest
from told import GROUPS, N_BLOCKS, Teller, lines, story

from widemargin.ps.messages import Event
from widemargin.ps.simulate_trial import Plan, run, scenario
from widemargin.watching.sources import Folder, all_events
from widemargin.watching.state import Facts, plain
from widemargin.watching.timeline import Timeline


def state_of(events, facts=None, now=None):
    timeline = Timeline(facts)
    timeline.extend(events)
    return timeline.state(now)


def party(state, name):
    return next(party for party in state.parties if party.name == name)


@pytest.fixture
def running():
    teller = Teller(workers=3)
    teller.begin(epochs=2, n_blocks=N_BLOCKS, policy="Sync()", name="a", n_samples=400)
    return teller


def test_nothing_told_yet():
    state = state_of([], Facts(name="a"))
    assert (state.name, state.phase, state.begun, state.parties) == ("a", "starting", None, ())
    assert state.series.commits == () and state.rate.blocks == 0.0


def test_progress(running):
    for _ in range(30):
        running.wait(0.5)
        running.commit(2, late=1)
    state = state_of(running.events)
    assert (state.version, state.commits, state.late, state.epoch) == (30, 30, 1, 1)
    assert state.progress == 20 / N_BLOCKS and (state.epochs, state.phase) == (2, "running")
    # commits each 0.5 s of 2 blocks of 10 samples
    assert state.rate.commits == pytest.approx(2.0, rel=0.1)
    assert state.rate.samples == pytest.approx(40.0, rel=0.1)
    assert sum(state.series.blocks) == 60 and max(filter(None, state.series.late)) == 1
    for _ in range(10):
        running.commit(2)
    running.tell("done", stamp=running.stamp, key="s")
    state = state_of(running.events, now=1e9)
    assert (state.phase, state.reason, state.epoch, state.progress) == ("ended", "", 2, 1.0)
    assert {party.state for party in state.parties} == {"done"}
    assert state.rate.blocks == pytest.approx(80 / 15.0)  # of the whole run, not of now


def test_the_rate_is_that_of_the_last_seconds(running):
    for _ in range(100):
        running.wait(0.1)
        running.commit()
    assert state_of(running.events).rate.commits == pytest.approx(10.0, rel=0.05)
    assert state_of(running.events, now=running.now + 5).rate.commits == pytest.approx(
        5.0, rel=0.05
    )
    assert state_of(running.events, now=running.now + 60).rate.commits == 0.0


def test_blocks_of_an_epoch_are_found_out():
    teller = Teller()
    teller.begin()
    for _ in range(N_BLOCKS - 1):
        teller.commit()
    assert state_of(teller.events).progress is None
    for _ in range(11):
        teller.commit()
    state = state_of(teller.events)
    assert (state.n_blocks, state.epoch, state.progress) == (N_BLOCKS, 1, 0.25)


def test_a_worker_dies_and_comes_back(running):
    running.commit()
    running.wait(1.0)
    running.tell("gone", name="worker-1", why="silent")
    state = state_of(running.events)
    assert party(state, "worker-1").state == "gone" and state.deaths == 1
    assert state.recoveries[0][:3] == ("worker", 1, 0) and state.recent[0].back is None
    running.wait(0.5)
    running.tell("worker", name="worker-1", life=2)
    running.wait(0.25)
    running.commit()
    state = state_of(running.events)
    back = party(state, "worker-1")
    assert (back.state, back.lives, back.words) == ("alive", 2, "silent")
    assert [how for _, how in back.past] == ["waiting", "alive", "gone", "alive"]
    [death] = state.recent
    assert (death.seconds, death.pause) == (0.5, 1.75)
    assert state.recoveries == (("worker", 1, 1, 0.5, 0.5, 1.75),)
    assert [mark.kind for mark in state.marks][-2:] == ["death", "back"]


def test_a_coordinator_dies(running):
    running.commit()
    assert state_of(running.events).deaths == 0  # the first one is not a death
    running.wait(2.0)
    running.open("the coordinator begins")
    state = state_of(running.events)
    assert state.phase == "recovering" and party(state, "worker-0").state == "waiting"
    assert party(state, "shard-0.0").state == "joining"
    announce(running, "shard-0.0")
    running.wait(0.5)
    running.run(1)
    running.commit()
    state = state_of(running.events)
    assert state.recoveries == (("coordinator", 1, 1, 0.5, 0.5, 2.5),)
    assert party(state, "coordinator")[2:5] == ("reigns", running.now, 2)
    assert party(state, "shard-0.0").state == "full"


def announce(running, *names):
    for name in names:
        kind = "worker" if name.startswith("worker") else "member"
        running.tell(kind, name=name, life=1)


def test_who_lives_on_under_a_new_coordinator(running):
    """It is told of again, in the same life; who died with the last one is not."""
    running.commit()
    running.open("the coordinator begins")
    announce(running, "worker-0", "shard-0.0", "shard-1.0")
    running.run(1)
    running.tell("worker", name="worker-2", life=2)
    state = state_of(running.events)
    assert [party(state, f"worker-{i}").state for i in range(3)] == ["alive", "waiting", "alive"]
    assert [party(state, f"worker-{i}").lives for i in range(3)] == [1, 1, 2]
    assert party(state, "shard-0.0").state == "full" and party(state, "shard-0.0").lives == 1
    assert [death.name for death in state.recent] == ["coordinator", "worker-2"]
    assert [mark.kind for mark in state.marks][-3:] == ["back", "death", "back"]
    running.wait(6.0)
    running.tell("snapshot", version=1, key="s")
    state = state_of(running.events)
    assert (
        party(state, "worker-1").state == "gone"
        and "not heard of" in party(state, "worker-1").words
    )
    running.tell("worker", name="worker-1", life=1)  # it was only cut off
    assert party(state_of(running.events), "worker-1").state == "alive"


def test_who_tells_before_the_first_term_of_a_coordinator(running):
    """It does not know its term yet: it says 0."""
    for commits in range(2):
        term, running.term = running.term, 0
        announce(running, "worker-0", "worker-1", "shard-0.0")
        running.term = term
        running.open("the coordinator begins")
        announce(running, "worker-2")
        running.run(commits)
        running.commit()
        running.wait(6.0)
        running.tell("snapshot", version=running.version, key="s")
        state = state_of(running.events)
        assert {party(state, f"worker-{i}").state for i in range(3)} == {"alive"}
        assert (
            party(state, "shard-0.0").state == "full" and party(state, "shard-1.0").state == "gone"
        )


def test_a_run_that_failed_may_go_on(running):
    running.tell("failed", reason="no")
    running.open("the coordinator begins")
    running.run(0)
    assert state_of(running.events)[1:3] == ("running", "")


def test_a_rollback_takes_commits_back(running):
    for _ in range(45):
        running.commit()
    running.tell("snapshot", version=38, key="s")
    running.tell("lost", name="shard-0.0", why="silent")
    running.open("shard-0.0 silent")
    running.run(38, rollback=True)
    state = state_of(running.events)
    assert (state.version, state.undone, state.commits) == (38, 7, 45)
    assert (state.epoch, state.progress) == (0, 38 / N_BLOCKS)
    running.commit()
    assert state_of(running.events).version == 39


def test_a_coordinator_that_was_overtaken_is_not_heard(running):
    running.commit()
    late = [Event("commit", running.now, {**running.events[-1].what, "stamp": (1, 2), "term": 1})]
    running.open("the coordinator begins")
    running.run(1)
    assert state_of(running.events + late) == state_of(running.events)


def test_a_member_is_full_when_it_says_so(running):
    running.tell("lost", name="shard-1.1", why="lacks a commit")
    state = state_of(running.events)
    assert party(state, "shard-1.1").state == "joining" and state.deaths == 0
    assert party(state, "shard-1.1").words == "lacks a commit"
    running.tell("full", name="shard-1.1")
    assert party(state_of(running.events), "shard-1.1").state == "full"
    running.tell("lost", name="shard-1.1", why="silent")
    running.tell("member", name="shard-1.1", life=2)
    running.tell("snapshot", version=0, key="s")  # nothing to go by where members speak
    assert party(state_of(running.events), "shard-1.1").state == "joining"


def test_where_members_do_not_speak_a_snapshot_tells(running):
    running.tell("lost", name="shard-1.1", why="silent")
    running.tell("member", name="shard-1.1", life=2)
    assert party(state_of(running.events), "shard-1.1").state == "joining"
    running.tell("snapshot", version=0, key="s")
    assert party(state_of(running.events), "shard-1.1").state == "full"


def test_slow_workers(running):
    def without(times, *names):
        for _ in range(times):
            running.commit(void=((1, 0),) * len(names), without=names)
        return party(state_of(running.events), "worker-2").state

    assert without(2, "worker-2") == "alive"
    assert without(1, "worker-1") == "alive"
    assert without(3, "worker-2") == "slow"
    assert without(4) == "slow"
    assert without(1) == "alive"
    assert sum(state_of(running.events).series.backup[:1]) == pytest.approx(6 / 11)
    running.tell("void", block=(0, 1), worker="worker-2")  # it had its lease for too long
    assert party(state_of(running.events), "worker-2").state == "slow"


def test_an_error_is_not_slowness(running):
    running.tell("error", block=(0, 4), error="ValueError: no")
    running.tell("void", block=(0, 4), worker="worker-2")
    state = state_of(running.events)
    assert (party(state, "worker-2").state, state.errors, state.void) == ("alive", 1, 1)


def test_it_goes_on_from_a_snapshot(running):
    for _ in range(5):
        running.commit()
    running.tell("snapshot", version=3, key="s")
    running.wait(86400.0)  # the day after
    running.tell("began")
    state = state_of(running.events)
    assert state.phase == "starting" and {party.state for party in state.parties} == {"gone"}
    assert state.begun == running.now
    running.open("the coordinator begins")
    running.tell("worker", name="worker-0", life=2)
    running.wait(1.0)
    running.run(3)
    running.commit()
    state = state_of(running.events)
    assert (state.deaths, state.undone, state.commits, state.version) == (0, 2, 6, 4)
    assert sum(state.series.commits) == 1  # charts are of this time
    assert (state.policy, state.epochs) == ("Sync()", 2)  # and facts are those known


def test_a_failure(running):
    running.tell("failed", reason="group 0 had no living member")
    state = state_of(running.events)
    assert (state.phase, state.reason) == ("ended", "group 0 had no living member")


def test_losses(running):
    running.tell("loss", loss=0.5)
    running.tell("loss", loss=float("nan"))
    running.wait(10.0)
    running.tell("loss", loss=0.25)
    state = state_of(running.events)
    known = [loss for loss in state.series.loss if loss is not None]
    assert (state.loss, known) == (0.25, [0.5, 0.25])
    running.tell("evaluated", values={"accuracy": 0.9, "loss": 0.125})
    assert state_of(running.events).loss == 0.125


def test_training_losses_are_means_over_blocks(running):
    running.commit(losses=(0.5, None))
    running.commit(losses=(0.25, float("nan")))
    running.commit()
    running.wait(10.0)
    running.commit(losses=(0.125, 0.25))
    told = [loss for loss in state_of(running.events).series.train_loss if loss is not None]
    assert told == [0.375, 0.1875]


def test_a_long_run_takes_bounded_room(running):
    for n in range(20_000):
        running.wait(0.3)
        running.commit(void=((1, 0),))
        if n % 100 == 0:
            running.tell("snapshot", version=running.version, key="s")
    timeline = Timeline()
    timeline.extend(running.events)
    state = timeline.state()
    assert sum(state.series.commits) == sum(state.series.dropped) == 20_000
    assert state.snapshots == 200 and state.marks[0].kind == "began" and len(state.marks) < 70
    assert len(state.series.commits) <= 240 and len(timeline.path.steps) <= 100
    assert len(json.dumps(plain(state))) < 60_000


def test_a_silent_run_does_not_stretch_its_charts(running):
    running.commit()
    state = state_of(running.events, now=running.now + 1e6)
    assert len(state.series.commits) * state.series.width < 130.0


def test_what_is_not_known_is_passed_over(running):
    running.tell("something new", depth=3)
    assert state_of(running.events).heard == running.now


def test_from_the_file_as_from_memory(tmp_path):
    told = story().events
    file, text = tmp_path / "events.jsonl", lines(told)
    source, timeline = Folder(tmp_path), Timeline()
    assert source() == []
    for cut in range(0, len(text), 5000):  # as it grows, lines half written
        with file.open("a") as stream:
            stream.write(text[cut : cut + 5000])
        timeline.extend(all_events(source))
    assert timeline.state() == state_of(told)
    file.unlink()
    assert source() == []


def test_a_story():
    state = state_of(story().events)
    assert [row.role for row in state.recoveries] == ["coordinator", "shard", "worker"]
    assert all(row.back == row.deaths for row in state.recoveries)
    assert [party.name for party in state.parties[:3]] == ["coordinator", *GROUPS[0]]
    assert state.undone == 7 and state.void == 2


@pytest.mark.parametrize("seed", range(9))
def test_simulated_runs(seed):
    """Whatever fails: in the end as many blocks stand as there are, and all counts agree."""
    setup = scenario(Plan(workers=4, servers=2), seed)
    sim, _ = run(setup)
    settings, events = sim.settings, sim.events
    assert events[-1].kind == "done"
    timeline = Timeline(Facts(epochs=settings.epochs, n_blocks=settings.n_blocks))
    for first in range(0, len(events), 4):
        timeline.extend(events[first : first + 4])
        state = timeline.state()
        assert 0.0 <= state.progress <= 1.0 and 0 <= state.epoch <= settings.epochs
    assert (state.phase, state.progress, state.epoch) == ("ended", 1.0, settings.epochs)
    assert state.version == events[-1].what["stamp"][1]
    assert sum(state.series.commits) == state.commits <= len(of_kind(events, "commit"))
    assert sum(state.series.void) == state.void == len(of_kind(events, "void"))
    assert state.deaths == sum(row.deaths for row in state.recoveries)
    assert len(of_kind(events, "gone")) <= sum(
        row.deaths for row in state.recoveries if row.role == "worker"
    )
    for row in state.recoveries:
        assert row.back <= row.deaths and (row.longest or 0.0) < 60.0
    json.dumps(plain(state), allow_nan=False)


def of_kind(events, kind):
    return [event for event in events if event.kind == kind]
