"""Rounds of local steps: histories derived by hand, twins, faults, what goes over the wire."""

import json
from typing import NamedTuple

import numpy as np
import pytest

from widemargin.cli import main
from widemargin.ps import messages as m
from widemargin.ps.local import LocalTask, Rounds
from widemargin.ps.optimizers import Momentum, Nesterov, Sgd
from widemargin.ps.oracle import commits_of, surviving, violations
from widemargin.ps.oracle_replay import Replay
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.rounds import (
    Cadence,
    Recall,
    changed,
    pushes,
    refuse_cadence,
    refuse_compression,
)
from widemargin.ps.settings import Settings
from widemargin.ps.shard import HANDLERS, Shard
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_job import Problem
from widemargin.ps.simulate_net import Net, content
from widemargin.ps.simulate_pace import Pace
from widemargin.ps.simulate_trial import Plan, Scenario, run, scenario, trial
from widemargin.schedules import Constant, InvScaling

HALF = Rule(Sgd(), Constant(0.5))


class Mock(NamedTuple):
    """A job whose gradient is 1 in every key, whatever the block and the parameters."""

    n_blocks: int
    n_keys: int = 4
    rule: Rule = HALF
    sparse: bool = False
    n: int = 8

    def first(self, keys):
        return np.zeros((keys.stop - keys.start, 1))

    def open(self):
        return self

    def touch(self, block):
        return None

    def compute(self, block, parts, keys):
        return Update(None, np.ones((self.n_keys, 1)), 8.0)

    def prefetch(self, block):
        pass

    def close(self):
        pass


def simulation(rounds, *, policy=None, workers=2, replicas=1, groups=2, every=2, epochs=1):
    names = tuple(tuple(f"shard-{g}.{r}" for r in range(replicas)) for g in range(groups))
    settings = Settings(
        rounds.n_blocks,
        epochs,
        policy or Sync(),
        names,
        snapshot_every=every,
        deadline_s=0.5,
        retry_s=0.1,
        tick_s=0.08,
        give_up_s=20.0,
        cadence=rounds.cadence,
    )
    several = tuple(f"worker-{i}" for i in range(workers))
    return Simulation(Setup(settings, rounds, several, Net(), Pace(mean=0.2)))


def history(sim):
    """θ of each version, of each group its first key, after the run has come to its end."""
    assert sim.run(sim.now + 60.0)
    path = surviving(commits_of(sim.events)[0], sim.events[-1].what["stamp"])
    replay = Replay(sim.setup.job, sim.parts)
    assert all(replay.step(c.stamp, c.parts, sim.gradients) for c in path)
    for name, process in sim.processes.items():
        if name.startswith("shard") and process.role.stamp == path[-1].stamp:
            g = sim.settings.groups.index(next(x for x in sim.settings.groups if name in x))
            np.testing.assert_array_equal(process.role.store.read(), replay.reads[-1][g])
    return [tuple(float(part[0, 0]) for part in read) for read in replay.reads]


def crash_at(sim, version, name, after=0.05, back=0.2):
    """Run until this version was committed; then, a moment later, this process dies."""
    while not any(e.kind == "commit" and e.what["stamp"][1] == version for e in sim.events):
        assert not sim.run(sim.now + 0.01)
    sim.run(sim.now + after)
    sim.crash(name)
    sim.at(back, lambda: sim.start(name))


# The inner step is SGD with the rate 1/2, so a step moves a key by −1/2. The outer one is
# Nesterov's with μ = η = 1/2:
#
#     m ← m / 2 + Δ,     θ ← θ − (m / 2 + Δ) / 2
#
# DiLoCo with H = 4: every round of every worker gives Δ = 4 / 2 = 2, so
#     m = 2, 3, 3.5, 3.75      and θ falls by (m + 4) / 4 = 1.5, 1.75, 1.875, 1.9375.
OUTER = Rule(Nesterov(0.5), Constant(0.5))
DILOCO = [0.0, -1.5, -3.25, -5.125, -7.0625]


def diloco():
    return Rounds(Mock(n_blocks=32), HALF, OUTER, steps=4)


def test_diloco_gives_the_table():
    assert history(simulation(diloco())) == [(x, x) for x in DILOCO]


@pytest.mark.parametrize("name", ["worker-1", "shard-1.0", "coordinator"])
def test_diloco_gives_the_table_also_when_one_dies(name):
    """Δ is the same from wherever a round begins, as the inner rule has no state."""
    sim = simulation(diloco())
    crash_at(sim, 2, name)
    assert history(sim) == [(x, x) for x in DILOCO]


# With an inner momentum u ← u / 2 + 1, steps of u / 2, and H = 2:
#     u = 1, 1.5 | 1.75, 1.875 | 1.9375, 1.96875       Δ = 1.25, 1.8125, 1.953125
# as the worker keeps u from round to round; the outer step is θ ← θ − Δ. If worker 1 dies in its
# second round, it begins with u = 0 again and gives 1.25, then 1.8125; averaged with the other's,
# 1.8125 and 1.953125, that is 1.53125 and 1.8828125.
KEPT = [0.0, -1.25, -3.0625, -5.015625]
LOST = [0.0, -1.25, -2.78125, -4.6640625]


@pytest.mark.parametrize("dies", [False, True])
def test_the_inner_state_goes_on_until_its_worker_dies(dies):
    inner = Rule(Momentum(0.5), Constant(0.5))
    sim = simulation(Rounds(Mock(n_blocks=12), inner, Rule(Sgd(), Constant(1.0)), steps=2))
    if dies:
        crash_at(sim, 1, "worker-1")
    assert history(sim) == [(x, x) for x in (LOST if dies else KEPT)]


# Streaming, P = 2 fragments, H = 4, so rounds of 2 steps; the outer rule is Nesterov's again.
# Round v pushes fragment v mod 2. At first fragment 0 has made 2 steps, Δ = 1; from then on each
# fragment has made 4 when its turn comes, Δ = 2.
#     fragment 0: m = 1, 2.5, 3.25     falls by (m + 2 Δ) / 4 = 0.75, 1.625, 1.8125
#     fragment 1: m = 2, 3, 3.5        falls by 1.5, 1.75, 1.875
STREAMING = [(0.0, 0.0), (-0.75, 0.0), (-0.75, -1.5), (-2.375, -1.5), (-2.375, -3.25),
             (-4.1875, -3.25), (-4.1875, -5.125)]  # fmt: skip
# If worker 1 dies in round 2, it pulls all and begins anew there: of fragment 0 it then has Δ = 1,
# averaged with the other's 2 that is 1.5. Of fragment 1 it has 4 steps in round 3, as before.
#     fragment 0: m = 1, 2, 3          falls by 0.75, (2 + 3) / 4 = 1.25, (3 + 4) / 4 = 1.75
ONE_DIED = [(0.0, 0.0), (-0.75, 0.0), (-0.75, -1.5), (-2.0, -1.5), (-2.0, -3.25),
            (-3.75, -3.25), (-3.75, -5.125)]  # fmt: skip
# If a shard without a replica dies after version 3, all go back to the snapshot of version 2, and
# both workers begin anew there: Δ = 1 of fragment 0 in round 2.
#     fragment 0: m = 1, 1.5, 2.75     falls by 0.75, (1.5 + 2) / 4 = 0.875, (2.75 + 4) / 4 = 1.6875
WENT_BACK = [(0.0, 0.0), (-0.75, 0.0), (-0.75, -1.5), (-1.625, -1.5), (-1.625, -3.25),
             (-3.3125, -3.25), (-3.3125, -5.125)]  # fmt: skip
# If the shard's replica lives, or the death is that of a coordinator, nothing committed is lost.
# A coordinator's death begins a term at version 2, and a term a new beginning for both workers.


def streaming():
    return Rounds(Mock(n_blocks=24), HALF, OUTER, steps=2, cadence=Cadence(fragments=2))


def test_streaming_gives_the_table():
    assert history(simulation(streaming())) == STREAMING


@pytest.mark.parametrize(
    "name, version, replicas, table",
    [
        ("worker-1", 2, 1, ONE_DIED),
        ("shard-0.0", 3, 1, WENT_BACK),
        ("shard-0.0", 3, 2, STREAMING),
        ("coordinator", 2, 2, WENT_BACK),
    ],
)
def test_streaming_gives_the_table_of_its_failure(name, version, replicas, table):
    sim = simulation(streaming(), replicas=replicas)
    crash_at(sim, version, name)
    assert history(sim) == table


def test_only_its_fragment_is_on_the_wire():
    """Once begun, a commit moves 1 / P of what it moves otherwise, in both directions."""
    peaks = {}
    for fragments in (1, 2, 4):
        job = Rounds(Mock(64, n_keys=4096), HALF, OUTER, 2, Cadence(fragments))
        sim = simulation(job, groups=4)
        history(sim)
        moved = {}
        for lease, (made, *_) in sim.gradients.items():
            if made.version > 0:  # a worker that begins pulls all
                values = sum(v.nbytes for v in made.values if v is not None)
                pushed = sum(u.values.nbytes for u in made.updates if u is not None)
                moved[lease] = values, pushed
        assert len(set(moved.values())) == 1
        peaks[fragments] = next(iter(moved.values()))
    assert peaks == {p: (4096 * 8 // p, 4096 * 8 // p) for p in (1, 2, 4)}


def test_compression_of_rounds_is_refused():
    with pytest.raises(ValueError, match="compression does not go with local steps"):
        refuse_compression(Cadence(), True)
    refuse_compression(None, True)


def test_a_message_without_an_update_is_small():
    assert content(m.Push("worker-0", (1, 1), m.Block(0, 0), 3, None)) < 100


def test_plain_averages_of_one_step_are_sync_sgd():
    """H = 1 with SGD inside, and outside the mean of the parameters: that is the mean gradient."""
    problem, inner = Problem(n_blocks=12), Rule(Sgd(), Constant(0.1))
    outer = Rule(Sgd(), Constant(1.0))
    sim = simulation(Rounds(problem, inner, outer, steps=1), workers=4)
    assert sim.run(60.0)
    store = Parameters.create(inner, np.zeros((12, 1)), 0)
    task = problem.open()
    for event in [e for e in sim.events if e.kind == "commit"]:
        blocks = [block for _, block in event.what["parts"]]
        store.apply([task.compute(block, [store.read()], None) for block in blocks])
    parts = [process.role.store for name, process in sim.processes.items() if "shard" in name]
    found = np.concatenate([part.read() for part in parts])
    np.testing.assert_allclose(found, store.read(), rtol=1e-12)


@pytest.mark.parametrize("policy", [Sync(), Async(), RoundRobin()], ids=repr)
def test_one_worker_of_downpour_is_serial_sgd(policy):
    """The servers step with the sum of what the worker has stepped with already."""
    problem, rule = Problem(n_blocks=12), Rule(Sgd(), Constant(0.05))
    pulls = 1 if isinstance(policy, Sync) else 2
    job = Rounds(problem, rule, rule, 3, Cadence(pull_every=pulls), accrued=True)
    sim = simulation(job, policy=policy, workers=1)
    assert sim.run(60.0)
    store, task = Parameters.create(rule, np.zeros((12, 1)), 0), problem.open()
    for event in [e for e in sim.events if e.kind == "commit"]:
        for _, block in event.what["parts"]:
            for batch in job.batches(block):
                store.apply([task.compute(batch, [store.read()], None)])
    shards = [p.role.store.read() for name, p in sim.processes.items() if "shard" in name]
    np.testing.assert_allclose(np.concatenate(shards), store.read(), rtol=1e-12)
    pulled = [made[0].values[0] is not None for made in sim.gradients.values()]
    assert pulled == ([True] * 4 if pulls == 1 else [True, False, True, False])


def test_the_inner_rate_is_that_of_all_steps_so_far():
    job = Rounds(Mock(8), Rule(Sgd(), InvScaling(1.0, 1.0)), OUTER, steps=2)
    task, lease = LocalTask(job, job.job.open()), (1, 1)
    zeros = (np.zeros((4, 1)),)
    ask = m.Compute(lease, m.Block(0, 0), 3, zeros, (None,), resume=m.Resume(None))
    (update,) = task.round(ask)
    np.testing.assert_array_equal(update.values, np.full((4, 1), 2.0 / 7.0))


def test_a_round_that_was_not_committed_leaves_nothing():
    """The third round goes on from the first: the second might as well not have been."""
    inner = Rule(Momentum(0.5), Constant(0.5))
    job = Rounds(Mock(8), inner, OUTER, steps=2)

    def done(task, number, origin, version):
        zeros = (np.zeros((4, 1)),)
        resume = m.Resume(origin)
        ask = m.Compute((1, number), m.Block(0, 0), version, zeros, (None,), resume=resume)
        return task.round(ask)[0].values

    task, other = (LocalTask(job, job.job.open()) for _ in range(2))
    done(task, 1, None, 0)
    done(task, 2, (1, 1), 1)
    done(other, 1, None, 0)
    np.testing.assert_array_equal(done(task, 3, (1, 1), 1), done(other, 3, (1, 1), 1))


def test_a_worker_recalls_its_last_committed_round_alone():
    cadence, view = Cadence(fragments=2), (("a",), ("b",))

    def lease(number, version, last):
        block = m.Block(0, number)
        return m.Lease((1, number), block, version, True, view, view, None, last)

    recall = Recall(cadence, 2)
    first, second = lease(1, 0, None), lease(2, 1, (1, 1))
    assert recall.begin(first) == (m.Resume(None), (0, 1))
    recall.done(first, 0, True)
    assert recall.begin(second) == (m.Resume((1, 1)), (0,))
    recall.done(second, 1, True)
    assert recall.begin(lease(3, 3, (1, 1))) == (m.Resume((1, 1)), (0, 1))
    assert recall.begin(lease(4, 3, (1, 2))) == (m.Resume(None), (0, 1))


@pytest.mark.parametrize("fragments", [1, 2, 3, 4])
def test_a_group_changes_with_the_rounds_that_push_it(fragments):
    cadence, last = Cadence(fragments), [0] * 4
    for version in range(1, 20):
        for g in range(4):
            if pushes(cadence, g, version - 1):
                last[g] = version
            assert changed(cadence, g, version) == last[g]


@pytest.mark.parametrize(
    "cadence, policy, groups, told",
    [
        (Cadence(2), Async(), 2, "fragments=2 needs policy=Sync"),
        (Cadence(2), Sync(), 3, "fragments=2 must divide servers=3"),
        (Cadence(pull_every=2), Sync(), 1, "every 2 pushes needs policy=Async.*Sync"),
        (Cadence(pull_every=2), Async(3), 1, "every 2 pushes needs policy=Async.*max_stale"),
    ],
)
def test_what_does_not_go_together_is_refused(cadence, policy, groups, told):
    with pytest.raises(ValueError, match=told):
        refuse_cadence(cadence, policy, groups)


@pytest.mark.parametrize("policy", ["sync", "async", "round_robin"])
def test_no_promise_is_broken_under_faults(policy):
    outcomes = [trial(Plan(5, 4, policy, local=3), seed) for seed in range(20)]
    assert [outcome.violations for outcome in outcomes] == [[]] * 20
    assert sum(sum(outcome.fired.values()) for outcome in outcomes) > 100


def found(policy="sync", seeds=60):
    """Does the oracle see it within so many schedules?"""
    return any(trial(Plan(5, 4, policy, local=3), seed).violations for seed in range(seeds))


def test_the_oracle_sees_a_state_kept_from_a_round_that_was_dropped(monkeypatch):
    begin = Recall.begin

    def keeps_the_newest(recall, lease):
        newest = max(recall.past, default=None)
        return begin(recall, lease._replace(last=newest))

    monkeypatch.setattr(Recall, "begin", keeps_the_newest)
    assert found()


def test_the_oracle_sees_a_fragment_that_was_not_pulled(monkeypatch):
    begin = Recall.begin

    def pulls_less(recall, lease):
        resume, wanted = begin(recall, lease)
        return resume, wanted[:1] if resume.origin is not None else wanted

    monkeypatch.setattr(Recall, "begin", pulls_less)
    assert found()


def test_the_oracle_sees_an_optimizer_stepped_out_of_its_turn(monkeypatch):

    def zeros(shard, message, now):
        if message.update is None and shard.store is not None:
            like = shard.store.read()
            message = message._replace(update=Update(None, np.zeros_like(like), 1.0))
        return Shard.push(shard, message, now)

    monkeypatch.setitem(HANDLERS, m.Push, zeros)
    assert found()


def test_a_run_can_be_had_again_from_the_command_line(capsys):
    asked = ["simulate", "--local", "4", "--fragments", "3", "--policy", "sync"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--schedules", "5", "--workers", "4", "--n-jobs", "1", "--json"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["violations"], report["local"], report["fragments"]) == (0, 4, 3)
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--fragments", "2"])
    assert ended.value.code == 2
    assert "needs --local" in capsys.readouterr().err


def test_options_that_are_off_leave_the_runs_of_a_seed_as_they_were():
    drawn = scenario(Plan(), 7)
    assert drawn.setup.settings.cadence is None and isinstance(drawn.setup.job, Problem)
    sim, seen = run(Scenario(drawn.setup, drawn.faults, drawn.calm))
    assert violations(seen) == [] and all(
        one.resume is None for made in sim.gradients.values() for one in made
    )
