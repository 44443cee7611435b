"""Every optimizer equals its twin; named keys give what all keys give; each message says why."""

import numpy as np
import pytest
from optimizer_twins import MOVES, OPTIMIZERS, walk

from widemargin.errors import Diverged
from widemargin.ps.optimizers import Adagrad, Adam, Momentum, Sgd, shrinking
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import Constant, InvScaling, Optimal, rate

N, WIDTH, START = 37, 3, 5
CLOSE = {np.float64: {"rtol": 1e-12, "atol": 1e-12}, np.float32: {"rtol": 2e-5, "atol": 2e-6}}


def dense(rng, dtype, n=N, width=WIDTH):
    return rng.normal(size=(n, width)).astype(dtype)


def some_keys(rng, share=0.3):
    return START + np.flatnonzero(rng.random(N) < share)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_an_optimizer_is_its_twin(optimizer, dtype):
    rng, schedule = np.random.default_rng(0), InvScaling(0.1, 0.3)
    theta, gradients = dense(rng, dtype), [dense(rng, dtype) for _ in range(60)]
    shard = Parameters.create(Rule(optimizer, schedule), theta, START)
    for g in gradients:
        shard.apply([Update(None, g, 4.0)])
    twin = walk(optimizer, theta.astype(float), gradients, lambda t: rate(schedule, t))
    np.testing.assert_allclose(shard.read(), twin[-1], **CLOSE[dtype])
    assert shard.t == 60
    assert shard.read().dtype == dtype


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_absent_keys_have_the_gradient_zero(optimizer):
    rng = np.random.default_rng(1)
    theta = dense(rng, np.float64)
    rule = Rule(optimizer, Optimal(0.2, 0.1), lam=0.1, free_from=START + 30, free_share=0.25)
    named, whole = (Parameters.create(rule, theta, START) for _ in range(2))
    for _ in range(30):
        updates, filled = [], []
        for n in [3.0, 1.0, 5.0][: rng.integers(1, 4)]:
            keys = some_keys(rng).astype(rng.choice([np.int64, np.uint32]))
            values, g = dense(rng, np.float64, len(keys)), np.zeros((N, WIDTH))
            g[keys.astype(int) - START] = values
            updates.append(Update(keys, values, n))
            filled.append(Update(None, g, n))
        named.apply(updates)
        whole.apply(filled)
        np.testing.assert_array_equal(named.read(), whole.read())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_weights_shrink_first_and_free_keys_do_not_nor_decay(optimizer):
    rng, eta, lam, share, free = np.random.default_rng(8), 0.1, 0.7, 0.25, 25
    theta = dense(rng, np.float64)
    rule = Rule(optimizer, Constant(eta), lam, START + free, share)
    shard = Parameters.create(rule, theta, START)
    move, freely = MOVES[type(optimizer)], optimizer._replace(weight_decay=0.0)
    kept = freely if shrinking(optimizer) else optimizer
    shrink = 1.0 - eta * (lam + shrinking(optimizer))
    a, b, a_state, b_state = theta[:free], theta[free:], {}, {}
    for t in range(1, 80):
        g = dense(rng, np.float64)
        shard.apply([Update(None, g, 1.0)])
        a = shrink * a
        a = a + move(kept, a, g[:free], eta, t, a_state)
        b = b + move(freely, b, g[free:], eta * share, t, b_state)
    np.testing.assert_allclose(shard.read(), np.concatenate([a, b]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("named", [True, False])
def test_plain_sgd_does_what_its_docstring_says(named):
    """v ← v − (η / s) g after s ← s max(0, 1 − η λ), bit for bit, s renewed on the way."""
    rng, schedule, lam, free, share = np.random.default_rng(2), Constant(0.9), 1.05, 30, 0.3
    theta = dense(rng, np.float64)
    rule = Rule(Sgd(), schedule, lam, START + free, share)
    shard, v, s, renewed = Parameters.create(rule, theta, START), theta.copy(), 1.0, 0
    for t in range(60):
        keys = some_keys(rng) if named else START + np.arange(N)
        g, eta = dense(rng, np.float64, len(keys)), rate(schedule, t)
        shard.apply([Update(keys if named else None, g, 7.0)])
        s *= max(0.0, 1.0 - eta * lam)
        if s < 1e-6:
            v[:free] *= s
            s, renewed = 1.0, renewed + 1
        at = keys - START
        v[at] -= np.where(at < free, eta / s, eta * share)[:, None] * g
        np.testing.assert_array_equal(shard.read()[:free], s * v[:free])
        np.testing.assert_array_equal(shard.read(START + np.arange(free, N)), v[free:])
    assert renewed >= 1


@pytest.mark.parametrize("optimizer", [Sgd(), Momentum(), Adagrad()], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_several_gradients_are_added_in_the_order_given(optimizer, dtype):
    rng, ns = np.random.default_rng(3), [3.0, 1.0, 4.0]
    shares = [dtype(n / 8.0) for n in ns]
    gradients = [dense(rng, dtype) for _ in ns]
    first = shares[0] * gradients[0] + shares[1] * gradients[1]
    mean = first + shares[2] * gradients[2]
    rule = Rule(optimizer, Constant(0.1))
    start = dense(rng, dtype)
    many, one = (Parameters.create(rule, start, START) for _ in range(2))
    for _ in range(3):
        many.apply([Update(None, g, n) for g, n in zip(gradients, ns, strict=True)])
        one.apply([Update(None, mean, 8.0)])
    assert mean.dtype == dtype
    np.testing.assert_array_equal(many.read(), one.read())


@pytest.mark.parametrize("optimizer", [Sgd(), Momentum()], ids=str)
def test_named_and_unnamed_gradients_add_up(optimizer):
    rng = np.random.default_rng(4)
    keys, g, some = some_keys(rng), dense(rng, np.float64), None
    some = dense(rng, np.float64, len(keys))
    whole = np.zeros_like(g)
    whole[keys - START] = some
    start, rule = dense(rng, np.float64), Rule(optimizer, Constant(0.1))
    a, b = (Parameters.create(rule, start, START) for _ in range(2))
    a.apply([Update(keys, some, 2.0), Update(None, g, 6.0)])
    b.apply([Update(None, 0.25 * whole + 0.75 * g, 8.0)])
    np.testing.assert_array_equal(a.read(), b.read())


@pytest.mark.parametrize("updates", [[], [Update(np.empty(0, np.int64), np.empty((0, WIDTH)), 2)]])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_no_gradient_is_the_gradient_zero(optimizer, updates):
    rng = np.random.default_rng(5)
    theta, g = dense(rng, np.float64), dense(rng, np.float64)
    rule = Rule(optimizer, Constant(0.1), lam=0.3, decay=0.5)
    a, b = (Parameters.create(rule, theta, START) for _ in range(2))
    for shard, then in [(a, updates), (b, [Update(None, 0.0 * g, 1.0)])]:
        shard.apply([Update(None, g, 1.0)])
        shard.apply(then)
    np.testing.assert_array_equal(a.read(), b.read())
    np.testing.assert_allclose(a.read_average(), b.read_average(), rtol=1e-12)
    assert a.t == b.t == 2


def test_weights_of_nothing_move_nothing():
    theta = np.ones((N, WIDTH))
    shard = Parameters.create(Rule(Sgd(), Constant(0.1)), theta, START)
    shard.apply([Update(None, theta, 0.0), Update(None, theta, 0.0)])
    shard.apply([Update(None, theta, 0.0)])
    shard.apply([Update(some, theta[:2], 0.0) for some in [np.array([6, 7]), np.array([7, 9])]])
    np.testing.assert_array_equal(shard.read(), theta)


@pytest.mark.parametrize("optimizer", [Adam(), Sgd(), Adagrad()], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("named", ["all", "some", "either"])
@pytest.mark.parametrize("dtype, close", [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_the_average_forgets_as_stated(optimizer, alpha, named, dtype, close):
    """Also where the scale and the average's own are renewed on the way."""
    rng = np.random.default_rng(6)
    theta = dense(rng, dtype)
    rule = Rule(optimizer, Constant(0.3), lam=2.0, free_from=START + 20, decay=alpha)
    shard, average = Parameters.create(rule, theta, START), theta.astype(float)
    for k in range(400):
        keys = None if named == "all" or (named == "either" and k % 7 == 0) else some_keys(rng)
        g = dense(rng, dtype, N if keys is None else len(keys))
        shard.apply([Update(keys, g, 1.0)])
        average = alpha * average + (1 - alpha) * shard.read()
        np.testing.assert_allclose(shard.read_average(), average, rtol=close, atol=close)
    assert shard.read_average().dtype == dtype
    bare = Parameters.create(rule._replace(decay=None), theta, START)
    np.testing.assert_array_equal(bare.read_average(), theta)


@pytest.mark.parametrize("named", [True, False])
def test_divergence_is_an_error_that_names_the_commit(named):
    shard = Parameters.create(Rule(Sgd(), Constant(1e30)), np.ones((4, 1), np.float32), 8)
    keys = np.array([9, 10]) if named else None
    g = np.full((2 if named else 4, 1), 1e30, np.float32)
    with pytest.raises(Diverged, match=r"keys 8 to 11 .* commit 1\. Lower eta0"):
        shard.apply([Update(keys, g, 1.0)])


@pytest.mark.parametrize(
    "rule, message",
    [
        (Rule(Sgd(), Constant(0.5), lam=2.0), r"lam \* eta0 must be below 1, got 2 \* 0\.5"),
        (Rule(Sgd(1.0), Constant(0.5), lam=1.0), r"got 2 \* 0\.5 = 1: .* Lower eta0 below 0\.5"),
        (Rule(Sgd(-1.0), Constant(0.5)), r"weight_decay of Sgd .* got -1\.0"),
        (Rule(Momentum(1.0), Constant(0.5)), r"momentum of Momentum .* below 1, got 1\.0"),
        (Rule(Adam(eps=float("nan")), Constant(0.5)), r"eps of Adam .* got nan"),
        (Rule(Sgd(), Constant(float("inf"))), r"eta0 must be finite .* got inf"),
        (Rule(Sgd(), Constant(0.5), free_share=-1.0), r"free_share .* got -1\.0"),
        (Rule(Sgd(), Constant(0.5), decay=1.0), r"decay must be .* below 1, got 1\.0"),
        (Rule(Sgd(), Constant(0.5), free_from=-3), r"free_from .* got -3"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        Parameters.create(rule, np.zeros((2, 1)), 0)


def test_what_is_no_rule_is_refused():
    with pytest.raises(TypeError, match="optimizer='sgd' is none. Give one of: Sgd, Momentum"):
        Parameters.create(Rule("sgd", Constant(0.5)), np.zeros((2, 1)), 0)
    with pytest.raises(TypeError, match="schedule=0.5 is none. Give one of: Optimal"):
        Parameters.create(Rule(Sgd(), 0.5), np.zeros((2, 1)), 0)
