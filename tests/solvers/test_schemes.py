"""SGD on threads: each scheme against a twin or serial SGD; locks, turns and failures."""

import threading

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from reference import binary_samples, full
from widemargin import _atomics as atomics
from widemargin._jit import kernel
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.errors import Diverged
from widemargin.losses import Hinge, slope, value
from widemargin.objective import Objective, primal
from widemargin.penalties import L2, NoPenalty
from widemargin.run.fit import fit_dual
from widemargin.run.serial import serial
from widemargin.run.threads import SCHEMES, exchange_of, on_threads
from widemargin.schedules import Constant, Optimal, rate
from widemargin.solvers import turns
from widemargin.solvers.hogwild import gaps
from widemargin.solvers.sgd import Sgd
from widemargin.threads import Crew, crew_of

WAIT = 60.0  # seconds after which a thread that should have ended is called stuck


def some_samples(n=600, d=30, seed=0, dense=False):
    rng = np.random.default_rng(seed)
    X = random_array((n, d), density=0.2, rng=rng, format="csr")
    y = np.where(X @ rng.normal(size=d) + 0.1 * rng.normal(size=n) > 0.05, 1, -1)
    return binary_samples(X.toarray() if dense else csr_matrix(X), y, rng.uniform(0.5, 1.5, n))


def three_classes(n=400):
    rng = np.random.default_rng(3)
    X, codes = rng.normal(size=(n, 5)), rng.integers(0, 3, n)
    X[np.arange(n), codes] += 1.5
    return make_samples(as_rows(csr_matrix(X)), codes, 3)


def after(sgd, samples, objective, scheme=None, threads=1, epochs=1, **how):
    """The state after some epochs, serial where no scheme is named."""
    with crew_of(threads) as crew:
        solver = on_threads(sgd, scheme, crew, samples, **how) if scheme else sgd
        states = serial(solver, objective, samples, np.random.default_rng(0))
        for _ in range(epochs):
            state = next(states)
    return state


# -- hogwild -----------------------------------------------------------------------------------


def twin(loss, schedule, lam, decay, samples, order, w, b):
    """The rule of the module's docstring for one column."""
    X = full(samples.rows)
    gap = len(X) / np.maximum((X != 0).sum(axis=0), 1)
    total = 0.0
    for t, i in enumerate(order):
        x, y, s = X[i], 1.0 if samples.codes[i] == 1 else -1.0, samples.weight[i]
        eta, p = rate(schedule, t), x @ w + b
        total += s * value(loss, p, y)
        u = s * slope(loss, p, y)
        shrunk = np.maximum(0.0, 1.0 - eta * lam * gap) * w - eta * u * x
        w = np.where(x != 0.0, shrunk, w)
        b -= decay * eta * u
    return w, b, total


def test_hogwild_on_one_thread_is_its_twin():
    samples, lam, loss = some_samples(), 1e-3, Hinge()
    objective = Objective(loss, 1.0 / (lam * 600))
    sgd = Sgd(Optimal(0.7, lam), 0.3)
    solver = on_threads(sgd, "hogwild", Crew(), samples)
    order = np.random.default_rng(1).permutation(600).astype(np.uint32)
    state = solver.epoch(objective, samples, order, solver.init(objective, samples))
    w, b, total = twin(loss, sgd.schedule, lam, 0.3, samples, order, np.zeros(30), 0.0)
    np.testing.assert_allclose(state.W, w, rtol=1e-9, atol=1e-12)
    assert state.b[0] == pytest.approx(b, rel=1e-9)
    assert state.loss_sum[0] == pytest.approx(total, rel=1e-9) and state.t == 600


def test_gaps_count_entries():
    samples = some_samples(50, 8)
    counts = (full(samples.rows) != 0).sum(axis=0)
    np.testing.assert_allclose(gaps(samples.rows), 50 / np.maximum(counts, 1))
    np.testing.assert_array_equal(gaps(some_samples(50, 8, dense=True).rows), np.ones(8))


@pytest.mark.parametrize("classes", [2, 3])
def test_one_thread_that_exchanges_is_serial_sgd(classes):
    """Alone, what a copy moved comes back as it was, up to rounding."""
    samples = some_samples() if classes == 2 else three_classes()
    n, lam = len(samples.codes), 1e-2
    objective = Objective(Hinge(), 1.0 / (lam * n))
    sgd = Sgd(Optimal(1.0, lam), 0.5)
    one = after(sgd, samples, objective, epochs=2)
    two = after(sgd, samples, objective, "hogwild", epochs=2, exchange=100)
    np.testing.assert_allclose(two.W, one.W, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.b, one.b, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.loss_sum, one.loss_sum, rtol=1e-9)


@pytest.mark.parametrize("exchange", [0, 200])
@pytest.mark.parametrize("threads", [2, 4])
def test_hogwild_reaches_the_optimum(threads, exchange):
    samples, lam = some_samples(4000, 40), 1e-2
    objective = Objective(Hinge(), 1.0 / (lam * 4000))
    rng = np.random.default_rng(0)
    f = fit_dual(objective, samples, tol=1e-6, max_epochs=500, rng=rng).certificate.dual
    state = after(
        Sgd(Optimal(1.0, lam), 0.1), samples, objective, "hogwild", threads, 60, exchange=exchange
    )
    assert primal(objective, samples, state.W, state.b).sum() <= 1.001 * f
    assert state.t == 60 * 4000


def test_copies_where_weights_are_few_and_none_where_they_are_many():
    with crew_of(2) as crew:
        wide = binary_samples(csr_matrix(np.eye(50, 5000)), np.resize([1, -1], 50))
        assert exchange_of(crew, wide) == 0
        assert exchange_of(crew, some_samples(20_000, 30)) == 256
        assert exchange_of(Crew(), some_samples(20_000, 30)) == 0


# -- one update at a time ----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["locked", "round_robin"])
@pytest.mark.parametrize("classes", [2, 3])
def test_alone_they_are_serial_sgd(scheme, classes):
    samples = some_samples() if classes == 2 else three_classes()
    n, lam = len(samples.codes), 1e-2
    objective, sgd = Objective(Hinge(), 1.0 / (lam * n)), Sgd(Optimal(1.0, lam), 0.5)
    one = after(sgd, samples, objective, epochs=2)
    two = after(sgd, samples, objective, scheme, epochs=2)
    np.testing.assert_allclose(two.W, one.W, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.b, one.b, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.loss_sum, one.loss_sum, rtol=1e-9)
    assert two.t == one.t


def late_twin(lam, eta0, samples, order, T):
    """Round robin for the hinge: scores of a round before its updates, updates in order."""
    X, w, b, t = full(samples.rows), np.zeros(samples.rows.n_features), 0.0, 0
    for start in range(0, len(order), T):
        turn = order[start : start + T]
        scores = X[turn] @ w + b
        for i, p in zip(turn, scores, strict=True):
            y, eta = (1.0 if samples.codes[i] == 1 else -1.0), eta0 / (1.0 + lam * eta0 * t)
            h = -eta * samples.weight[i] * slope(Hinge(), p, y)
            w, b, t = (1.0 - eta * lam) * w + h * X[i], b + 0.2 * h, t + 1
    return w, b


@pytest.mark.parametrize("threads", [2, 3])
def test_round_robin_is_its_twin_in_every_run(threads):
    samples, lam = some_samples(301), 1e-2
    objective, sgd = Objective(Hinge(), 1.0 / (lam * 301)), Sgd(Optimal(1.0, lam), 0.2)
    one, two = (after(sgd, samples, objective, "round_robin", threads) for _ in range(2))
    for name in ("W", "b", "loss_sum"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    order = np.random.default_rng(0).permutation(301)
    w, b = late_twin(lam, 1.0, samples, order, threads)
    np.testing.assert_allclose(one.W, w, rtol=1e-9, atol=1e-11)
    assert one.b[0] == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("scheme", ["locked", "round_robin"])
def test_they_reach_the_optimum_on_threads(scheme):
    samples, lam = some_samples(1000, 20), 1e-2
    objective = Objective(Hinge(), 1.0 / (lam * 1000))
    rng = np.random.default_rng(0)
    f = fit_dual(objective, samples, tol=1e-6, max_epochs=500, rng=rng).certificate.dual
    state = after(Sgd(Optimal(1.0, lam), 0.1), samples, objective, scheme, 3, 60)
    assert primal(objective, samples, state.W, state.b).sum() <= 1.001 * f
    assert state.t == 60 * 1000


@kernel
def count(counters, total, n, stop):
    for _ in range(n):
        if not atomics.lock(counters, 0, stop):
            return
        total[0] += 1.0  # lost now and then without the lock
        atomics.unlock(counters, 0)
        atomics.add(counters, atomics.LINE, 1)


def test_the_lock_loses_no_update():
    counters, stop = np.zeros(2 * atomics.LINE, np.int64), np.zeros(1, np.int64)
    total = np.zeros(1)
    with crew_of(4) as crew:
        crew.each(lambda _: count(counters, total, 50_000, stop), [(t,) for t in range(4)], stop)
    assert total[0] == 200_000 and counters[atomics.LINE] == 200_000 and counters[0] == 0


def test_every_locked_step_is_taken():
    samples = some_samples(2000)
    objective = Objective(Hinge(), 1.0, NoPenalty())
    state = after(Sgd(Constant(1e-12), 1.0), samples, objective, "locked", 4)
    pull = samples.weight * np.where(samples.codes == 1, 1.0, -1.0)  # −ℓ′ below the margin
    np.testing.assert_allclose(state.b[0], 1e-12 * pull.sum(), rtol=1e-6)
    np.testing.assert_allclose(state.W, 1e-12 * (full(samples.rows).T @ pull), rtol=1e-6)


# -- what goes wrong ---------------------------------------------------------------------------


def ends(work):
    """Run it on a thread of its own, which must end; what it raised."""
    raised = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive(), "threads wait for one another for ever"
    return raised


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_thread_that_fails_does_not_leave_the_others_waiting(monkeypatch, failing, error):
    """Round robin waits for the turn of a thread that will never take it, until told to stop."""
    samples = some_samples()
    objective, walk = Objective(Hinge(), 1.0), turns.round_robin_walk
    after(Sgd(Optimal(1.0, 1e-3)), samples, objective, "round_robin", 3)  # compiled

    def broken(*arguments):
        if arguments[-2] == failing:
            raise error("on purpose")
        walk(*arguments)

    monkeypatch.setattr("widemargin.run.threads.round_robin_walk", broken)
    raised = ends(lambda: after(Sgd(Optimal(1.0, 1e-3)), samples, objective, "round_robin", 3))
    assert [type(e) for e in raised] == [error]


def test_a_lock_that_is_never_given_back_is_given_up_on():
    counters, stop = np.zeros(2 * atomics.LINE, np.int64), np.zeros(1, np.int64)
    count(counters, np.zeros(1), 1, stop)  # compiled
    counters[0] = 1

    def stopped():
        timer = threading.Timer(0.2, lambda: stop.__setitem__(0, 1))
        timer.start()
        count(counters, np.zeros(1), 1, stop)

    assert ends(stopped) == [] and counters[0] == 1


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_divergence_is_reported(scheme):
    samples = binary_samples(csr_matrix(np.full((200, 2), 1e200)), np.resize([1, -1], 200))
    objective = Objective(Hinge(), 1.0, L2())
    sgd = Sgd(Constant(1e200), 1.0, clip=True)
    with pytest.raises(Diverged, match="epoch #1"):
        after(sgd, samples, objective, scheme, 2)


def test_an_unknown_scheme_names_those_that_are():
    with pytest.raises(ValueError, match="'hogwild', 'locked', 'round_robin'"):
        on_threads(Sgd(), "wild", Crew(), some_samples(10))
