"""Fits on several threads: the time of the dual solver to a gap, of SGD to an objective."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from harness import datasets
from harness.datasets import in_memory, objective_of, samples_of
from widemargin.data.rows import block_order, n_nonzeros, n_rows
from widemargin.objective import Objective
from widemargin.run.evaluation import losses_of
from widemargin.run.fit import fit_dual
from widemargin.run.serial import FEWEST_BLOCKS, IN_CACHE, LARGEST_BLOCK
from widemargin.run.solve import SOLVERS, Plan
from widemargin.run.threads import on_threads
from widemargin.threads import cores, crew_of

Spec = dict[str, Any]
FITS = 12  # in a process, each with an order of its own, after one that warms up
PARTS = 4  # of an epoch: the objective is looked at after each, with the clock stopped
MOST_EPOCHS = 100


def dual(spec: Spec) -> Any:
    """Seconds of the dual solver to the relative gap spec["tol"]."""
    samples, objective = _task(spec)
    took, epochs = [], []
    for seed in range(FITS + 1):
        rng, began = np.random.default_rng(seed), time.perf_counter()
        how = {"tol": spec["tol"], "max_epochs": 1000, "rng": rng}
        fitted = fit_dual(objective, samples, threads=spec["threads"], **how)
        took.append(time.perf_counter() - began)
        epochs.append(fitted.epochs)
        if not fitted.solved:
            raise RuntimeError(f"relative gap {fitted.certificate.relative_gap:g} at the end")
    return {"seconds": statistics.fmean(took[1:]), "epochs": statistics.fmean(epochs[1:])}


def sgd(spec: Spec) -> Any:
    """Seconds of SGD by spec["scheme"] (none: serial) to the objective spec["level"].

    The learning rate is searched once, outside the clock; so are the looks at the objective.
    """
    samples, objective = _task(spec)
    maker = SOLVERS["sgd"].make
    assert maker is not None
    plain = maker(objective, samples, np.random.default_rng(0), Plan())
    found = []
    with crew_of(spec["threads"]) as crew:
        solver = plain
        if spec.get("scheme"):
            solver = on_threads(plain, spec["scheme"], crew, samples, spec.get("exchange"))
        for seed in range(FITS + 1):
            found.append(_until(solver, objective, samples, seed, spec["level"]))
    seconds, epochs = zip(*found[1:], strict=True)
    return {
        "seconds": statistics.fmean(seconds),
        "epochs": statistics.fmean(epochs),
        "epoch": statistics.median(s / e for s, e in found[1:]),
    }


def _task(spec: Spec) -> tuple[Any, Objective]:
    problem = in_memory(datasets.load(spec["data"], spec.get("rows")))
    return samples_of(problem), objective_of(problem)


def _until(
    solver: Any, objective: Objective, samples: Any, seed: int, level: float
) -> tuple[float, float]:
    """(seconds, epochs) until the objective is at most `level`."""
    rng, n, seconds = np.random.default_rng(seed), n_rows(samples.rows), 0.0
    block = min(LARGEST_BLOCK, n // FEWEST_BLOCKS) if n_nonzeros(samples.rows) > IN_CACHE else 1
    state = solver.init(objective, samples)
    for part in range(MOST_EPOCHS * PARTS):
        if part % PARTS == 0:
            pieces = np.array_split(block_order(n, block, rng), PARTS)
        began = time.perf_counter()
        state = solver.epoch(objective, samples, pieces[part % PARTS], state)
        seconds += time.perf_counter() - began
        losses = losses_of(objective, samples, state.W, state.b, cores())
        if 0.5 * float((state.W * state.W).sum()) + objective.C * losses.sum() <= level:
            return seconds, (part + 1) / PARTS
    raise RuntimeError(f"the objective is still above {level:g} after {MOST_EPOCHS} epochs")
