"""Servers that say that they live in the midst of their work, where the network fails them."""

from functools import partial

import numpy as np
import pytest

from widemargin.ps.average import DecayedAverage
from widemargin.ps.breath import PIECE, copied
from widemargin.ps.optimizers import Adam, Sgd
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.ps.shard import Shard
from widemargin.ps.simulate import Simulation
from widemargin.ps.simulate_trial import Plan, trial
from widemargin.schedules import Constant


@pytest.fixture
def said(monkeypatch):
    """In the simulator every server speaks after every piece of its work."""
    begin, count = Simulation.start, [0]

    def start(self, name):
        begin(self, name)
        role = self.processes[name].role
        if isinstance(role, Shard):
            role.restore = partial(restored, self, name, self.processes[name].life, role)

    def restored(self, name, life, role, arrays):
        def breathe():
            count[0] += 1
            self.send(name, life, role.alive())

        first = self.parts[role.group].start
        return Parameters.restore(self.setup.job.rule, arrays, first, breathe=breathe)

    monkeypatch.setattr(Simulation, "start", start)
    return count


@pytest.mark.parametrize("servers, partitions", [(3, 1), (2, 2)])
def test_no_schedule_breaks_a_promise(said, servers, partitions):
    plan = Plan(workers=3, servers=servers, partitions=partitions)
    for seed in range(9):
        assert trial(plan, seed).violations == [], f"seed {seed}"
    assert said[0] > 1000


@pytest.mark.parametrize("optimizer, decay", [(Adam(), None), (Sgd(), 0.9), (Adam(), 0.9)])
def test_all_that_takes_long_is_done_in_pieces_of_the_same_bits(optimizer, decay, monkeypatch):
    n, breaths, rng = 3 * PIECE + 5, [], np.random.default_rng(7)
    rule = Rule(optimizer, Constant(0.1), lam=0.1, decay=decay, free_from=n - 9)
    told = Parameters.create(rule, rng.normal(size=(n, 1)).astype(np.float32), 0).arrays()
    gradients = [rng.normal(size=(n, 1)).astype(np.float32) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("widemargin.ps.parameters.PIECE", n)
        patch.setattr("widemargin.ps.average.PIECE", n)
        whole = Parameters.restore(rule, told, 0)
    server = Parameters.restore(rule, told, 0, breathe=lambda: breaths.append(1))
    for work in (
        lambda p: p.apply([Update(None, gradients[0], 3.0)]),
        lambda p: p.apply([Update(None, g, 1.0) for g in gradients]),
        lambda p: p.read(),
        lambda p: p.read_average(),
        lambda p: p.arrays(),
    ):
        before = len(breaths)
        one, other = work(whole), work(server)
        assert len(breaths) - before >= 4
        if isinstance(one, np.ndarray):
            assert one.tobytes() == other.tobytes()
    for name, array in whole.arrays().items():
        assert array.tobytes() == server.arrays()[name].tobytes()


def test_a_copy_is_of_its_own_and_in_c_order():
    source = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    copy = copied(source)
    assert copy.flags.c_contiguous and not np.shares_memory(copy, source)
    np.testing.assert_array_equal(copy, source)
    assert copied(np.float64(2.5)).shape == () and copied(np.zeros((0, 2))).shape == (0, 2)


def test_an_average_in_pieces_is_that_in_one(monkeypatch):
    rng = np.random.default_rng(3)
    v, u = rng.normal(size=(2, 1000, 3))
    found = []
    for piece in (1 << 16, 64):
        monkeypatch.setattr("widemargin.ps.average.PIECE", piece)
        average = DecayedAverage(0.9, 700, u.copy(), np.array([0.7, 0.2, 0.1]))
        average.multiply_out(v)
        average.take(v, 0.5)
        found.append(average.read(v))
    assert found[0].tobytes() == found[1].tobytes()
