"""What the estimators that learn sample by sample share: the loop, what a fit leaves."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import check_random_state

from widemargin._jit import kernel
from widemargin.data.columns import dots
from widemargin.data.rows import Array, n_rows, row
from widemargin.data.samples import Samples, n_columns
from widemargin.estimators.online_data import ALL_OF_Y, checked_samples, start_state
from widemargin.losses import LOSSES, Loss
from widemargin.objective import Objective
from widemargin.penalties import L1, L2, ElasticNet, NoPenalty, Penalty
from widemargin.run.evaluation import evaluate
from widemargin.run.fit import history_row
from widemargin.run.serial import serial
from widemargin.schedules import slower
from widemargin.solvers.asgd import AveragedState
from widemargin.solvers.perceptron import PerceptronState, separated
from widemargin.solvers.steps import progressive
from widemargin.threads import crew_of

SLOWEST = 1e-6  # an adaptive rate is not lowered further


class Plan(NamedTuple):
    """What an estimator's parameters come to on one data set."""

    objective: Objective
    solver: Any
    start: Any  # the solver's first state
    adaptive: bool = False  # lower the rate when the objective stalls, rather than stop
    threads: int = 1  # of the scheme and of looks at all samples
    scheme: str | None = None  # how threads take the steps of `Sgd`; None: one takes them


# -- what the parameters mean ----------------------------------------------------------------------


def make_loss(name: str, epsilon: float) -> Loss:
    kind = LOSSES[name]
    return kind(epsilon) if "epsilon" in kind._fields else kind()  # type: ignore[no-any-return]


def make_penalty(name: str | None, alpha: float, l1_ratio: float | None) -> Penalty:
    """r(w); the elastic net at its two ends is L2 and L1, and at alpha = 0 nothing is left."""
    if name is None or alpha == 0.0:
        return NoPenalty()
    if name == "l2" or (name == "elasticnet" and l1_ratio == 0.0):
        return L2()
    if name == "l1" or l1_ratio == 1.0 or l1_ratio is None:
        return L1()
    return ElasticNet(l1_ratio)


def make_objective(
    loss: Loss, penalty: Penalty, alpha: float, n: int, fit_intercept: bool
) -> Objective:
    """C Σ sᵢ ℓ + r(w) with C = 1 / (alpha n); without a penalty C = 1 / n, the mean loss."""
    C = 1.0 / n if isinstance(penalty, NoPenalty) else 1.0 / (alpha * n)
    return Objective(loss, C, penalty, fit_intercept)


# -- the loop --------------------------------------------------------------------------------------


class Split(NamedTuple):
    """Rows to learn from and rows to watch, both ascending."""

    train: NDArray[np.int64] | None
    held_out: NDArray[np.int64] | None


def split_of(est: Any, samples: Samples) -> Split:
    """Hold out `validation_fraction` of the rows, stratified, if the estimator stops early."""
    if not est.early_stopping:
        return Split(None, None)
    cv = StratifiedShuffleSplit(test_size=est.validation_fraction, random_state=est.random_state)
    train, held_out = next(cv.split(np.zeros((len(samples.codes), 1)), samples.codes))
    if not len(train) or not len(held_out):
        raise ValueError(
            f"validation_fraction={est.validation_fraction} splits {len(samples.codes)} samples "
            f"into {len(train)} and {len(held_out)}: both need at least one. Change it."
        )
    if not samples.weight[held_out].any():
        raise ValueError(
            "The sample weights for validation set are all zero, consider using a"
            " different random state."
        )
    return Split(np.sort(train), np.sort(held_out))


@kernel
def hit_weight(samples: Any, among: Any, W: Array, b: Array) -> float:
    """Σ sᵢ over the listed samples that (W, b) puts into their class."""
    p, hits = np.empty(b.size), 0.0
    for i in among:
        dots(row(samples.rows, i), W, p)
        p += b
        code = np.argmax(p) if b.size > 1 else np.int64(p[0] > 0.0)
        if code == samples.codes[i]:
            hits += samples.weight[i]
    return hits


class Patience:
    """Counts, column by column, the epochs without an improvement of tol on the best measure."""

    def __init__(self, K: int, tol: float | None, epochs: int) -> None:
        self.tol, self.epochs = tol, epochs
        self.best = np.full(K, np.inf)
        self.waited = np.zeros(K, int)
        self.over = np.zeros(K, bool)

    def ends(self, measure: Array) -> bool:
        """Take the measure of one more epoch, lower is better; whether every column stalled."""
        if self.tol is None:
            return False
        self.waited = np.where(measure > self.best - self.tol, self.waited + 1, 0)
        self.best = np.minimum(self.best, measure)
        self.over |= self.waited >= self.epochs
        return bool(self.over.all())

    def renew(self) -> None:
        self.waited[:], self.over[:] = 0, False


def learn(est: Any, plan: Plan, samples: Samples, split: Split, rng: Any) -> Any:
    """Epochs until the estimator's stopping rule holds; returns the last state.

    Sets n_iter_ and history_: one dict an epoch with epoch, seconds since the start, objective
    (the losses as the epoch met them, C Σ s ℓ + r(w)), and gap and dual, NaN until certified.
    """
    n = n_rows(samples.rows) if split.train is None else len(split.train)
    objective, solver, state = plan.objective, plan.solver, plan.start
    patience = Patience(n_columns(samples), est.tol, est.n_iter_no_change)
    est.history_, began = [], time.perf_counter()
    kept: dict[str, Any] = {"shuffle": est.shuffle, "among": split.train}
    states = serial(solver, objective, samples, rng, start=state, **kept)
    for epoch in range(1, est.max_iter + 1):
        state = next(states)
        f = progressive(objective, state)
        note(est, epoch, time.perf_counter() - began, float(f.sum()))
        if isinstance(state, PerceptronState) and separated(state):
            break
        if patience.ends(measured(samples, split, state, f / (objective.C * n))):
            if not plan.adaptive or solver.schedule.eta0 <= SLOWEST:
                break
            patience.renew()
            solver = replace(solver, schedule=slower(solver.schedule))
            states = serial(solver, objective, samples, rng, start=state, **kept)
    est.n_iter_ = len(est.history_)
    return state


def measured(samples: Samples, split: Split, state: Any, f: Array) -> Array:
    """What patience watches: the error on held-out rows, else the objective per sample."""
    if split.held_out is None:
        return f
    hits = hit_weight(samples, split.held_out, state.W, state.b)
    return np.full(f.shape, 1.0 - hits / samples.weight[split.held_out].sum())


def note(est: Any, epoch: int, seconds: float, objective: float) -> None:
    est.history_.append(history_row(epoch, seconds, None, objective=objective))
    if est.verbose:
        print(f"epoch {epoch}: objective {objective:.6g}, {seconds:.3f} s")


@contextmanager
def solver_of(plan: Plan, samples: Samples) -> Iterator[Any]:
    """The plan's solver, on threads of their own where it has a scheme."""
    if plan.scheme is None:
        yield plan.solver
        return
    from widemargin.run.threads import on_threads

    with crew_of(plan.threads) as crew:
        yield on_threads(plan.solver, plan.scheme, crew, samples)


# -- what a fit leaves -----------------------------------------------------------------------------


def publish(est: Any, state: Any, dtype: Any) -> None:
    """coef_ and intercept_ in the precision of the data, t_, and the walk behind an average."""
    d, K = state.W.shape[0], state.b.size
    est.coef_ = state.W.reshape(d, K).T.astype(dtype, copy=False)
    est.intercept_ = state.b.astype(dtype, copy=False)
    est.t_ = 1.0 + state.t
    if hasattr(state, "walk"):
        est._walk = AveragedState(*state[:6])
    elif hasattr(est, "_walk"):
        del est._walk


def weights_of(est: Any) -> tuple[Array, Array]:
    """The weights as published, in the kernels' shape and precision."""
    W = np.ascontiguousarray(est.coef_.T, np.float64)
    return W[:, 0].copy() if W.shape[1] == 1 else W, est.intercept_.astype(np.float64)


def certify_fit(est: Any, plan: Plan, samples: Samples, split: Split) -> None:
    """certificate_ of the weights as published, over the rows that were learned from."""
    if split.held_out is not None:
        weight = samples.weight.copy()
        weight[split.held_out] = 0.0
        samples = samples._replace(weight=weight)
    seen = evaluate(plan.objective, samples, *weights_of(est), threads=plan.threads)
    est.certificate_ = seen.certificate
    last = est.history_[-1]
    est.history_[-1] = history_row(last["epoch"], last["seconds"], est.certificate_)


def warn_if_unfinished(est: Any) -> None:
    if est.tol is not None and est.n_iter_ == est.max_iter:
        warnings.warn(
            "Maximum number of iteration reached before convergence. Consider increasing max_iter "
            f"to improve the fit. The relative duality gap is {est.certificate_.relative_gap:.2g}.",
            ConvergenceWarning,
            stacklevel=4,
        )


def fit_online(
    est: Any, plan_of: Any, X: Any, y: Any, coef_init: Any, intercept_init: Any, sample_weight: Any
) -> Any:
    """The body of `fit`; plan_of(est, samples, n, start, rng) turns parameters into a Plan."""
    if hasattr(est, "classes_"):
        del est.classes_
    if est.warm_start and hasattr(est, "coef_"):
        coef_init = est.coef_ if coef_init is None else coef_init
        intercept_init = est.intercept_ if intercept_init is None else intercept_init
    samples = checked_samples(est, X, y, ALL_OF_Y, sample_weight)
    start = start_state(est, samples, coef_init, intercept_init, 0)
    split = split_of(est, samples)
    rng = generator(est)
    n = len(samples.codes) if split.train is None else len(split.train)
    plan = plan_of(est, samples, n, start, rng)
    with solver_of(plan, samples) as solver:
        state = learn(est, plan._replace(solver=solver), samples, split, rng)
    publish(est, state, dtype_of(samples))
    certify_fit(est, plan, samples, split)
    warn_if_unfinished(est)
    return est


def partial_fit_online(
    est: Any, plan_of: Any, X: Any, y: Any, classes: Any, sample_weight: Any
) -> Any:
    """The body of `partial_fit`: one epoch from where the last call ended.

    What an earlier fit left, its certificate and its sigmoids, would speak of other weights, so it
    goes.
    """
    first = not hasattr(est, "classes_")
    samples = checked_samples(est, X, y, classes, sample_weight)
    known = not first and hasattr(est, "coef_")
    start = start_state(
        est,
        samples,
        est.coef_ if known else None,
        est.intercept_ if known else None,
        int(est.t_) - 1 if known else 0,
    )
    rng = generator(est)
    plan = plan_of(est, samples, len(samples.codes), start, rng)
    with solver_of(plan, samples) as solver:
        how: dict[str, Any] = {"start": plan.start, "shuffle": est.shuffle}
        state = next(serial(solver, plan.objective, samples, rng, **how))
    publish(est, state, dtype_of(samples))
    est.n_iter_ = 1
    for stale in ("certificate_", "history_", "sigmoids_"):
        est.__dict__.pop(stale, None)
    return est


def generator(est: Any) -> np.random.Generator:
    """A generator seeded with 32 bits drawn from random_state."""
    return np.random.default_rng(check_random_state(est.random_state).randint(2**32, dtype="u4"))


def dtype_of(samples: Samples) -> Any:
    rows = samples.rows
    return rows[0].dtype  # values of a sparse matrix, the matrix of a dense one
