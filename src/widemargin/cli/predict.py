"""`widemargin predict`: the label of each row, written as the rows are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from widemargin.cli.blocks import blocks
from widemargin.cli.live import Live, Rows
from widemargin.files import written_whole
from widemargin.kernel_model_file import load
from widemargin.model import Model
from widemargin.scores import codes_of
from widemargin.threads import cores


def predict(
    path: Path,
    source: str,
    output: Path | None,
    *,
    scores: bool,
    threads: int | None,
    serving: Mapping[str, Any] | None = None,
) -> None:
    model = load(path)
    if output is None:
        _write(model, source, sys.stdout.buffer, scores, threads, serving)
        return
    with written_whole(output) as stream:
        _write(model, source, stream, scores, threads, serving)


def _write(
    model: Model,
    source: str,
    out: IO[bytes],
    scores: bool,
    threads: int | None,
    serving: Mapping[str, Any] | None,
) -> None:
    names = np.array(model.labels, dtype=object)
    seen = Rows()
    with Live(seen.told, shown=not out.isatty()):  # labels and a line would mix
        for block in blocks(model, source, unlabelled=True, threads=threads, serving=serving):
            p = model.scores(block.rows, threads=threads or cores())
            labels = names[codes_of(p)].tolist()
            lines = _with_scores(labels, p) if scores else labels
            out.write(("\n".join(lines) + "\n").encode())
            seen.add(len(lines))


def _with_scores(labels: list[str], p: Any) -> list[str]:
    """label, tab, scores separated by tabs; enough digits to give them back exactly."""
    return [
        "\t".join([label, *map(repr, row)]) for label, row in zip(labels, p.tolist(), strict=True)
    ]
