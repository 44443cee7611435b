"""Fit a support vector machine with a kernel: pairs of classes, precision, threads, history."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.panels import held_as, rows_at, squared_norms
from widemargin.data.rows import Array, Dense, Rows, Sparse, n_features, n_rows
from widemargin.kernel_scores import Machine, pairs_of
from widemargin.kernels import Kernel, Linear, Rbf, diagonal
from widemargin.objective import Certificate, certificate_of
from widemargin.solvers.gram import Crew, Features, Matrix, Source, features_of
from widemargin.solvers.hard_margin import refuse_by_newton, refuse_equal_samples
from widemargin.solvers.smo import Plan, Problem, rounds

ARGUMENT = 1e3  # γ‖x‖² up to which float32 gives exp its argument well enough
SPREAD = 100.0  # ‖x‖² may exceed the mean square distance from the mean by so much in float32
LARGEST = 1e30  # kernel values beyond have no room in float32

Progress = Callable[[dict[str, float]], None]


class Settings(NamedTuple):
    kernel: Kernel | None  # None: the kernel matrix is given
    C: float = 1.0
    plan: Plan = Plan()
    threads: int = 1


class Pair(NamedTuple):
    """One binary machine: w = Σ coef φ(x), positive on the first class of the pair."""

    coef: Array  # αy of its samples
    b: float
    squared_norm: float
    certificate: Certificate
    history: list[dict[str, float]]
    steps: int
    solved: bool


class Machines(NamedTuple):
    """All pairs, and what they share."""

    machine: Machine
    support: Array  # numbers of the samples, grouped by class
    pairs: list[Pair]
    certificate: Certificate  # summed over the pairs


def fit_machines(
    data: Rows | Array,
    codes: Array,
    n_classes: int,
    upper: Array,
    settings: Settings,
    progress: Progress | None = None,
) -> Machines:
    """One machine for each pair of classes. `data` are float64 rows, or a kernel matrix; `upper`
    (n,) bounds α, and samples whose bound is 0 take no part."""
    taking = upper > 0.0
    jobs = [
        (i, j, np.flatnonzero(taking & ((codes == i) | (codes == j))))
        for i, j in pairs_of(n_classes)
    ]

    def one(job: tuple[int, int, Array], crew: Crew, share: float = 1.0) -> Pair:
        i, _, among = job
        plan = settings.plan
        plan = plan._replace(crew=crew, cache_bytes=plan.cache_bytes * share)
        y = np.where(codes[among] == i, 1.0, -1.0)
        return fit_pair(data, among, y, upper[among], settings._replace(plan=plan), progress)

    threads = max(settings.threads, 1)
    with ThreadPoolExecutor(threads) as pool:
        if len(jobs) == 1 or threads == 1:
            fitted = [one(job, Crew(pool, threads)) for job in jobs]
        else:
            fitted = list(pool.map(lambda job: one(job, Crew(), 1.0 / threads), jobs))
    return assembled(fitted, jobs, codes, n_classes)


def assembled(fitted: list[Pair], jobs: list[Any], codes: Array, n_classes: int) -> Machines:
    """The pairs in LIBSVM's order: support vectors by class, K − 1 coefficients each."""
    coef = np.zeros((max(n_classes - 1, 1), len(codes)))
    for (i, j, among), pair in zip(jobs, fitted, strict=True):
        own = codes[among] == i
        coef[j - 1, among[own]] = pair.coef[own]
        coef[i, among[~own]] = pair.coef[~own]
    used = np.flatnonzero(coef.any(axis=0))
    support = used[np.argsort(codes[used], kind="stable")]
    counts = np.bincount(codes[support], minlength=n_classes)
    sign = -1.0 if n_classes == 2 else 1.0
    intercept = np.array([pair.b for pair in fitted])
    machine = Machine(sign * coef[:, support], counts, sign * intercept)
    return Machines(machine, support, fitted, summed([pair.certificate for pair in fitted]))


def summed(proofs: list[Certificate]) -> Certificate:
    primal, dual = sum(p.primal for p in proofs), sum(p.dual for p in proofs)
    if np.isinf(primal):
        return Certificate(primal, dual, np.inf, np.inf)
    return certificate_of(primal, dual)


def fit_pair(
    data: Rows | Array,
    among: Array,
    y: Array,
    upper: Array,
    settings: Settings,
    progress: Progress | None = None,
) -> Pair:
    """A binary machine of the samples `among`, y = ±1."""
    began, history = time.perf_counter(), list[dict[str, float]]()
    hard = bool(np.isinf(upper).all())
    source, exact = sources(data, among, settings, hard)
    if hard and isinstance(exact, Features):
        refuse_equal_samples(exact.rows, y, among)
        if isinstance(exact.kernel, Linear):
            refuse_by_newton(exact.rows, y)
    for number, found in enumerate(rounds(Problem(source, exact, y, upper), settings.plan), 1):
        proof = found.look.certificate
        history.append(
            {
                "epoch": number,
                "seconds": time.perf_counter() - began,
                "objective": proof.primal,
                "gap": proof.relative_gap,
                "steps": found.steps,
                "violation": found.look.violation,
            }
        )
        if progress is not None:
            progress(history[-1])
    alpha, look = found.alpha, found.look
    s = look.margin if hard and look.margin > 0.0 else 1.0  # the margin becomes 1 exactly
    return Pair(
        alpha * y / s, look.b / s, look.squared_norm / (s * s), look.certificate, history,
        found.steps, found.solved,
    )  # fmt: skip


# -- precision -------------------------------------------------------------------------------------


def sources(
    data: Rows | Array, among: Array, settings: Settings, hard: bool
) -> tuple[Source, Source]:
    """(what rows of the kernel matrix are taken from, the same in float64).

    In float64 where the whole matrix fits the cache, in the hard margin, whose solution rounding
    of kernel values would move, and where float32 holds too few digits; else in float32.
    """
    if not isinstance(data, Sparse | Dense):
        return (given := Matrix(data, among)), given
    assert settings.kernel is not None
    kernel, rows = settings.kernel, rows_at(data, among)
    exact = features_of(kernel, rows)
    fits = 8.0 * len(among) ** 2 <= settings.plan.cache_bytes
    near = centred(rows) if isinstance(kernel, Rbf) else rows
    if hard or fits or not single_will_do(kernel, near):
        return exact, exact
    return features_of(kernel, held_as(near, np.float32)), exact


def centred(rows: Rows) -> Rows:
    """Dense rows less their mean, which changes no distance."""
    return Dense(rows.X - rows.X.mean(axis=0)) if isinstance(rows, Dense) else rows


def single_will_do(kernel: Kernel, rows: Rows) -> bool:
    """Whether kernel values in float32 differ from exact ones by little more than their last
    digits."""
    norms = squared_norms(rows)
    if isinstance(kernel, Rbf):
        return bool(kernel.gamma * norms.max() <= ARGUMENT)
    with np.errstate(over="ignore"):
        values = np.abs(diagonal(kernel, norms)).max()
    mean = mean_of(rows)
    spread = norms.mean() - mean @ mean
    return bool(max(norms.max(), values) < LARGEST and norms.max() <= SPREAD * spread)


def mean_of(rows: Rows) -> Array:
    if isinstance(rows, Dense):
        mean: Array = rows.X.mean(axis=0)
        return mean
    return np.bincount(rows.indices, rows.values, n_features(rows)) / max(n_rows(rows), 1)
