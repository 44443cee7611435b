"""The lecture's table: time, objective, test error and gap of five solvers on one corpus.

    min (1/n) Σ max(0, 1 − yᵢ(wᵀxᵢ + b)) + (λ/2)‖w‖²,      λ = 1e-4

on the RCV1-shaped corpus, with what was published for RCV1 itself beside it. Times are those of
training alone, one thread, compilation apart; the gap is that of `run.evaluation` where a
solver brings none of its own.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.corpus_cache import cached_corpus
from widemargin.data.rows import Array, Sparse, take_rows
from widemargin.data.samples import Samples, make_samples
from widemargin.data.synthetic import N_TEST, N_TRAIN, Corpus
from widemargin.losses import Hinge
from widemargin.objective import Objective
from widemargin.run.evaluation import evaluate
from widemargin.run.fit import fit_dual
from widemargin.run.online import fit_online
from widemargin.run.solve import SOLVERS, Plan
from widemargin.scores import error_of, scores
from widemargin.threads import cores

LAM = 1e-4
TOL = 1e-3
EPOCHS = {"sgd": 5, "asgd": 2}  # the fewest that reach the published objective, measured
WARM_ROWS = 2000
PUBLISHED = (  # on RCV1, CCAT, λ = 1e-4
    ("standard SVM (SVMlight)", 23642.0, 0.2275, 0.0602),
    ("fast SVM (SVMperf; Joachims 2006)", 66.0, 0.2278, 0.0603),
    ("SGD SVM (Bottou 2007)", 1.4, 0.2275, 0.0602),
)


class Entry(NamedTuple):
    """One line of the table."""

    solver: str
    settings: str
    seconds: float
    objective: float  # f(w, b) in the per-sample form
    test_error: float
    relative_gap: float
    published: str = ""  # the line of PUBLISHED that is comparable


class Task(NamedTuple):
    """The corpus as every solver gets it."""

    corpus: Corpus
    train: Samples
    objective: Objective


class Trained(NamedTuple):
    """What a solver made of a task; the certificate is its own, if it has one."""

    W: Array
    b: Array
    seconds: float
    certificate: Any = None


def make_task(rows: int | None = None) -> Task:
    """The full corpus, or a smaller one of so many rows."""
    if rows is None:
        corpus = cached_corpus()
    else:
        corpus = cached_corpus(n_train=rows, n_test=max(1, rows * N_TEST // N_TRAIN))
    split = corpus.train
    samples = make_samples(split.rows, split.codes, 2)
    return Task(corpus, samples, Objective(Hinge(), 1.0 / (LAM * len(split.codes))))


def head(task: Task, n: int = WARM_ROWS) -> Task:
    """The first rows as a task of their own, to compile on."""
    split = task.corpus.train
    n = min(n, len(split.codes))
    rows = take_rows(split.rows, 0, n)
    samples = make_samples(rows, split.codes[:n], 2)
    return task._replace(train=samples, objective=Objective(Hinge(), 1.0 / (LAM * n)))


def our_dual(task: Task, tol: float = TOL) -> Trained:
    began = time.perf_counter()
    rng = np.random.default_rng(0)
    fitted = fit_dual(task.objective, task.train, tol=tol, max_epochs=1000, rng=rng)
    return Trained(fitted.W, fitted.b, time.perf_counter() - began, fitted.certificate)


def our_online(task: Task, name: str) -> Trained:
    """SGD or averaged SGD, the search for the first learning rate included in its time."""
    make = SOLVERS[name].make
    assert make is not None, "the solvers of EPOCHS are primal"
    rng, epochs = np.random.default_rng(0), EPOCHS[name]
    began = time.perf_counter()
    solver = make(task.objective, task.train, rng, Plan(epochs=epochs))
    found = time.perf_counter() - began
    fitted = fit_online(solver, task.objective, task.train, epochs=epochs, rng=rng, threads=cores())
    seconds = found + fitted.history[-1]["seconds"]
    return Trained(fitted.W, fitted.b, seconds, fitted.certificate)


def as_csr(rows: Sparse) -> Any:
    """A float64 copy for scikit-learn, which would make its own inside the clock."""
    from scipy.sparse import csr_matrix

    indices, indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    shape = (len(indptr) - 1, rows.n_features)
    return csr_matrix((rows.values.astype(np.float64), indices, indptr), shape=shape)


def peer(task: Task, X: Any, estimator: Any) -> Trained:
    """A scikit-learn classifier, trained on a float64 matrix."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: its gap will tell
        estimator.fit(X, task.corpus.train.codes)
    seconds = time.perf_counter() - began
    return Trained(estimator.coef_[0].copy(), np.atleast_1d(estimator.intercept_), seconds)


def liblinear(task: Task, **options: Any) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(loss="hinge", C=task.objective.C, random_state=0, **options)


def sklearn_sgd(**options: Any) -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="hinge", alpha=LAM, random_state=0, **options)


def table(task: Task, told: Callable[[str], None] = lambda name: None) -> Iterator[Entry]:
    """The lines one after the other; `told` hears the name of each before its work starts."""
    small = head(task)
    for name in EPOCHS:
        our_online(small, name)
    our_dual(small)
    told("scikit-learn LinearSVC")
    X = as_csr(task.corpus.train.rows)
    yield entry(
        task,
        "scikit-learn LinearSVC",
        "hinge, its default tol",
        PUBLISHED[1][0],
        peer(task, X, liblinear(task)),
    )
    told("scikit-learn SGDClassifier")
    yield entry(
        task,
        "scikit-learn SGDClassifier",
        "hinge, its defaults",
        PUBLISHED[2][0],
        peer(task, X, sklearn_sgd()),
    )
    del X
    told("widemargin dual")
    yield entry(task, "widemargin dual", f"gap {TOL:g}", PUBLISHED[1][0], our_dual(task))
    for name, words in (("sgd", "widemargin SGD"), ("asgd", "widemargin averaged SGD")):
        told(words)
        yield entry(task, words, f"{EPOCHS[name]} epochs", PUBLISHED[2][0], our_online(task, name))


def entry(task: Task, solver: str, settings: str, published: str, trained: Trained) -> Entry:
    """A line of the table: every solver's objective and error are taken by the same code."""
    W, b = trained.W, trained.b
    seen = trained.certificate
    if seen is None:
        seen = evaluate(task.objective, task.train, W, b, threads=cores()).certificate
    test = task.corpus.test
    error = error_of(scores(test.rows, W, b, cores()), test.codes)
    per_sample = seen.primal / (task.objective.C * len(task.train.codes))
    gap = seen.relative_gap if math.isfinite(seen.relative_gap) else 1.0
    return Entry(solver, settings, trained.seconds, per_sample, error, gap, published)
