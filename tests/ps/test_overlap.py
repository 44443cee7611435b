"""Overlap of rounds with their commits: histories derived by hand, time, faults, bugs put in."""

import json

import numpy as np
import pytest
from test_rounds import DILOCO, Mock, crash_at, diloco, history, simulation

from widemargin.cli import main
from widemargin.ps import messages as m
from widemargin.ps.ledger import Ledger
from widemargin.ps.local import LocalTask, Rounds, merged
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Rule
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.rounds import Cadence, Recall, refuse_cadence
from widemargin.ps.simulate_net import Net
from widemargin.ps.simulate_pace import Pace
from widemargin.ps.simulate_trial import Plan, scenario, trial
from widemargin.schedules import Constant

# The gradient is 1, the inner rule SGD of rate 1/2 with λ = 1, so that a step is x ← x / 2 − 1/2
# and tells from where it was made. The outer rule is plain, θ ← θ − Δ / 2; mix = 1/2; one step a
# round.
# A worker has x and b; a round gives y = x / 2 − 1/2, u = b − y; what was pulled gives
# b ← (b + G) / 2 and x ← b − u; at its turn a group has Δ = u, and then b ← x.
#
#     round   y        u      pulled   b, x            Δ      G
#     0       −1/2     1/2    anew     −1/2, −1/2      1/2    −1/4
#     1       −3/4     1/4    −1/4     −5/8, −5/8      1/4    −3/8
#     2       −13/16   3/16   −3/8     −11/16, −11/16  3/16   −15/32
#     3       −27/32   5/32   −15/32   …               5/32   −35/64
SHRINKING = Rule(Sgd(), Constant(0.5), lam=1.0)
WHOLE = [0.0, -1 / 4, -3 / 8, -15 / 32, -35 / 64]
# If worker 1 dies in round 2, it begins it anew, at G = −3/8: y = −11/16, Δ = 5/16, with the
# other's 3/16 a mean of 1/4. That leaves it at −11/16, as the other, so round 3 gives 5/32 twice.
WORKER_DIED = [0.0, -1 / 4, -3 / 8, -1 / 2, -37 / 64]
# If all begin anew in round 2, from the snapshot or in a new term, both give 5/16, then 5/32.
ALL_ANEW = [0.0, -1 / 4, -3 / 8, -17 / 32, -39 / 64]


def overlapping(blocks, fragments=1, keys=4):
    cadence = Cadence(fragments=fragments, mix=0.5)
    return Rounds(Mock(blocks, keys), SHRINKING, Rule(Sgd(), Constant(0.5)), 1, cadence)


@pytest.mark.parametrize(
    "name, replicas, table",
    [
        (None, 1, WHOLE),
        ("worker-1", 1, WORKER_DIED),
        ("shard-1.0", 1, ALL_ANEW),
        ("shard-1.0", 2, WHOLE),
        ("coordinator", 2, ALL_ANEW),
    ],
)
def test_overlap_gives_the_table_also_when_one_dies(name, replicas, table):
    sim = simulation(overlapping(8), replicas=replicas)
    if name is not None:
        crash_at(sim, 2, name)
    assert history(sim) == [(x, x) for x in table]


# Two fragments, x₀ b₀ and x₁ b₁; round v pushes fragment v mod 2 and pulls the other's last commit.
#
#     round   y₀, y₁          merged           x₀, b₀          x₁, b₁           Δ      G₀, G₁
#     0       −1/2, −1/2      anew             −1/2, −1/2      −1/2, 0          1/2    −1/4, 0
#     1       −3/4, −3/4      u₀ = 1/4         −5/8, −3/8      −3/4, −3/4       3/4    −1/4, −3/8
#     2       −13/16, −7/8    u₁ = 1/8         −13/16, −13/16  −11/16, −9/16    7/16   −15/32, −3/8
#     3       −29/32, −27/32  …                …               …                9/32   and −33/64
FRAGMENTS = [(0.0, 0.0), (-1 / 4, 0.0), (-1 / 4, -3 / 8), (-15 / 32, -3 / 8),
             (-15 / 32, -33 / 64)]  # fmt: skip
# If worker 1 dies in round 2 it begins it anew: y = −5/8, −11/16 and Δ₀ = 3/8, with the other's
# 7/16 a mean of 13/32. In round 3, from b₁ = −3/8, it has Δ₁ = 27/32 − 12/32; the mean is 3/8.
ONE_DIED = [*FRAGMENTS[:3], (-29 / 64, -3 / 8), (-29 / 64, -9 / 16)]


@pytest.mark.parametrize("dies, table", [(False, FRAGMENTS), (True, ONE_DIED)])
def test_fragments_with_overlap_give_the_table(dies, table):
    sim = simulation(overlapping(8, fragments=2))
    if dies:
        crash_at(sim, 2, "worker-1")
    assert history(sim) == table


@pytest.mark.parametrize("name", [None, "worker-1", "shard-1.0", "coordinator"])
def test_where_steps_do_not_depend_on_the_parameters_nothing_changes(name):
    """DiLoCo's own table: each step counts in one Δ, once, wherever it was made."""
    sim = simulation(diloco()._replace(cadence=Cadence(mix=0.5)))
    if name is not None:
        crash_at(sim, 2, name)
    assert history(sim) == [(x, x) for x in DILOCO]


@pytest.mark.parametrize("compute", [0.1, 0.3, 0.6])
def test_a_round_takes_the_longer_of_steps_and_communication_not_both(compute):
    """Two workers, two servers, 20 ms latency, 400 kB to a server at 8 MB / s: 0.4 s a commit."""

    def seconds(mix):
        job = overlapping(24, keys=100_000)._replace(cadence=Cadence(mix=mix))
        sim = simulation(job, every=0)
        sim.net = Net(latency=0.02, jitter=0.0, bandwidth=8e6)
        sim.setup = sim.setup._replace(pace=Pace(mean=compute))
        assert sim.run(60.0)
        times = [e.time for e in sim.events if e.kind == "commit"]
        return (times[9] - times[2]) / 7.0

    apart, together = seconds(None), seconds(0.5)
    communication = apart - compute
    assert 0.3 < communication < 0.5
    assert together == pytest.approx(max(compute, communication), rel=0.03)


def test_one_worker_that_averages_with_nobody_is_plain_training():
    """The servers' θ is then always the worker's own, whatever it mixes."""
    outer = Rule(Sgd(), Constant(1.0))
    for mix in (0.0, 0.5):
        job = overlapping(6)._replace(rule=outer, cadence=Cadence(mix=mix))
        found = history(simulation(job, workers=1))
        assert found == [(2.0**-k - 1.0,) * 2 for k in range(7)]


def test_merging_keeps_what_own_steps_have_done():
    theta, base = np.array([[1.0], [2.0], [5.0]]), (np.array([[2.0], [4.0]]), np.array([[7.0]]))
    theta, base = merged(theta, base, (np.array([[0.0], [8.0]]), None), 0.25)
    np.testing.assert_array_equal(theta[:, 0], [-0.5, 5.0, 5.0])
    np.testing.assert_array_equal(np.concatenate(base)[:, 0], [0.5, 7.0, 7.0])


def test_what_was_begun_ahead_is_taken_for_its_own_round_alone():
    job, zeros = overlapping(4), (np.zeros((4, 1)),)

    def done(task, number, origin, block, version):
        resume = m.Resume(origin)
        ask = m.Compute((1, number), block, version, zeros, (None,), resume=resume)
        return task.round(ask)[0].values

    right, block = m.Advance((1, 1), m.Block(0, 1), 1), m.Block(0, 1)
    for begun in (
        right,
        right._replace(block=m.Block(0, 2)),
        right._replace(version=2),
        None,
    ):
        task = LocalTask(job, job.job.open())
        done(task, 1, None, m.Block(0, 0), 0)
        if begun is not None:
            task.advance(begun)
            steps = task.ahead[1]
            steps.store.apply([job.job.compute(block, zeros, None)])  # a mark: one step too many
        found = done(task, 2, (1, 1), block, 1)
        assert task.ahead is None
        np.testing.assert_array_equal(found, np.full((4, 1), 0.375 if begun == right else 0.25))


def test_blocks_that_others_have_begun_with_are_left_to_them():
    ledger = Ledger(3, 2, 0, False)
    assert ledger.following({}, "worker-0") == m.Block(1, 0)
    assert ledger.following({"worker-1": m.Block(1, 0)}, "worker-0") == m.Block(1, 1)
    assert Ledger(3, 1, 0, False).following({}, "worker-0") is None


@pytest.mark.parametrize("policy", [Async(), RoundRobin()], ids=repr)
def test_overlap_of_other_policies_is_refused(policy):
    with pytest.raises(ValueError, match=r"overlap=True needs policy=Sync\(...\), got .*Give Sync"):
        refuse_cadence(Cadence(mix=0.5), policy, 1)
    refuse_cadence(Cadence(mix=0.5), Sync(), 1)


OVERLAP = Plan(5, 4, "sync", local=3, overlap=True)


def test_no_promise_is_broken_under_faults():
    outcomes = [trial(OVERLAP, seed) for seed in range(20)]
    assert [outcome.violations for outcome in outcomes] == [[]] * 20
    assert sum(sum(outcome.fired.values()) for outcome in outcomes) > 100


@pytest.mark.parametrize("missed", ["origin", "block", "version"])
def test_the_oracle_sees_steps_taken_for_another_round(monkeypatch, missed):
    late = LocalTask._late

    def takes_too_much(task, ask, begun, start):
        if task.ahead is not None:
            told = task.ahead[0]._replace(**{missed: getattr(begun, missed)})
            task.ahead = told, task.ahead[1]
        return late(task, ask, begun, start)

    monkeypatch.setattr(LocalTask, "_late", takes_too_much)
    assert any(trial(OVERLAP, seed).violations for seed in range(12, 80))


def test_the_oracle_sees_a_round_that_did_not_wait_for_what_it_was_to_merge(monkeypatch):
    begin = Recall.begin

    def does_not_pull(recall, lease):
        resume, wanted = begin(recall, lease)
        return resume, wanted[:0] if resume.origin is not None else wanted

    monkeypatch.setattr(Recall, "begin", does_not_pull)
    monkeypatch.setattr(Recall, "oldest", lambda recall, lease: lease.version)
    assert any(trial(OVERLAP, seed).violations for seed in range(20))


def test_steps_overlap_also_from_one_epoch_to_the_next(monkeypatch):
    used, late = [], LocalTask._late

    def noted(task, ask, begun, start):
        used.append((task.ahead is not None and task.ahead[0] == begun, ask.block.epoch))
        return late(task, ask, begun, start)

    monkeypatch.setattr(LocalTask, "_late", noted)
    history(simulation(overlapping(8), epochs=2))
    assert used == [(True, 0)] * 6 + [(True, 1)] * 8  # but for the first of each worker


def test_it_can_be_had_again_from_the_command_line(capsys):
    asked = ["simulate", "--local", "4", "--overlap"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--policy", "sync", "--schedules", "5", "--n-jobs", "1", "--json"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["violations"], report["local"], report["overlap"]) == (0, 4, True)
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 2
    assert "--overlap needs --local and --policy sync" in capsys.readouterr().err


def test_schedules_without_it_are_as_they_were():
    plan = Plan(5, 4, "sync", local=3)
    assert "overlap" not in plan.drawn and "overlap" in OVERLAP.drawn
    assert scenario(plan, 3).setup.settings.cadence.mix is None
    assert scenario(OVERLAP, 3).setup.settings.cadence.mix is not None
