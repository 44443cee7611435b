"""Actions: a large store made in a stream, and trainings on it by the command line."""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness import texts
from harness.commands import WIDEMARGIN, python, read_once
from harness.datasets import LAM
from widemargin.data.store import is_store, write_meta
from widemargin.data.store_stream import Facts
from widemargin.data.store_writer import StoreWriter
from widemargin.data.synthetic import N_FEATURES, N_TRAIN, rcv1_like

Spec = dict[str, Any]


def place(rows: int) -> Path:
    return texts.folder() / f"rcv1_like-{rows}-rows.store"


def make(spec: Spec) -> Any:
    """Corpora of seeds 0, 1, 2 … one after the other, each forgotten once it is written."""
    path, rows = place(spec["rows"]), spec["rows"]
    if not is_store(path):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        with StoreWriter(path, "float32") as out:
            for seed, start in enumerate(range(0, rows, N_TRAIN)):
                part = rcv1_like(min(N_TRAIN, rows - start), 1, seed=seed).train
                lengths = part.rows.indptr[1:] - part.rows.indptr[:-1]
                out.append(part.rows.values, part.rows.indices, lengths, part.codes)
        write_meta(path, Facts(("-1", "1"), N_FEATURES, N_FEATURES - 1, False), {"seed": 0})
    return {"bytes": sum(file.stat().st_size for file in path.iterdir())}


def remove(spec: Spec) -> Any:
    shutil.rmtree(place(spec["rows"]), ignore_errors=True)
    return {"removed": True}


def train(spec: Spec) -> Any:
    """`widemargin train STORE`; its own clock, and the peak that the system counted."""
    store = place(spec["rows"])
    for file in store.iterdir():
        read_once(file)
    limit = [] if spec.get("max_memory") is None else ["--max-memory", spec["max_memory"]]
    how = ("--solver", spec["solver"], "--alpha", str(LAM), "--json", *limit)
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder, "model"))
        _, out = python(WIDEMARGIN, "train", str(store), "-m", model, *how)
    told = json.loads(out)
    return {
        "seconds": told["seconds"]["fit"],
        "objective": told["objective"],
        "relative_gap": told["relative_gap"],
        "epochs": told["epochs"],
        "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }
