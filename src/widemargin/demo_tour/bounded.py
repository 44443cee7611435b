"""A packed store trained by a process of its own that may hold less than the store."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from widemargin.data.rows import Sparse
from widemargin.data.store import write_meta
from widemargin.data.store_stream import Facts
from widemargin.data.store_writer import StoreWriter
from widemargin.demo import LAM, TOL, Task
from widemargin.demo_tour.lines import Line, Stopwatch

BOUND = "400M"
ROWS = 50_000  # written at once
CODE = "from widemargin.cli import main; main()"


def bounded(task: Task) -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="widemargin-demo-") as name:
        store = Path(name, "store")
        watch = Stopwatch()
        size = write_store(task, store)
        packed = watch.lap()
        report = trained(store, Path(name, "model"))
    peak, gap = report["peak_memory"], report["relative_gap"]
    yield Line(
        f"store of {size / 2**20:,.0f} MB, bound {BOUND}",
        f"peak {peak / 2**20:,.0f} MB, gap {gap:.0e}, f(w,b) "
        f"{report['objective_per_sample']:.4f}; written in {packed:.1f} s",
        watch.lap(),
        {
            "store_bytes": size,
            "peak_memory": peak,
            "max_memory": report["max_memory"],
            "relative_gap": gap,
            "objective": report["objective_per_sample"],
        },
    )


def write_store(task: Task, folder: Path) -> int:
    """The rows of the corpus, which are in no order, as a packed store; its bytes."""
    rows, codes = task.corpus.train.rows, task.corpus.train.codes
    assert isinstance(rows, Sparse)
    folder.mkdir()
    with StoreWriter(folder, "float32") as out:
        for a in range(0, len(codes), ROWS):
            ends = rows.indptr[a : a + ROWS + 1]
            part = slice(int(ends[0]), int(ends[-1]))
            out.append(rows.values[part], rows.indices[part], np.diff(ends), codes[a : a + ROWS])
    d = rows.n_features
    names = tuple(str(label) for label in task.corpus.labels)
    write_meta(folder, Facts(names, d, d - 1, False), {"block_rows": 1024, "seed": None})
    return sum(file.stat().st_size for file in folder.iterdir())


def trained(store: Path, model: Path) -> dict[str, Any]:
    """What `widemargin train STORE --max-memory` says of its run."""
    said = ["train", store, "-m", model, "--max-memory", BOUND, "--alpha", LAM, "--tol", TOL]
    command = [sys.executable, "-c", CODE, *map(str, said), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise ValueError(f"the bounded training failed: {done.stderr.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report
