"""`widemargin train --max-memory`: block by block, from a packed store or by way of one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from widemargin.bounded import fit_store
from widemargin.cli.blocks import blocks
from widemargin.cli.clock import since_start
from widemargin.cli.labels import codes_among
from widemargin.cli.live import Epochs, Live
from widemargin.cli.outcome import show, verdict
from widemargin.cli.output import put_json
from widemargin.cli.train import BATCH, Training
from widemargin.data.formats import by_name
from widemargin.data.store import is_store, open_store, pack
from widemargin.errors import InputError
from widemargin.memory import in_words, peak, resident, size_of
from widemargin.model import Model
from widemargin.model_file import save
from widemargin.run.solve import SOLVERS
from widemargin.scores import codes_of
from widemargin.threads import cores

SHARE = 16  # of what is left of the bound: a block of the test data
LEAST_BLOCK, MOST_BLOCK = 1 << 16, 1 << 24


def train_bounded(asked: Training, solver: str, loss: str) -> int:
    """What `train` does, in bounded memory; the exit code."""
    refuse(asked)
    limit, began = size_of(asked.max_memory or "", "--max-memory"), time.perf_counter()
    with packed(asked, limit) as store:
        loaded = time.perf_counter()
        size, tol = asked.batch_size or BATCH, asked.tol or SOLVERS[solver].tol
        watch = Epochs(rows_of(store), asked.epochs or SOLVERS[solver].epochs, tol)
        model = fitted(asked, store, watch, solver=solver, loss=loss, batch_size=size)
    ended, threads = time.perf_counter(), asked.n_jobs or cores()
    report = {**model.training, "scheme": None, "test_error": None}
    if asked.test:
        report["test_error"] = test_error(model, asked.test, limit, threads)
    report["peak_memory"] = peak()
    save(replace(model, training=report), asked.model)
    seconds = {"load": loaded - began, "fit": ended - loaded, "total": since_start()}
    report["seconds"] = seconds
    put_json(report) if asked.json else _show(report, asked.model)
    return verdict(report.pop("solved"), report)


def refuse(asked: Training, beside: str = "--max-memory") -> None:
    """What needs all rows, or their scores, at once."""
    if asked.reading is not None or (asked.data != "-" and by_name(asked.data)):
        raise InputError(
            f"{asked.data}: {beside} goes with svmlight text and packed stores, not with "
            "documents and tables; leave it out, or give svmlight text."
        )
    for option, said in (
        ("--report", asked.report is not None),
        ("--test-share", asked.test_share is not None),
        ("--proba", asked.proba),
        ("--scheme", asked.scheme is not None),
        ("--multi-class crammer_singer", asked.multi_class != "ovr"),
    ):
        if said:
            raise ValueError(
                f"{option} does not go with {beside}, where no process holds all rows at once. "
                "Leave one of them out; a test set of its own goes with both: --test."
            )


@contextmanager
def packed(asked: Training, limit: int | None) -> Iterator[str]:
    """The store to train on: the data themselves, or a temporary one beside the model."""
    if is_store(asked.data):
        if asked.n_features is not None:
            raise InputError(
                f"{asked.data}: --n-features goes with text; accepted: a store as it is; leave "
                "it out, or pack the data again."
            )
        yield asked.data
        return
    folder = asked.model.absolute().parent
    with tempfile.TemporaryDirectory(prefix=f".{asked.model.name}.", dir=folder) as draft:
        store = Path(draft, "store")
        pack(
            [asked.data],
            store,
            zero_based="auto" if asked.zero_based is None else asked.zero_based,
            n_features=asked.n_features,
            threads=asked.n_jobs,
            max_memory=limit,
        )
        yield str(store)


def rows_of(store: str) -> int:
    return int(open_store(store).meta["shape"][0])


def fitted(asked: Training, store: str, watch: Epochs, **how: Any) -> Model:
    """The fit that was asked for, its epochs told live; `how` it differs between commands."""
    limit = None if asked.max_memory is None else size_of(asked.max_memory, "--max-memory")
    with Live(watch.told):
        return fit_store(
            store,
            max_memory=limit,
            C=asked.C,
            alpha=asked.alpha,
            epochs=asked.epochs,
            tol=asked.tol,
            class_weight=asked.class_weight,
            fit_intercept=asked.intercept,
            n_jobs=asked.n_jobs,
            seed=asked.seed,
            progress=watch.row,
            **how,
        )


def test_error(model: Model, source: str, limit: int, threads: int) -> float:
    """The error on other data, block by block; a label that training never saw is an error."""
    share = (limit - resident()) // SHARE
    size, wrong, n = min(max(share, LEAST_BLOCK), MOST_BLOCK), 0, 0
    for block in blocks(model, source, unlabelled=False, threads=threads, block_bytes=size):
        true = codes_among(model.labels, block.label_names)[block.codes]
        found = codes_of(model.scores(block.rows, threads=threads))
        wrong, n = wrong + int(np.count_nonzero(found != true)), n + len(true)
    return wrong / n


def _show(report: dict[str, Any], path: Path) -> None:
    show(report, path, None)
    most, bound = in_words(report["peak_memory"]), in_words(report["max_memory"])
    print(f"memory         {most} at its peak, of {bound}")
