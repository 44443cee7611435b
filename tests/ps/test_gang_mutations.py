"""Deliberate bugs in the roles of workers of several processes: the oracle finds each, and soon."""

import pytest
from test_mutations import MOST, swap

from widemargin.ps import messages as m
from widemargin.ps.leader import HANDLERS as OF_LEADERS
from widemargin.ps.leader import Leader
from widemargin.ps.partition import Partition
from widemargin.ps.simulate_trial import Plan, trial

SMALL = Plan(workers=3, servers=3, partitions=3)


def update_of_the_older_lease_pushed(patch):
    def computed(partition, computed, now):
        before = partition.updates or kept.get(partition)
        sends = old(partition, computed, now)
        partition.updates, kept[partition] = before or partition.updates, partition.updates
        return sends

    kept = {}
    old = swap(patch, Partition, "computed", computed)


def gang_goes_on_without_one_that_began_anew(patch):
    def standing(leader, told, now):
        if leader.lives:
            told = told._replace(life=leader.lives[told.partition])
        return old(leader, told, now)

    old = swap(patch, Leader, "standing", standing)


def works_before_all_are_there(patch):
    patch.setitem(OF_LEADERS, m.Place, lambda leader, place, now: hurried(leader, place))

    def hurried(leader, place):
        leader.place = place.place
        leader.lives = (leader.life, *(1 for _ in leader.partners))
        return [m.Send(m.LOCAL, m.Open(leader.life, 0, leader.place))]


MUTATIONS = {  # where they are found soonest: a policy, a number of partitions
    update_of_the_older_lease_pushed: ("all", 3),
    gang_goes_on_without_one_that_began_anew: ("async", 3),
    works_before_all_are_there: ("all", 3),
}


def schedules_until_found(policy, partitions):
    """How many schedules were run when a promise was seen broken."""
    for seed in range(MOST):
        if trial(SMALL._replace(policy=policy, partitions=partitions), seed).violations:
            return seed + 1
    return None


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_the_bug_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    assert schedules_until_found(*MUTATIONS[mutate]) is not None


def test_without_a_bug_none_is_found():
    assert all(trial(SMALL, seed).violations == [] for seed in range(15))
