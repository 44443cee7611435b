"""Policies: what makes a commit, who may begin, how many backups pay."""

import random

import pytest

from widemargin.ps.messages import Block
from widemargin.ps.policy import (
    Async,
    RoundRobin,
    Sync,
    Work,
    best_backup,
    may_begin,
    needed,
    ready,
)
from widemargin.ps.roster import arrivals


def work(*arrivals_):
    """Leases (1, k) of worker-k on block k; None has not arrived."""
    return {
        (1, k): Work(f"worker-{k}", Block(0, k), 0, arrival) for k, arrival in enumerate(arrivals_)
    }


def test_sync_takes_the_first_n_and_waits_for_them():
    assert ready(Sync(), work(3, None, 1, 2), 3, "") == [(1, 2), (1, 3), (1, 0)]
    assert ready(Sync(), work(3, None, 1, 2), 2, "") == [(1, 2), (1, 3)]
    assert ready(Sync(), work(3, None, 1, 2), 4, "") == []


def test_two_gradients_of_one_block_count_as_one():
    twice = work(2, 1)
    twice[(1, 1)] = twice[(1, 1)]._replace(block=Block(0, 0))
    assert ready(Sync(), twice, 2, "") == []
    assert ready(Sync(), twice, 1, "") == [(1, 1)]


def test_async_takes_one_in_order_of_arrival():
    assert ready(Async(), work(3, None, 1), 1, "") == [(1, 2)]
    assert ready(Async(), work(None, None), 1, "") == []


@pytest.mark.parametrize(
    ("last", "turn"), [("", 0), ("worker-0", 1), ("worker-1", 2), ("worker-2", 0)]
)
def test_round_robin_goes_by_name_and_waits_for_the_turn(last, turn):
    assert ready(RoundRobin(), work(5, 4, 3), 1, last) == [(1, turn)]
    waiting = work(5, 4, 3)
    waiting[(1, turn)] = waiting[(1, turn)]._replace(arrival=None)
    assert ready(RoundRobin(), waiting, 1, last) == []


def test_needed_is_workers_less_backups_and_never_more_than_blocks():
    assert needed(1, 5, 100) == 4
    assert needed(1, 5, 2) == 2
    assert needed(7, 5, 100) == 1


@pytest.mark.parametrize("bound", [0, 1, 3, 6])
def test_no_gradient_is_later_than_the_bound_whatever_the_order(bound):
    rng = random.Random(bound)
    for _ in range(200):
        version, begun, worst = 0, [], 0
        for _ in range(60):
            if may_begin(Async(bound), version, begun) and len(begun) < 5 and rng.random() < 0.6:
                begun.append(version)
            elif begun:
                worst = max(worst, version - begun.pop(rng.randrange(len(begun))))
                version += 1
        assert worst <= bound


def test_without_a_bound_all_may_begin():
    assert may_begin(Async(), 100, [0, 5]) and may_begin(Sync(), 9, [9])
    assert not may_begin(Async(2), 5, [3])


@pytest.mark.parametrize(
    ("durations", "backup"),
    [
        ([1.0] * 8, 0),
        ([1.0] * 7 + [10.0], 1),
        ([1.0] * 6 + [10.0, 10.0], 2),
        ([1.0] * 7 + [1.1], 0),
        ([], 0),
        ([3.0], 0),
    ],
)
def test_backups_are_those_who_cost_more_time_than_they_bring(durations, backup):
    assert best_backup(durations) == backup


def test_arrivals_are_means_of_order_statistics():
    assert arrivals([[1.0, 3.0], [2.0, 2.0]]) == [pytest.approx(1.5), pytest.approx(2.5)]
    assert arrivals([]) == []
    assert arrivals([[1.0, 1.0], [5.0]]) == [pytest.approx(1.0), pytest.approx(5.0)]
