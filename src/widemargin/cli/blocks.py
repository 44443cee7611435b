"""Rows of a file or a store in blocks, as a model counts features, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.rows import Rows, read_only, take_rows
from widemargin.data.store import is_store
from widemargin.data.svmlight import read_blocks
from widemargin.model import Model

BLOCK_BYTES = 1 << 24  # of text
BLOCK_ROWS = 1 << 15  # of a store


class Block(NamedTuple):
    rows: Rows
    codes: NDArray[np.int32]
    label_names: tuple[str, ...]


def blocks(model: Model, source: str, *, unlabelled: bool, threads: int | None) -> Iterator[Block]:
    """Consecutive rows with the model's number of features; a feature beyond it is an error."""
    if is_store(source):
        yield from _of_store(model, source)
        return
    for part in read_blocks(
        source,
        block_bytes=BLOCK_BYTES,
        n_features=model.n_features,
        zero_based=model.zero_based,
        unlabelled=unlabelled,
        threads=threads,
    ):
        yield Block(read_only(part.rows), part.codes, part.label_names)


def _of_store(model: Model, source: str) -> Iterator[Block]:
    from widemargin.data.dataset import open as open_data

    data = open_data(source, n_features=model.n_features)
    for start in range(0, data.n_samples, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, data.n_samples)
        rows = take_rows(read_only(data.rows), start, stop)
        yield Block(rows, data.codes[start:stop], data.label_names)
