"""Error feedback: what was left behind comes later, once, and only of what was committed."""

import numpy as np
import pytest

from widemargin.ps import messages as m
from widemargin.ps.compression import BFloat16, Int8, TopK, decode
from widemargin.ps.feedback import Packer
from widemargin.ps.gradients import Update

PARTS = [(0, 40), (40, 100)]
CODECS = [BFloat16(feedback=True), Int8(16, feedback=True), TopK(0.05)]


def gradients(i, keys=False, width=1):
    """One for each group, float64, so that sums tell what is lost."""
    rng = np.random.default_rng(i)
    made = []
    for start, stop in PARTS:
        named = None
        if keys:
            named = np.flatnonzero(rng.random(stop - start) < 0.4).astype(np.uint32) + start
        n = stop - start if named is None else len(named)
        made.append(Update(named, rng.normal(size=(n, width)), 8.0))
    return made


def dense(updates, width=1):
    total = np.zeros((100, width))
    for update, (start, stop) in zip(updates, PARTS, strict=True):
        at = np.arange(start, stop) if update.keys is None else update.keys.astype(int)
        total[at] += update.values
    return total


def left(packer, width=1):
    parts = zip(packer.left, PARTS, strict=True)
    return np.concatenate([np.zeros((b - a, width)) if e is None else e for e, (a, b) in parts])


def follow(packer, fates, *, keys=False, width=1, term=1):
    """Pack a gradient for each fate; Σ g and Σ ĝ of those committed."""
    last, owed, paid = None, 0.0, 0.0
    for i, committed in enumerate(fates):
        lease, g = (term, i + 1), gradients(i, keys, width)
        before = [update.values.copy() for update in g]
        sent = packer.pack(lease, last, m.Block(0, i), g)
        assert all((u.values == b).all() for u, b in zip(g, before, strict=True))
        if committed:
            owed, paid, last = owed + dense(g, width), paid + dense(map(decode, sent), width), lease
    packer.settle(term, last)
    return owed, paid


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("width", [1, 3])
def test_over_what_was_committed_nothing_is_lost(codec, keys, width):
    fates = np.random.default_rng(0).random(60) < 0.7
    packer = Packer(codec, PARTS, seed=0)
    owed, paid = follow(packer, fates, keys=keys, width=width)
    assert np.abs(owed - paid).max() > 1e-4  # something is under way
    np.testing.assert_allclose(paid + left(packer, width), owed, atol=1e-12 * 60)


def test_what_is_left_behind_stays_bounded():
    codec, delta, largest = TopK(0.1), 0.1, 0.0
    packer, last = Packer(codec, PARTS, seed=0), None
    for i in range(300):
        g = gradients(i)
        largest = max(largest, np.linalg.norm(dense(g)))
        packer.pack((1, i), last, m.Block(0, i), g)
        last = (1, i)
        assert np.linalg.norm(left(packer)) <= 2 * np.sqrt(1 - delta) / delta * largest


def test_a_void_gradient_leaves_e_as_it_was():
    packer = Packer(TopK(0.05), PARTS, seed=0)
    follow(packer, [True, True])
    e, last = left(packer), packer.at
    first = packer.pack((1, 8), last, m.Block(0, 8), gradients(8))
    again = packer.pack((1, 9), last, m.Block(0, 8), gradients(8))  # the block, leased again
    np.testing.assert_array_equal(left(packer), e)
    for one, two in zip(first, again, strict=True):
        assert one.values.tobytes() == two.values.tobytes()


def test_a_new_term_begins_with_nothing():
    packer, fresh = Packer(TopK(0.05), PARTS, 0), Packer(TopK(0.05), PARTS, 0)
    follow(packer, [True, True])
    for each in (packer, fresh):
        each.sent = each.pack((2, 1), None, m.Block(0, 9), gradients(9))
    for one, two in zip(packer.sent, fresh.sent, strict=True):
        assert one.values.tobytes() == two.values.tobytes()


def test_without_feedback_whoever_computes_the_block_sends_the_same():
    one, two = (Packer(Int8(), PARTS, seed=4) for _ in range(2))
    follow(one, [True, False, True])
    a = one.pack((1, 7), (1, 3), m.Block(2, 5), gradients(5))
    b = two.pack((3, 1), None, m.Block(2, 5), gradients(5))
    assert [part.codes.tobytes() for part in a] == [part.codes.tobytes() for part in b]
    assert one.left == [None, None]
    other = Packer(Int8(), PARTS, seed=5).pack((1, 1), None, m.Block(2, 5), gradients(5))
    assert a[0].codes.tobytes() != other[0].codes.tobytes()
