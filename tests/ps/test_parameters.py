"""A shard's state: exact copies, any cut into shards, no trace of reading; what is refused."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_twins import OPTIMIZERS

from widemargin.ps import parameters
from widemargin.ps.optimizers import Adagrad, Sgd
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import Constant, Optimal

N = 24
DTYPES = st.sampled_from([np.float32, np.float64])


@st.composite
def histories(draw):
    """A rule, first parameters, and the updates of a few commits over the keys 0 … N − 1."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype, width = draw(DTYPES), draw(st.integers(1, 3))
    rule = Rule(
        draw(st.sampled_from(OPTIMIZERS)),
        Optimal(0.5, 0.1),
        lam=draw(st.sampled_from([0.0, 0.1, 1.9])),
        free_from=draw(st.sampled_from([None, 0, 7, N - 1, N])),
        free_share=0.25,
        decay=draw(st.sampled_from([None, 0.1, 0.9])),
    )
    commits = []
    for _ in range(draw(st.integers(1, 12))):
        updates = []
        for _ in range(rng.integers(1, 4)):
            named = rng.random() < 0.7
            keys = np.flatnonzero(rng.random(N) < 0.4) if named else None
            rows = len(keys) if named else N
            values = rng.normal(size=(rows, width)).astype(dtype)
            updates.append(Update(keys, values, float(rng.integers(1, 9))))
        commits.append(updates)
    return rule, rng.normal(size=(N, width)).astype(dtype), commits


def cut(update, start, stop):
    """The part of an update that concerns the keys start … stop − 1."""
    if update.keys is None:
        return update._replace(values=update.values[start:stop])
    inside = (update.keys >= start) & (update.keys < stop)
    return Update(update.keys[inside], update.values[inside], update.n)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(histories(), st.sets(st.integers(1, N - 1), max_size=4))
def test_any_cut_into_shards_gives_the_same_bits(history, edges):
    rule, theta, commits = history
    whole = Parameters.create(rule, theta, 0)
    bounds = [0, *sorted(edges), N]
    spans = list(zip(bounds[:-1], bounds[1:], strict=True))
    shards = [Parameters.create(rule, theta[a:b], a) for a, b in spans]
    for updates in commits:
        whole.apply(updates)
        for shard, (a, b) in zip(shards, spans, strict=True):
            shard.apply([cut(update, a, b) for update in updates])
    np.testing.assert_array_equal(np.concatenate([shard.read() for shard in shards]), whole.read())
    averages = np.concatenate([shard.read_average() for shard in shards])
    np.testing.assert_array_equal(averages, whole.read_average())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(histories(), st.data())
def test_a_restored_shard_has_the_same_future_and_reading_leaves_no_trace(history, data):
    rule, theta, commits = history
    plain, other = (Parameters.create(rule, theta, 0) for _ in range(2))
    stop = data.draw(st.integers(0, len(commits) - 1))
    for k, updates in enumerate(commits):
        plain.apply(updates)
        if k == stop:
            other = Parameters.restore(rule, other.arrays(), 0)
        other.read()
        other.read(np.arange(0, N, 5))
        other.read_average()
        other.arrays()
        other.apply(updates)
    mine, theirs = plain.arrays(), other.arrays()
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])
        assert mine[name].dtype == theirs[name].dtype
    assert plain.t == other.t == len(commits)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_what_is_handed_out_or_taken_in_is_a_copy(optimizer):
    theta = np.arange(6.0).reshape(3, 2)
    rule = Rule(optimizer, Constant(0.1), decay=0.9)
    shard = Parameters.create(rule, theta, 0)
    shard.apply([Update(None, np.ones((3, 2)), 1.0)])
    before = {name: array.copy() for name, array in shard.arrays().items()}
    held = shard.arrays()
    given = [theta, shard.read(), shard.read(np.array([0, 2])), shard.read_average()]
    for array in [*given, *held.values()]:
        array.fill(77)
    again = Parameters.restore(rule, before, 0)
    for array in before.values():
        array.fill(55)
    for name, array in shard.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
        assert array.flags.writeable
    assert not (shard.read() == 77).any()


def test_reading_some_keys_reads_their_rows():
    theta = np.arange(10.0).reshape(5, 2)
    rule = Rule(Sgd(), Constant(0.5), lam=0.5, free_from=13)
    shard = Parameters.create(rule, theta, 10)
    shard.apply([])
    expected = theta * np.array([0.75, 0.75, 0.75, 1.0, 1.0])[:, None]
    np.testing.assert_array_equal(shard.read(), expected)
    keys = np.array([11, 14], np.uint32)
    np.testing.assert_array_equal(shard.read(keys), expected[[1, 4]])
    assert shard.read(np.empty(0, np.int64)).shape == (0, 2)


def test_updates_as_messages_hold_them_are_taken():
    """Read-only, unaligned, of another order: the same bits."""
    g = np.random.default_rng(0).normal(size=(4, 2))
    raw = np.frombuffer(b"x" + g.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 2)
    assert not raw.flags.writeable and not raw.flags.aligned
    results = []
    for values in [g, raw, np.asfortranarray(g), np.repeat(g, 2, axis=0)[::2]]:
        shard = Parameters.create(Rule(Adagrad(), Constant(0.1)), np.ones((4, 2)), 0)
        shard.check(Update(None, values, 1.0))
        shard.apply([Update(np.arange(4), values, 1.0)])
        results.append(shard.read())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


OK = np.zeros((2, 1))


@pytest.mark.parametrize(
    "update, message",
    [
        (Update(np.array([6, 12]), OK, 1), r"keys must be of this shard, 5 to 9, got 12\. Send"),
        (Update(np.array([4, 6]), OK, 1), r"keys must be of this shard, 5 to 9, got 4\. Send"),
        (Update(np.array([7, 6]), OK, 1), r"sorted and unique, got 7 before 6 at position 0"),
        (Update(np.array([7, 6], np.uint32), OK, 1), r"got 7 before 6 at position 0"),
        (Update(np.array([6, 6]), OK, 1), r"got 6 before 6 at position 0\. Sort them"),
        (Update(np.array([6.0, 7.0]), OK, 1), r"int64 or uint32, got float64 of shape \(2,\)"),
        (Update([6, 7], OK, 1), r"int64 or uint32, got list"),
        (Update(np.array([[6, 7]]), OK, 1), r"got int64 of shape \(1, 2\)\. Convert"),
        (Update(np.array([6, 7]), OK[:1], 1), r"float64 of shape \(2, 1\), got .* \(1, 1\)"),
        (Update(None, OK, 1), r"values must be float64 of shape \(5, 1\), got .* \(2, 1\)"),
        (Update(np.array([6, 7]), OK[:, 0], 1), r"of shape \(2, 1\), got float64 of shape \(2,\)"),
        (Update(np.array([6, 7]), OK.astype("f4"), 1), r"must be float64 .* got float32"),
        (Update(np.array([6, 7]), [[0.0], [0.0]], 1), r"values must be .* got list"),
        (Update(np.array([6, 7]), OK, -1), r"n must be finite and at least 0, got -1"),
        (Update(np.array([6, 7]), OK, float("nan")), r"n must be finite .* got nan"),
        (Update(np.array([6, 8]), OK + [[0], [np.nan]], 1), r"must be finite, got nan at key 8"),
        (Update(None, np.full((5, 1), -np.inf), 1), r"must be finite, got -inf at row 0\. Lower"),
    ],
)
def test_unfit_updates_are_refused(update, message):
    shard = Parameters.create(Rule(Sgd(), Constant(0.1)), np.zeros((5, 1)), 5)
    with pytest.raises(ValueError, match=message):
        shard.check(update)
    if "must be finite, got" not in message and "finite, got -inf" not in message:
        with pytest.raises(ValueError, match=message):
            shard.apply([update])
    np.testing.assert_array_equal(shard.read(), np.zeros((5, 1)))
    assert shard.t == 0


@pytest.mark.parametrize(
    "theta, start, message",
    [
        (np.zeros(3), 0, r"theta must be float32 or float64 of 2 axes, .* float64 of shape \(3,\)"),
        (np.zeros((3, 1), int), 0, r"got int64 of shape \(3, 1\)\. Convert"),
        ([[0.0]], 0, r"got list\. Convert"),
        (np.full((3, 1), np.nan), 0, r"theta must be finite, found NaN"),
        (np.zeros((3, 1)), -1, r"start must be at least 0, got -1"),
    ],
)
def test_unfit_parameters_are_refused(theta, start, message):
    with pytest.raises(ValueError, match=message):
        Parameters.create(Rule(Sgd(), Constant(0.1)), theta, start)


def test_arrays_of_another_rule_are_refused():
    arrays = Parameters.create(Rule(Sgd(), Constant(0.1)), np.zeros((3, 1)), 0).arrays()
    rule = Rule(Adagrad(), Constant(0.1))
    with pytest.raises(ValueError, match=r"got \['scale', 't', 'theta'\]\. Restore with the rule"):
        Parameters.restore(rule, arrays, 0)
    with pytest.raises(ValueError, match=r"squares must be float64 of shape \(3, 1\).* \(2, 1\)"):
        Parameters.restore(rule, {**arrays, "squares": np.zeros((2, 1))}, 0)


def test_the_example_runs():
    results = doctest.testmod(parameters)
    assert results.attempted > 4 and results.failed == 0


def test_updates_are_added_up_to_so_many():
    rule = Rule(Sgd(), Constant(1.0), adding=2.0)
    ones = Update(np.array([1, 3]), np.ones((2, 1)), 5.0)
    twos = Update(np.array([0, 3]), np.full((2, 1), 2.0), 9.0)
    for updates, expected in [
        ([ones], [0, -1, 0, -1]),
        ([ones, twos], [-2, -1, 0, -3]),
        ([ones, twos, twos, ones], [-2, -1, 0, -3]),  # four count half
        ([ones, Update(None, np.full((4, 1), 4.0), 0.0)], [-4, -5, -4, -5]),
        ([Update(ones.keys, ones.values, 0.0)], [0, -1, 0, -1]),
    ]:
        shard = Parameters.create(rule, np.zeros((4, 1)), 0)
        shard.apply(updates)
        assert shard.read()[:, 0].tolist() == expected


@pytest.mark.parametrize("adding", [0.5, -1.0, np.inf, np.nan])
def test_what_is_added_counts_in_full_alone(adding):
    with pytest.raises(ValueError, match="adding must be None or finite and at least 1, got"):
        Parameters.create(Rule(Sgd(), Constant(1.0), adding=adding), np.zeros((4, 1)), 0)
