"""Rows of a file or a store in blocks, as a model counts features, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.rows import Rows, read_only
from widemargin.data.store import is_store
from widemargin.data.svmlight import read_blocks
from widemargin.model import Model

BLOCK_BYTES = 1 << 24  # of text, or of the arrays of a store


class Block(NamedTuple):
    rows: Rows
    codes: NDArray[np.int32]
    label_names: tuple[str, ...]


def blocks(
    model: Model,
    source: str,
    *,
    unlabelled: bool,
    threads: int | None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Consecutive rows with the model's number of features; a feature beyond it is an error."""
    if is_store(source):
        yield from _of_store(model, source, block_bytes)
        return
    for part in read_blocks(
        source,
        block_bytes=block_bytes,
        n_features=model.n_features,
        zero_based=model.zero_based,
        unlabelled=unlabelled,
        threads=threads,
    ):
        yield Block(read_only(part.rows), part.codes, part.label_names)


def _of_store(model: Model, source: str, block_bytes: int) -> Iterator[Block]:
    from widemargin.data.blocks import make_blocks, visit
    from widemargin.data.dataset import open as open_data

    data = open_data(source, n_features=model.n_features)
    parts = make_blocks(data, block_bytes)
    for part in visit(parts, range(parts.many)):
        yield Block(part.samples.rows, part.samples.codes, data.label_names)
