"""`widemargin pack`: files become one store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from widemargin.cli.clock import since_start
from widemargin.cli.output import put_json
from widemargin.data import store
from widemargin.memory import peak, size_of


class Packing(NamedTuple):
    """What the user asked for."""

    data: list[str]
    output: Path
    seed: int
    shuffle: bool
    float64: bool
    overwrite: bool
    zero_based: bool | None
    n_jobs: int | None
    max_memory: str | None
    json: bool


def pack(asked: Packing) -> None:
    if asked.data.count("-") > 1:
        raise ValueError("stdin ('-') is named twice. It can be read once.")
    limit = None if asked.max_memory is None else size_of(asked.max_memory, "--max-memory")
    began = time.perf_counter()
    kept = store.pack(
        asked.data,
        asked.output,
        seed=asked.seed,
        dtype="float64" if asked.float64 else "float32",
        shuffle=asked.shuffle,
        overwrite=asked.overwrite,
        zero_based="auto" if asked.zero_based is None else asked.zero_based,
        threads=asked.n_jobs,
        max_memory=limit,
    )
    report: dict[str, Any] = {
        "store": str(asked.output),
        "n_samples": len(kept.codes),
        "n_features": kept.rows.n_features,
        "n_nonzeros": len(kept.rows.values),
        "labels": list(kept.label_names),
        "seed": kept.meta["seed"],
        "seconds": {"pack": time.perf_counter() - began, "total": since_start()},
    }
    if limit is not None:
        report |= {"max_memory": limit, "peak_memory": peak()}
    if asked.json:
        return put_json(report)
    print(
        f"{report['n_samples']:,} rows, {report['n_features']:,} features, "
        f"{report['n_nonzeros']:,} nonzeros in {asked.output} "
        f"({report['seconds']['pack']:.1f} s)"
    )
