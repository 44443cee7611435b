"""The ledger: a block is free, leased or committed, once an epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widemargin.ps.ledger import Ledger, block_order
from widemargin.ps.messages import Block


def leased(ledger, n):
    return [ledger.take((1, k), f"worker-{k}", 0, float(k)) for k in range(n)]


def test_blocks_are_leased_in_order_and_an_epoch_ends_when_all_are_committed():
    ledger = Ledger(3, 2, 0, shuffle=False)
    blocks = leased(ledger, 3)
    assert blocks == [Block(0, 0), Block(0, 1), Block(0, 2)]
    assert ledger.take((1, 9), "worker-9", 0, 0.0) is None
    ledger.commit(blocks[:2])
    assert (ledger.epoch, ledger.left) == (0, 1)
    ledger.commit(blocks[2:])
    assert (ledger.epoch, ledger.left, ledger.leases) == (1, 3, {})


def test_a_block_given_back_comes_first_again():
    ledger = Ledger(3, 1, 0, shuffle=False)
    leased(ledger, 2)
    ledger.give_back((1, 0))
    assert ledger.take((1, 5), "worker-0", 0, 0.0) == Block(0, 0)


def test_a_block_under_way_twice_is_committed_once_and_not_free_in_between():
    ledger = Ledger(2, 1, 0, shuffle=False)
    leased(ledger, 2)
    assert ledger.slowest("worker-1") == (1, 0)
    ledger.take_again((1, 7), (1, 0), "worker-1", 0, 5.0)
    assert ledger.slowest("worker-3") == (1, 1), "the other has two tries already"
    ledger.give_back((1, 0))
    assert not ledger.free
    assert ledger.commit([Block(0, 0)]) == [(1, 7)]
    with pytest.raises(AssertionError, match="committed twice"):
        ledger.commit([Block(0, 0)])


def test_the_order_is_a_permutation_that_differs_between_epochs():
    orders = [block_order(50, epoch, 3, shuffle=True) for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    assert block_order(50, 1, 3, shuffle=True) == orders[1]


def test_a_worker_gets_the_block_it_has_read_ahead():
    ledger = Ledger(4, 1, 0, shuffle=False)
    ahead = ledger.free_beside({"worker-1": Block(0, 0)}, "worker-0")
    assert ahead == Block(0, 1)
    assert ledger.take((1, 1), "worker-0", 0, 0.0, ahead) == ahead
    assert ledger.take((1, 2), "worker-2", 0, 0.0, ahead) == Block(0, 0), "it is leased already"


@given(st.lists(st.integers(0, 8), max_size=30), st.integers(0, 3))
def test_a_record_and_the_commits_after_it_make_the_same_ledger(steps, cut):
    ledger, record, after = Ledger(9, 3, 1, shuffle=True), None, []
    for n, step in enumerate(steps):
        if n == cut:
            record, after = ledger.record(), []
        blocks = [ledger.take((1, n * 10 + k), "w", 0, 0.0) for k in range(step)]
        blocks = [block for block in blocks if block is not None]
        if blocks:
            ledger.commit(blocks)
            after.append(blocks)
    other = Ledger(9, 3, 1, shuffle=True)
    other.restore(record or Ledger(9, 3, 1, shuffle=True).record(), after)
    assert (other.epoch, other.left) == (ledger.epoch, ledger.left)
    assert (other.committed == ledger.committed).all()
    assert list(other.free) == list(ledger.free)
