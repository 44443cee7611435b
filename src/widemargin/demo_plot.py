"""The figure of optimisation accuracy: training time against f − f*, one curve a solver.

f is the per-sample objective, taken outside the clock; f* is what the dual solver reaches at a
relative gap of 1e-6. Solvers that cannot be watched are trained anew for each point.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.demo import (
    Task,
    as_csr,
    head,
    liblinear,
    our_dual,
    our_online,
    peer,
    sklearn_sgd,
)
from widemargin.files import written_whole
from widemargin.penalties import L2, penalty_value
from widemargin.run.certified import certified
from widemargin.run.evaluation import losses_of
from widemargin.run.serial import serial
from widemargin.run.solve import SOLVERS, Plan
from widemargin.solvers.dual import DualCoordinateDescent
from widemargin.threads import cores

OPTIMUM_TOL = 1e-6
FLOOR = 1e-7  # below this share of f* the optimum itself is not known
EPOCHS = 12
FEWEST_EPOCHS = (1, 2, 4, 8, 16, 32)  # of the solvers that are trained anew for each point
TICKS = (1.0, 2.0, 5.0)
INK, FAINT = "#222222", "#d9d9d9"


DUAL_TOL, DUAL_EPOCHS = 1e-7, 100
PLACES = {  # of a name: at which point, how far off in points, and which of its sides is there
    "after": (-1, (9, 0), "left", "center"),
    "start": (0, (-4, 8), "left", "bottom"),
}


class Point(NamedTuple):
    seconds: float
    f: float


class Curve(NamedTuple):
    name: str
    colour: str  # of Okabe and Ito's eight, which the colour-blind can tell apart
    ours: bool
    points: list[Point]
    place: str = "after"  # of the name: a key of PLACES


def curves(task: Task) -> list[Curve]:
    """Every solver's walk towards the optimum."""
    small = head(task)
    our_dual(small)
    our_online(small, "sgd")
    our_online(small, "asgd")
    X = as_csr(task.corpus.train.rows)
    return [
        Curve("scikit-learn LinearSVC", "#E69F00", False, list(_liblinear_points(task, X))),
        Curve("scikit-learn SGDClassifier", "#CC79A7", False, list(_sklearn_points(task, X))),
        Curve("widemargin dual", "#0072B2", True, list(_dual_points(task))),
        Curve("widemargin SGD", "#009E73", True, list(_online_points(task, "sgd")), "start"),
        Curve(
            "widemargin averaged SGD", "#D55E00", True, list(_online_points(task, "asgd")), "start"
        ),
    ]


def f_of(task: Task, W: Array, b: Array) -> float:
    """The per-sample objective."""
    loss = float(losses_of(task.objective, task.train, W, b, cores()).sum())
    C, n = task.objective.C, len(task.train.codes)
    return loss / n + penalty_value(L2(), W) / (C * n)


def _liblinear_points(task: Task, X: Any) -> Iterator[Point]:
    for epochs in FEWEST_EPOCHS:
        done = peer(task, X, liblinear(task, max_iter=epochs))
        yield Point(done.seconds, f_of(task, done.W, done.b))


def _sklearn_points(task: Task, X: Any) -> Iterator[Point]:
    estimator, seconds = sklearn_sgd(), 0.0
    for _ in range(EPOCHS):
        began = time.perf_counter()
        estimator.partial_fit(X, task.corpus.train.codes, classes=[0, 1])
        seconds += time.perf_counter() - began
        yield Point(seconds, f_of(task, estimator.coef_[0], estimator.intercept_))


def _online_points(task: Task, name: str) -> Iterator[Point]:
    make = SOLVERS[name].make
    assert make is not None, "SGD and averaged SGD are primal"
    rng, began = np.random.default_rng(0), time.perf_counter()
    solver = make(task.objective, task.train, rng, Plan(epochs=EPOCHS))
    first = 1 if name == "asgd" else 0  # nothing is averaged in its first epoch
    seconds = time.perf_counter() - began
    steps = serial(solver, task.objective, task.train, rng)
    for epoch in range(EPOCHS + first):
        began = time.perf_counter()
        state = next(steps)
        seconds += time.perf_counter() - began
        if epoch >= first:
            yield Point(seconds, f_of(task, state.W, state.b))


def _dual_points(task: Task) -> Iterator[Point]:
    """Each epoch on the way to a relative gap of DUAL_TOL, certificates included."""
    rng, seconds = np.random.default_rng(0), 0.0
    solver = DualCoordinateDescent()
    steps = certified(solver, task.objective, task.train, rng, tol=DUAL_TOL, max_epochs=DUAL_EPOCHS)
    while True:
        began = time.perf_counter()
        step = next(steps, None)
        seconds += time.perf_counter() - began
        if step is None:
            return
        yield Point(seconds, f_of(task, step.state.W, step.state.b))


# -- drawing -----------------------------------------------------------------------------------


def draw(task: Task, path: Path) -> None:
    """Train, then write the figure; it appears when it is whole."""
    best = our_dual(task, OPTIMUM_TOL)
    drawn = curves(task)
    optimum = min(f_of(task, best.W, best.b), *(p.f for c in drawn for p in c.points))
    figure = figure_of(drawn, optimum, len(task.train.codes))
    with written_whole(path) as stream:
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png", dpi=200)


def figure_of(drawn: list[Curve], optimum: float, n: int) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    for curve in drawn:
        x, y = reached(curve.points, optimum)
        axes.plot(
            x,
            y,
            color=curve.colour,
            lw=2.4 if curve.ours else 1.6,
            marker="o",
            ms=4.5 if curve.ours else 3.5,
            ls="-" if curve.ours else (0, (5, 2)),
            zorder=3 if curve.ours else 2,
            clip_on=False,
        )
        _label(axes, curve, x, y)
    _dress(axes, optimum, n)
    return figure


def reached(points: list[Point], optimum: float) -> tuple[list[float], list[float]]:
    """Seconds, and the best f − f* so far; it ends where f* itself is no better known."""
    x: list[float] = []
    y: list[float] = []
    for seconds, f in points:
        miss = min([f - optimum, *y[-1:]])
        x.append(seconds)
        y.append(max(miss, FLOOR * optimum))
        if miss <= FLOOR * optimum:
            break
    return x, y


def _label(axes: Any, curve: Curve, x: list[float], y: list[float]) -> None:
    """The name beside its curve, in its colour."""
    point, offset, ha, va = PLACES[curve.place]
    axes.annotate(
        curve.name,
        (x[point], y[point]),
        xytext=offset,
        textcoords="offset points",
        color=curve.colour,
        va=va,
        ha=ha,
        fontsize=10,
        annotation_clip=False,
        fontweight="bold" if curve.ours else "normal",
    )


def _dress(axes: Any, optimum: float, n: int) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("training time, seconds", color=INK)
    axes.set_title(
        f"Optimisation accuracy, hinge loss, λ = 1e-4, {n:,} rows, one thread",
        loc="left",
        fontsize=12,
        color=INK,
        pad=22,
    )
    axes.text(
        0.0, 1.02, "f(w, b) − f*, best so far", transform=axes.transAxes, color=INK, fontsize=10
    )
    axes.xaxis.set_major_locator(LogLocator(subs=TICKS))
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_xlim()
    axes.set_xlim(low, 2.2 * high)  # room for the names
    axes.grid(True, which="major", color=FAINT, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.axhline(1e-3 * optimum, color=INK, lw=0.9, ls=":")
    axes.annotate(
        "0.1 % above the optimum",
        (1.0, 1e-3 * optimum),
        color=INK,
        fontsize=9,
        xycoords=("axes fraction", "data"),
        xytext=(-2, 4),
        ha="right",
        textcoords="offset points",
    )
