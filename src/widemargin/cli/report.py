"""`--report`: the page of a run of `train` or `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from widemargin.cli.labels import codes_among
from widemargin.cli.said import exact_command
from widemargin.data.dataset import Dataset
from widemargin.data.rows import Array, Rows
from widemargin.errors import InputError
from widemargin.model import Model
from widemargin.reports.facts import Seen
from widemargin.reports.gather import Run, gather, row_lengths, see
from widemargin.reports.page import render, write_page


def check_page(page: Path, model: Path) -> None:
    """Refuse a place that cannot be written to, before any work."""
    if not page.absolute().parent.is_dir():
        raise InputError(
            f"{page}: found no folder {page.parent} to write into; accepted: a file in an "
            "existing folder; make it first."
        )
    if page.is_dir():
        raise InputError(f"{page}: found a folder; accepted: the name of a file; add one.")
    if page.absolute() == model.absolute():
        raise ValueError(f"--report and the model are both {page}. Give the report its own file.")


def title_of(source: str) -> str:
    return "standard input" if source == "-" else Path(source).name


def page_of_fit(
    model: Model,
    history: Sequence[Mapping[str, float]],
    data: Dataset,
    test: Dataset | None,
    *,
    tol: float | None,
    seed: int,
    seconds: Mapping[str, float],
    threads: int,
) -> bytes:
    """The page of a fit; all but its history is seen anew, from the weights that are saved."""
    sets = [_seen("training", model, data, threads)]
    if test is not None:
        sets.append(_seen("test", model, test, threads))
    run = Run(
        title=title_of(data.source),
        history=history,
        tol=tol,
        command=exact_command(),
        seed=seed,
        seconds=seconds,
    )
    return render(gather(model, sets, run))


def _seen(role: str, model: Model, data: Dataset, threads: int) -> Seen:
    codes = codes_among(model.labels, data.label_names)[data.codes]
    return see(role, title_of(data.source), model, data.rows, codes, threads=threads)


class Kept:
    """What a pass over blocks of rows keeps for a page: scores, classes and lengths."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.parts: list[tuple[Array, Array, Array]] = []

    def add(self, scores: Array, codes: Array, rows: Rows) -> None:
        self.parts.append((scores, codes, row_lengths(rows)))

    def write(self, model: Model, source: str, seconds: Mapping[str, float]) -> None:
        scores, codes, lengths = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        name = title_of(source)
        seen = Seen("evaluated", name, scores, codes, lengths, model.n_features)
        run = Run(title=name, command=exact_command(), seconds=seconds)
        write_page(gather(model, [seen], run), self.page)
