"""The dual on several threads: the optimum, the same bits again, serial on one thread."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from reference import binary_samples, columns_of, objective_value
from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples
from widemargin.data.synthetic import rcv1_like
from widemargin.losses import Hinge, Logistic, SquaredHinge
from widemargin.objective import Objective, column
from widemargin.penalties import L2
from widemargin.run.certified import certified
from widemargin.run.fit import fit_dual
from widemargin.solvers import dual_passes as passes
from widemargin.solvers import dual_replicas as module
from widemargin.solvers.dual import DualCoordinateDescent
from widemargin.solvers.dual_replicas import ReplicatedDual, worthwhile
from widemargin.threads import ALONE, crew_of


def solve(samples, objective, threads, *, tol=1e-6, seed=0, max_epochs=3000):
    """The last step of a certified run; on one thread that of the serial solver."""
    with crew_of(threads) as crew:
        solver = ReplicatedDual(crew, fewest=0.0) if threads > 1 else DualCoordinateDescent()
        rng = np.random.default_rng(seed)
        *_, last = certified(solver, objective, samples, rng, tol=tol, max_epochs=max_epochs)
    return last


def some_data(n=600, d=12, seed=0, positive=0.5):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.5)
    score = X @ rng.normal(size=d) + 0.5 * rng.normal(size=n)
    return X, np.where(score > np.quantile(score, 1.0 - positive), 1, -1)


def check(samples, objective, last, tol=1e-6):
    """Within tol of the serial optimum, α feasible, Σ α y = 0, w = Σ α y x, in every column."""
    serial = solve(samples, objective, 1, tol=tol)
    assert last.solved and last.certificate.relative_gap <= tol
    assert last.certificate.primal <= serial.certificate.primal * (1 + tol) + 1e-12
    assert last.certificate.dual <= serial.certificate.primal * (1 + 1e-12)
    state, f = last.state, 0.0
    for k, problem in enumerate(columns_of(samples, objective.C)):
        alpha = state.alpha[:, k]
        assert (alpha >= 0.0).all()
        if not isinstance(objective.loss, SquaredHinge):
            assert (alpha <= problem.c).all()
        if objective.fit_intercept:
            assert abs(alpha @ problem.y) <= 1e-12 * alpha.sum()
        w = column(state.W, k)
        again = problem.X.T @ (alpha * problem.y)
        np.testing.assert_allclose(w, again, atol=1e-9 * (1.0 + np.abs(w).max()))
        f += objective_value(objective.loss, L2(), problem, w, state.b[k])
    assert last.certificate.primal == pytest.approx(f, rel=1e-9)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_the_optimum_on_any_number_of_threads(threads):
    X, y = some_data(1500)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 0.3)
    check(samples, objective, solve(samples, objective, threads))


@pytest.mark.parametrize("loss, fit_intercept", [(SquaredHinge(), True), (Logistic(), False)])
def test_smooth_losses_with_and_without_intercept(loss, fit_intercept):
    X, y = some_data()
    X = csr_matrix(X) if fit_intercept else X
    samples, objective = binary_samples(X, y), Objective(loss, 0.5, L2(), fit_intercept)
    last = solve(samples, objective, 2)
    assert (last.state.b[0] != 0.0) == fit_intercept
    check(samples, objective, last)


def test_several_columns_with_weights():
    X, _ = some_data()
    rng = np.random.default_rng(1)
    codes, weight = rng.integers(0, 3, len(X)), rng.integers(0, 3, len(X)) * 0.7
    X[np.arange(len(X)), codes] += 2.0
    samples = make_samples(as_rows(X), codes, 3, weight, np.array([1.0, 2.0, 0.5]))
    objective = Objective(Hinge(), 0.2)
    check(samples, objective, solve(samples, objective, 2))


@pytest.mark.parametrize(
    "n, positive, threads", [(2000, 0.01, 2), (2000, 0.995, 4), (5, 0.5, 8), (2, 0.5, 3)]
)
def test_lopsided_classes_and_fewer_rows_than_threads(n, positive, threads):
    X, y = some_data(n, d=4, seed=3, positive=positive)
    y[:2] = 1, -1
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 1.0)
    check(samples, objective, solve(samples, objective, threads))


def test_columns_that_all_rows_share():
    """Every thread would correct the same direction: undamped sums overshoot and never settle."""
    X, y = some_data(2000, d=6, seed=4)
    X = 0.2 * X + 3.0
    samples, objective = binary_samples(X, y), Objective(Hinge(), 0.01)
    last = solve(samples, objective, 8, tol=1e-4)
    check(samples, objective, last, tol=1e-4)


def test_the_dual_never_falls():
    """Without an intercept D(α) = Σ α − ½‖w‖², and an epoch gains no less than it says."""
    X, y = some_data(400, seed=5)
    samples, objective = binary_samples(X, y), Objective(Hinge(), 0.5, L2(), False)
    with crew_of(4) as crew:
        solver, before = ReplicatedDual(crew, fewest=0.0), 0.0
        state = solver.init(objective, samples)
        for seed in range(6):
            order = np.random.default_rng(seed).permutation(400).astype(np.uint32)
            state = solver.epoch(objective, samples, order, state)
            now = state.alpha.sum() - 0.5 * state.W @ state.W
            assert now - before >= state.gain - 1e-12 and state.gain >= 0.0
            before = now


def test_the_same_bits_again_and_others_for_another_seed_or_number_of_threads():
    X, y = some_data(20_000, d=8)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 0.1)
    one, two, other, more = (
        solve(samples, objective, threads, tol=1e-3, seed=seed)
        for threads, seed in ((2, 0), (2, 0), (2, 1), (3, 0))
    )
    for name in ("W", "b", "alpha", "delta"):
        np.testing.assert_array_equal(getattr(one.state, name), getattr(two.state, name))
    assert one.certificate == two.certificate
    for different in (other, more):
        assert not np.array_equal(one.state.W, different.state.W)


def test_passes_do_not_depend_on_the_number_of_threads():
    X, y = some_data(20_000, d=8)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 0.1)
    first = solve(samples, objective, 1, tol=1e-2).state
    found = []
    for threads in (1, 2, 5):
        with crew_of(threads) as crew:
            state = first._replace(alpha=first.alpha + 0.01, keep=first.keep.copy())
            state = state._replace(W=first.W.copy(), delta=first.delta.copy())
            passes.rebalance(crew, objective, samples, state)
            passes.combine(crew, samples, state.alpha, state.W)
            scores = np.empty_like(state.alpha)
            W, b, C = state.W, state.b, objective.C
            losses = passes.scores_and_losses(crew, objective.loss, samples, W, b, scores)
            passes.reselect(crew, objective, samples, scores, state)
            sums = [
                losses,
                passes.losses_at(crew, objective.loss, samples, scores, b),
                passes.conjugate_sums(crew, objective.loss, C, samples, state.alpha),
                passes.total_shares(crew, samples, 1),
            ]
            found.append([W, state.alpha, scores, state.keep, state.delta, *sums])
    alone, two, five = found
    for a, b, c in zip(alone, two, five, strict=True):
        np.testing.assert_array_equal(b, c)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_one_thread_or_small_data_is_the_serial_solver():
    X, y = some_data(3000)
    samples, objective = binary_samples(csr_matrix(X), y), Objective(Hinge(), 0.3)
    fits = [
        fit_dual(
            objective,
            samples,
            tol=1e-4,
            max_epochs=100,
            rng=np.random.default_rng(0),
            threads=threads,
        )
        for threads in (1, 4)
    ]
    assert worthwhile(samples, 4) == 1
    assert fits[0].certificate == fits[1].certificate
    np.testing.assert_array_equal(fits[0].W, fits[1].W)


def test_a_large_fit_takes_threads(monkeypatch):
    """Where the data are worth it, fit_dual deals them out, as on the RCV1-shaped corpus."""
    monkeypatch.setattr(module, "WORTH_A_THREAD", 100_000)
    monkeypatch.setattr(module, "PER_WEIGHT", 1)
    train = rcv1_like(5000, 10, 5000, seed=0).train
    rows = train.rows._replace(values=train.rows.values.astype(np.float64))
    samples = make_samples(rows, train.codes, 2)
    assert worthwhile(samples, 8) == min(8, len(train.rows.values) // 100_000) > 1
    objective = Objective(Hinge(), 1.0 / (1e-4 * 5000))
    fits = {
        threads: fit_dual(
            objective,
            samples,
            tol=1e-3,
            max_epochs=100,
            rng=np.random.default_rng(0),
            threads=threads,
        )
        for threads in (1, 2)
    }
    assert fits[2].solved and not np.array_equal(fits[1].W, fits[2].W)
    assert fits[2].certificate.primal <= fits[1].certificate.primal / (1.0 - 1e-3)
    assert fits[2].epochs <= 2 * fits[1].epochs


def test_epochs_of_few_rows_are_serial():
    """Same order, same state: the epoch of one thread, bit for bit."""
    X, y = some_data(1500)
    samples, objective = binary_samples(X, y), Objective(Hinge(), 0.1)
    order = np.random.default_rng(0).permutation(1500).astype(np.uint32)
    with crew_of(2) as crew:
        found = []
        for solver in (
            DualCoordinateDescent(),
            ReplicatedDual(crew),
            ReplicatedDual(crew, True, 0),
        ):
            state = solver.init(objective, samples)._replace(gain=1.0)  # no first epoch
            found.append(solver.epoch(objective, samples, order, state).W)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_large_replicas_are_added_by_ranges(monkeypatch):
    X, y = some_data(2000, d=40)
    samples, objective = binary_samples(X, y), Objective(Hinge(), 0.1)
    whole = solve(samples, objective, 3, tol=1e-3)
    monkeypatch.setattr(module, "LARGE", 1)
    pieces = solve(samples, objective, 3, tol=1e-3)
    np.testing.assert_array_equal(whole.state.W, pieces.state.W)


def test_a_failure_in_one_part_ends_the_others():
    began = []

    def part(k):
        began.append(k)
        if k == 1:
            raise MemoryError("part 1")

    with crew_of(3) as crew, pytest.raises(MemoryError, match="part 1"):
        crew.each(part, [(k,) for k in range(1000)])
    assert len(began) < 1000
    with pytest.raises(MemoryError):
        ALONE.each(part, [(0,), (1,)])
