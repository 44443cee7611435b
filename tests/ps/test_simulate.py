"""The simulator: serial equality, the average of N gradients, faults by schedule, the command."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_twins import walk

from widemargin.cli import main
from widemargin.errors import listing
from widemargin.ps import messages as m
from widemargin.ps.faults import FOREVER, Fault
from widemargin.ps.ledger import block_order
from widemargin.ps.optimizers import Adagrad, Adam, Momentum, Sgd
from widemargin.ps.oracle import commits_of, returns, surviving, violations
from widemargin.ps.parameters import Parameters, Rule
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.ps.settings import Settings
from widemargin.ps.shard import HANDLERS, Shard
from widemargin.ps.simulate import Setup
from widemargin.ps.simulate_job import Problem, Reader, rule_of, samples
from widemargin.ps.simulate_many import summary, trials
from widemargin.ps.simulate_net import Net, Wires, size_of
from widemargin.ps.simulate_pace import Pace, drawn
from widemargin.ps.simulate_stragglers import passes, steps
from widemargin.ps.simulate_trial import RULES, Plan, Scenario, run, scenario, trial
from widemargin.schedules import Constant

CUT_OFF = ((("worker-1", "*"), ("*", "worker-1")), (("coordinator", "*"), ("*", "coordinator")))


def setup(policy=None, *, workers=1, replicas=1, problem=None, every=5, **changes):
    problem = problem or Problem(n_blocks=12)
    groups = tuple(tuple(f"shard-{g}.{r}" for r in range(replicas)) for g in range(2))
    names = tuple(f"worker-{i}" for i in range(workers))
    of_run = Settings(
        problem.n_blocks,
        2,
        policy or Sync(),
        groups,
        sparse=problem.sparse,
        snapshot_every=every,
        deadline_s=0.5,
        retry_s=0.1,
        tick_s=0.08,
        give_up_s=20.0,
    )
    return Setup(of_run, problem, names, Net(), Pace(mean=0.1, spread=0.2))._replace(**changes)


def weights(sim):
    """θ of the last snapshot."""
    parts = sim.storage.snapshots[-1].parts
    stores = (sim.restore(g, arrays) for g, arrays in enumerate(parts))
    return np.concatenate([store.read() for store in stores])


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "policy", [Sync(), Sync("auto"), Async(), Async(0), RoundRobin()], ids=repr
)
def test_one_worker_without_faults_is_the_serial_loop(policy, sparse):
    for rule in RULES:
        problem = Problem(rule, n_blocks=12, sparse=sparse)
        sim, seen = run(Scenario(setup(policy, problem=problem)))
        assert violations(seen) == []
        task, store = Reader(problem), Parameters.create(rule, np.zeros((12, 1)), 0)
        for epoch in range(2):
            for number in block_order(12, epoch, seed=0, shuffle=True):
                block = m.Block(epoch, number)
                keys = task.touch(block) if sparse else None
                store.apply([task.compute(block, [store.read(keys)], keys)])
        assert weights(sim).tobytes() == store.read().tobytes()


@pytest.mark.parametrize("optimizer", [Sgd(), Momentum(0.9), Adagrad(), Adam()], ids=repr)
def test_sync_is_the_average_of_the_same_gradients_in_one_process(optimizer):
    problem = Problem(Rule(optimizer, Constant(0.02)), n_blocks=12)
    sim, seen = run(Scenario(setup(Sync(), workers=4, problem=problem)))
    path = surviving(commits_of(seen.events)[0], seen.events[-1].what["stamp"])
    assert [len(commit.parts) for commit in path] == [4] * 6
    X, y = samples(problem.n, problem.n_keys, sparse=False)
    theta, gradients = np.zeros(12), []
    for commit in path:
        rows = np.concatenate([np.arange(b.number, problem.n, 12) for _, b in commit.parts])
        gradients.append(X[rows].T @ (X[rows] @ theta - y[rows]) / len(rows))
        theta = walk(optimizer, np.zeros(12), gradients, lambda t: 0.02)[-1]
    np.testing.assert_allclose(weights(sim)[:, 0], theta, rtol=1e-9, atol=1e-12)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    workers=st.integers(1, 6),
    servers=st.integers(1, 4),
    policy=st.sampled_from(["sync", "async", "round_robin"]),
    replicas=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_no_schedule_breaks_a_promise(workers, servers, policy, replicas, seed):
    plan = Plan(workers, servers, policy, replicas)
    assert trial(plan, seed).violations == []


@settings(max_examples=9, deadline=None, derandomize=True)
@given(
    compression=st.sampled_from(["bf16", "int8", "topk"]),
    policy=st.sampled_from(["sync", "async", "round_robin"]),
    seed=st.integers(0, 10**6),
)
def test_no_schedule_breaks_a_promise_with_compression(compression, policy, seed):
    plan = Plan(5, 2, policy, compression=compression)
    assert trial(plan, seed).violations == []


def test_compression_pushes_fewer_bytes_in_the_same_schedules():
    names = ("none", "bf16", "int8", "topk")
    plans = [Plan(workers=3, servers=1, faults=0, compression=name) for name in names]
    sizes = [summary(trials(plan, range(6), processes=1)).pushed for plan in plans]
    assert sizes[0] > max(sizes[1:]) and min(sizes) == sizes[3] > 0
    assert all(plan.drawn == plans[0].drawn for plan in plans)


def test_every_kind_of_fault_fires_and_all_promises_are_kept():
    total = summary(trials(Plan(), range(40), processes=1))
    assert total.failures == []
    assert total.samples == 40 * 2 * 150
    for kind in ("crash", "restart", "pause", "partition", "duplicate", "reorder", "drop"):
        fired = total.faults[kind]
        assert all(fired[role] > 0 for role in ("worker", "shard", "coordinator")), (kind, fired)
    assert all(total.faults[kind] for kind in ("slow", "join", "leave"))


@pytest.mark.parametrize("policy", [Sync(), Sync(1), Async(2), RoundRobin()], ids=repr)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(0.35, "crash", "worker-1", 0.3),
        Fault(0.35, "leave", "worker-1", FOREVER),
        Fault(0.35, "pause", "worker-1", 1.2),
        Fault(0.35, "partition", "worker-1", 1.2, CUT_OFF[0]),
        Fault(0.35, "crash", "shard-0.0", 0.3),
        Fault(0.35, "pause", "shard-0.0", 1.2),
        Fault(0.35, "crash", "coordinator", 0.3),
        Fault(0.35, "pause", "coordinator", 1.2),
        Fault(0.35, "partition", "coordinator", 1.2, CUT_OFF[1]),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.name}",
)
def test_a_single_fault_costs_time_and_nothing_else(fault, policy):
    sim, seen = run(Scenario(setup(policy, workers=4, replicas=2), (fault,)))
    assert sim.fired[fault.kind, fault.name.split("-")[0]] == 1
    assert violations(seen) == []
    assert returns(sim.events) == [], "with a replica, no commit is given up"
    assert sim.now < seen.quiet + 2.5


def test_without_a_replica_parameters_and_ledger_go_back_together():
    fault = Fault(0.4, "crash", "shard-1.0", 0.2)
    sim, seen = run(Scenario(setup(Async(), workers=4, every=0), (fault,)))
    assert len(returns(sim.events)) == 1
    assert violations(seen) == []


def test_a_shard_that_never_comes_back_ends_the_run_with_its_name():
    fault = Fault(0.4, "leave", "shard-1.0", FOREVER)
    sim, seen = run(Scenario(setup(Async(), workers=2), (fault,)))
    assert sim.events[-1].kind == "failed"
    assert "group 1 (shard-1.0) had no living member for 20 s" in sim.events[-1].what["reason"]
    assert sim.now < 0.4 + 20.0 + 2.0


def test_a_seed_gives_the_same_run_again_in_any_process():
    alone = list(trials(Plan(), range(3, 24), processes=1))
    assert alone[4] == trial(Plan(), 7)
    assert alone == list(trials(Plan(), range(3, 24), processes=2))


# the network and the pace


def test_messages_wait_for_the_nic_of_sender_and_receiver():
    net, wires = Net(bandwidth=100.0, bandwidths={"b": 50.0}), Wires()
    assert [wires.leaves(net, "a", 1.0, 100) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert [wires.enters(net, "b", 1.5, 100) for _ in range(2)] == [3.5, 5.5]
    assert size_of(m.Params(0, (1, 1), 3, np.zeros((10, 1)))) > 80


def test_a_bandwidth_that_all_workers_share_bounds_the_throughput():
    seconds = []
    for bandwidth in (1e6, 1e4):
        sim, seen = run(Scenario(setup(Async(), workers=4, net=Net(bandwidth=bandwidth))))
        assert violations(seen) == []
        seconds.append(sim.now)
    assert seconds[1] > 2.0 * seconds[0]


def test_links_are_cut_in_one_direction_and_mended():
    wires = Wires()
    wires.sever((("a", "b"), ("*", "c")))
    cut = [wires.severed(*link) for link in [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")]]
    assert cut == [True, False, True, False]
    wires.mend((("a", "b"), ("*", "c")))
    assert not wires.severed("a", "b") and not wires.cut


def test_gradient_times_follow_their_law():
    import random

    rng = random.Random(0)
    assert drawn(Pace(mean=0.2), rng, times=3.0) == pytest.approx(0.6)
    times = np.array([drawn(Pace(mean=1.0, tail=0.5, alpha=2.0), rng) for _ in range(20_000)])
    assert np.mean(times > 1.0) == pytest.approx(0.5, abs=0.02)
    for x in (3.0, 5.0):  # Pr(P > x − 1) = tail · (x − 1)^(−alpha)
        assert np.mean(times > x) == pytest.approx(0.5 * (x - 1.0) ** -2.0, rel=0.15)
    assert drawn(Pace(mean=1.0, tail=1.0, longest=2.0), rng) == 2.0


# stragglers


def test_the_automatic_backup_is_about_as_fast_as_no_straggler():
    ratios = {row.name: row.ratio for row in passes(seed=1)}
    assert all(row.blocks == 400 for row in passes(seed=1))
    assert ratios["sync, backup 0"] > 8.0
    fixed = min(ratio for name, ratio in ratios.items() if name[-1] in "12")
    assert ratios["sync, backup auto"] < min(fixed, 1.3)


def test_a_few_backups_are_best_where_times_have_a_heavy_tail():
    pace = Pace(mean=1.0, spread=0.08, tail=0.05, alpha=1.2, longest=60.0)
    passed = {b: steps(b, workers=20, pace=pace).passed for b in (0, 2, 10)}
    assert passed[2] < passed[0] and passed[2] < passed[10]


# the command


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["simulate", *arguments])
    out = capsys.readouterr()
    return done.value.code, out.out, out.err


def test_the_command_counts_runs_faults_and_samples(capsys):
    code, out, _ = told(capsys, "--schedules", "6", "--seed", "5", "--json")
    report = json.loads(out)
    assert code == 0 and report["runs"] == 6 and report["violations"] == 0
    assert report["samples"] == 6 * 2 * 150
    assert report["faults"]["crash"]["total"] > 0
    assert sum(report["policies"].values()) == 6
    code, out, _ = told(capsys, "--schedules", "2", "--policy", "sync", "--replicas", "2")
    assert code == 0 and "violations     0" in out


def test_a_violation_is_told_with_the_command_that_replays_it(capsys, monkeypatch):
    def push(shard, push, now):  # every gradient weighs the same, however many samples it has
        return Shard.push(shard, push._replace(update=push.update._replace(n=1.0)), now)

    monkeypatch.setitem(HANDLERS, m.Push, push)
    plan = ["--workers", "3", "--servers", "2", "--policy", "sync"]
    code, out, _ = told(capsys, *plan, "--schedules", "2", "--json")
    report = json.loads(out)
    assert code == 1 and report["violations"] > 0
    failure = report["failures"][0]
    assert failure["replay"].endswith(f"--policy sync --replay {failure['seed']}")
    code, out, _ = told(capsys, *failure["replay"].split()[2:])
    assert code == 1 and "VIOLATION" in out and "commit" in out


def test_bad_options_are_refused_with_what_is_accepted(capsys):
    code, _, err = told(capsys, "--policy", "asynk")
    names = listing(["all", "sync", "async", "round_robin"])
    assert code == 2 and f"--policy='asynk' is unknown. Choose from: {names}" in err
    code, _, err = told(capsys, "--workers", "2", "--backup", "2")
    assert code == 2 and "--backup must be auto or a number from 0 to 1" in err
    code, _, err = told(capsys, "--plot", "x.png")
    assert code == 2 and "--stragglers" in err


@pytest.mark.parametrize("seed", range(6))
def test_updates_that_are_added_keep_the_promises(seed):
    drawn = scenario(Plan(workers=3, servers=2), seed)
    rule = rule_of(Sgd(), 0.02)._replace(adding=2.0)
    job = drawn.setup.job._replace(rule=rule)
    sim, seen = run(drawn._replace(setup=drawn.setup._replace(job=job)))
    assert sum(sim.fired.values()) > 0 and violations(seen) == []
