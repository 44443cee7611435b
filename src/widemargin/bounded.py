"""`fit_store`: train on a packed store of any size, in bounded memory."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import numpy as np

from widemargin.data.blocks import make_blocks
from widemargin.data.dataset import Dataset
from widemargin.data.dataset import open as open_data
from widemargin.data.rows import Array
from widemargin.data.store import is_store
from widemargin.data.windows import give_back
from widemargin.errors import Diverged, InputError, choose
from widemargin.fitted_model import model_of
from widemargin.memory import peak, size_of
from widemargin.model import Model
from widemargin.objective import Objective, lam_of
from widemargin.run.fit import Fitted, Progress
from widemargin.run.memory_plan import PER_ROW, plan_memory
from widemargin.run.solve import Plan, make_objective, solver_for
from widemargin.run.solve_blocks import fit_blocks
from widemargin.threads import cores

LABELS = 1 << 22  # counted at once
BATCH = 32  # samples a step of minibatch
STEPS = {"auto": "minibatch", "sgd": "minibatch", "minibatch": "minibatch", "dual": "dual"}
FEW = 256  # rows that show which code a fit needs


def fit_store(
    path: str | os.PathLike[str],
    *,
    max_memory: str | int | None = None,
    loss: str = "hinge",
    C: float | None = None,
    alpha: float | None = None,
    solver: str = "auto",
    epochs: int | None = None,
    tol: float | None = None,
    batch_size: int | None = None,
    class_weight: str | None = None,
    fit_intercept: bool = True,
    n_jobs: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    engine: Any = None,
) -> Model:
    """Train on a packed store block by block, as `widemargin train STORE --max-memory` does.

        min_w,b  r(w) + C Σᵢ sᵢ ℓ(wᵀxᵢ + b; yᵢ)

    Blocks of rows are read ahead in a new random order each epoch while the one before is
    computed on; no more than two are in memory. The objective and the certificate are those of
    all rows. Solvers that step row by row want the rows shuffled, as `pack` leaves them.

    Parameters
    ----------
    path : the folder of a packed store
    max_memory : int, str or None
        Bytes that the process may hold at its peak, as in "512M" or "1.5G", what it holds
        already included. None: what makes for speed, at most 0.6 GB beside weights and α.
    loss, C, alpha, solver, epochs, tol, batch_size, class_weight, fit_intercept, n_jobs, seed :
        As the options of `widemargin train`; alpha = λ stands for C = 1 / (λ n).
    progress : called with each row of the history
    engine : None or a `widemargin.cluster.Cluster`
        Who takes the steps of solver "minibatch" (also "auto" and "sgd") or "dual"; all machines
        must see the store. `batch_size` are then the rows of a block, None: as many as suit the
        data.

    Returns
    -------
    Model, whose `certificate` and `training` say how it ended; `training["solved"]` is False
    where it stopped before `tol`.

    Raises
    ------
    InputError for a store that cannot be read; ValueError for options that do not fit, and for
    a bound too small, with the least possible.

    Examples
    --------
    >>> model = wm.fit_store("train.store", max_memory="1G", C=10)      # doctest: +SKIP
    >>> wm.save(model, "model.safetensors")                             # doctest: +SKIP
    """
    limit = None if max_memory is None else size_of(max_memory)
    if engine is not None:
        solver = choose("solver", solver, STEPS)
    chosen, threads, began = solver_for(solver, loss), n_jobs or cores(), time.perf_counter()
    data = _open(os.fspath(path))
    C = 1.0 / (alpha * data.n_samples) if alpha is not None else 1.0 if C is None else C
    objective = make_objective(chosen, loss, C, fit_intercept=fit_intercept)
    columns = 1 if len(data.label_names) == 2 else len(data.label_names)
    plan, rng = Plan(tol, epochs, batch_size or BATCH, threads), np.random.default_rng(seed)
    weights = choose("class_weight", class_weight, WEIGHTS)(data) if class_weight else None
    if limit is not None and engine is None:
        _load_code(chosen, objective, data, plan)
    room = plan_memory(data, columns, limit)
    beside = PER_ROW * columns if room.mapped else 0
    blocks = make_blocks(data, room.window, beside=beside, class_weight=weights)
    if engine is None:
        fitted = fit_blocks(
            chosen, objective, blocks, rng=rng, plan=plan, mapped=room.mapped, progress=progress
        )
        more: dict[str, Any] = {}
    else:
        from widemargin.run.shared_store import FITS, How

        how = How(epochs, tol, batch_size, weights, seed, threads)
        fit_on = FITS[chosen]
        fitted, more = fit_on(engine, objective, blocks, how, mapped=room.mapped, progress=progress)
    facts = {
        **facts_of(objective, data, fitted),
        "solver": chosen,
        "n_jobs": threads,
        "max_memory": limit,
        "peak_memory": peak(),
        "blocks": blocks.many,
        "solved": fitted.solved,
        "seconds": {"fit": time.perf_counter() - began},
        **more,
    }
    return model_of(objective, data, fitted, loss, chosen, facts)


def _open(path: str) -> Dataset:
    if not is_store(path):
        raise InputError(
            f"{path}: found no packed store; accepted: a folder that widemargin pack made; pack "
            "the data first."
        )
    data = open_data(path)
    names = data.label_names
    if len(names) < 2:
        raise InputError(
            f"{path}: found one class only ({', '.join(map(repr, names))}) in {data.n_samples} "
            "rows; accepted: rows of two classes or more; add the others."
        )
    return data


def _load_code(name: str, objective: Objective, data: Dataset, plan: Plan) -> None:
    """Run the solver on a few rows, so that its compiled code is there when memory is shared out:
    it takes more of it than small blocks do."""
    n = min(FEW, data.n_samples)
    rows = data.rows._replace(indptr=data.rows.indptr[: n + 1])
    few = replace(data, rows=rows, codes=data.codes[:n])
    small = objective._replace(C=objective.C * data.n_samples / n)
    blocks, rng = make_blocks(few, LABELS), np.random.default_rng(0)
    try:
        fit_blocks(name, small, blocks, rng=rng, plan=plan._replace(tol=1e-9, epochs=1))
    except Diverged:
        pass  # as the fit itself will say, if it is so there


def balanced(data: Dataset) -> Array:
    """Weights of the classes, inverse to their frequency."""
    counts = np.zeros(len(data.label_names), np.int64)
    for start in range(0, data.n_samples, LABELS):
        codes = data.codes[start : start + LABELS]
        counts += np.bincount(codes, minlength=len(counts))
        give_back([codes])
    return data.n_samples / (len(counts) * counts)


WEIGHTS = {"balanced": balanced}


def facts_of(objective: Objective, data: Dataset, fitted: Fitted) -> dict[str, Any]:
    """What is reported of a fit."""
    certificate = fitted.certificate
    assert fitted.errors is not None, "a fit over blocks counts its errors"
    return {
        "objective": certificate.primal,
        "objective_per_sample": certificate.primal * lam_of(objective, data.n_samples),
        "dual_objective": certificate.dual,
        "relative_gap": certificate.relative_gap,
        "epochs": fitted.epochs,
        "train_error": fitted.errors / data.n_samples,
        "n_samples": data.n_samples,
        "n_features": data.n_features,
        "n_nonzeros": data.n_nonzeros,
        "n_classes": len(data.label_names),
    }
