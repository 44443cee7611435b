"""`widemargin predict`: the label of each row, written as the rows are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from widemargin.cli.blocks import blocks
from widemargin.cli.live import Live, Rows
from widemargin.files import written_whole
from widemargin.kernel_model_file import load
from widemargin.model import Model
from widemargin.scores import codes_of
from widemargin.threads import cores

Columns: TypeAlias = Callable[[Any], Any]


def predict(
    path: Path,
    source: str,
    output: Path | None,
    *,
    scores: bool,
    threads: int | None,
    proba: bool = False,
    serving: Mapping[str, Any] | None = None,
) -> None:
    """A line a row: the label; with `scores` or `proba` also its scores or probabilities."""
    model = load(path)
    if scores and proba:
        raise ValueError("--scores and --proba both say what follows the label. Give one of them.")
    if proba and model.sigmoids is None:
        raise ValueError(
            f"{path}: the model has no probabilities. Train it with --proba, or predict without."
        )
    more = columns_of(model, scores, proba)
    if output is None:
        _write(model, source, sys.stdout.buffer, more, threads, serving)
        return
    with written_whole(output) as stream:
        _write(model, source, stream, more, threads, serving)


def columns_of(model: Model, scores: bool, proba: bool) -> Columns | None:
    """What of a block's scores (n, K) follows the labels; None: nothing."""
    if proba:
        return model.probabilities
    return (lambda p: p) if scores else None


def _write(
    model: Model,
    source: str,
    out: IO[bytes],
    more: Columns | None,
    threads: int | None,
    serving: Mapping[str, Any] | None,
) -> None:
    names = np.array(model.labels, dtype=object)
    seen = Rows()
    with Live(seen.told, shown=not out.isatty()):  # labels and a line would mix
        for block in blocks(model, source, unlabelled=True, threads=threads, serving=serving):
            p = model.scores(block.rows, threads=threads or cores())
            labels = names[codes_of(p)].tolist()
            lines = labels if more is None else _with(labels, more(p))
            out.write(("\n".join(lines) + "\n").encode())
            seen.add(len(lines))


def _with(labels: list[str], columns: Any) -> list[str]:
    """label, tab, numbers separated by tabs; enough digits to give them back exactly."""
    return [
        "\t".join([label, *map(repr, row)])
        for label, row in zip(labels, columns.tolist(), strict=True)
    ]
