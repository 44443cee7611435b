"""Rows of a file or a store in blocks, as a model counts features, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.formats import by_name
from widemargin.data.rows import Rows, read_only
from widemargin.data.store import is_store
from widemargin.data.svmlight import read_blocks
from widemargin.errors import InputError
from widemargin.model import Model
from widemargin.threads import cores

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
    serving: Mapping[str, Any] | None = None,
    block_bytes: int | None = None,
) -> Iterator[Block]:
    """Consecutive rows with the model's number of features; a feature beyond it is an error.

    A model of text or tables reads documents or records, `serving` by what is said of them.
    """
    if model.features is not None:
        yield from _of_records(model, source, serving or {}, unlabelled, threads or cores())
        return
    _refuse_records(source, serving)
    block_bytes = block_bytes or BLOCK_BYTES
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


def _of_records(
    model: Model, source: str, said: Mapping[str, Any], unlabelled: bool, workers: int
) -> Iterator[Block]:
    from widemargin.features.serving import Serving, serve

    if is_store(source):
        raise InputError(
            f"{source}: found a packed store, but the model takes raw documents or records with "
            f"the columns {', '.join(map(repr, sorted(model.features.columns)))}; give these."
        )
    how = Serving(**said)
    for block in serve(model.features, source, how, unlabelled=unlabelled, workers=workers):
        yield Block(read_only(block.rows), block.codes, block.label_names)


def _refuse_records(source: str, said: Mapping[str, Any] | None) -> None:
    """What a model of numbered features cannot take, said before it looks like broken svmlight."""
    kind = by_name(source)
    if kind or said:
        raise InputError(
            f"{source}: found {kind or 'options for text and tables'}, but the model takes the "
            "numbered features of svmlight text; accepted: svmlight text or a packed store; train "
            "on the text or table itself, with --text or --label."
        )
