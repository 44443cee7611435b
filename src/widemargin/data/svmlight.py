"""The svmlight / libsvm reader: text to rows on all cores.

    LABEL [qid:N] INDEX:VALUE INDEX:VALUE ...  # comment

Two drivers over one parser. `read` takes a whole file: a plain one is mapped, cut at newlines,
counted and parsed by threads straight into the final arrays. `read_blocks` yields consecutive
blocks with bounded memory, which is also how compressed files and pipes are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.data.labels import classes
from widemargin.data.parser import Options, Part, joined, lifted, options, parse
from widemargin.data.rows import Sparse
from widemargin.data.streams import ahead, mapped, opened, texts
from widemargin.errors import InputError

BLOCK = 1 << 24  # bytes of text in a block of `read_blocks`


class Svmlight(NamedTuple):
    """What a file holds; the arrays of its rows are read-only."""

    rows: Sparse
    codes: NDArray[np.int32]  # (n,): position of the row's label in label_names, −1 without one
    label_names: tuple[str, ...]  # the classes, sorted, each as first spelt
    n_features: int
    zero_based: bool


def read(path: str | os.PathLike[str], **how: Any) -> Svmlight:
    """All rows of an svmlight file, plain or compressed; "-" is stdin.

    zero_based   True, False, or "auto": 0-based if and only if an index 0 appears
    n_features   columns of the rows; an index beyond them is an error. Default: as met
    unlabelled   rows may lack their label; their code is −1
    dtype        float32 or float64
    threads      default: all cores
    """
    choice, name = options(**how), os.fspath(path)
    with opened(name) as (stream, kind):
        text = mapped(stream) if kind == "plain" else None
        if text is not None:
            part = _whole(text, name, choice)
        else:
            part = joined(list(_parts(stream, kind, name, BLOCK, choice)), choice)
    if len(part.codes) == 0:
        raise _empty(name)
    return _finished(part, choice)


def read_text(text: bytes, *, name: str = "<text>", **how: Any) -> Svmlight:
    """The rows of svmlight text in memory; takes what `read` takes."""
    choice = options(**how)
    part = _whole(np.frombuffer(text, np.uint8), name, choice)
    if len(part.codes) == 0:
        raise _empty(name)
    return _finished(part, choice)


def _whole(text: NDArray[np.uint8], name: str, choice: Options) -> Part:
    part = parse(text, name, 0, choice)
    if part.zero and part.high == choice.n_features:
        parse(text, name, 0, choice._replace(zero_based=True))  # names the index too high
    return part


def read_blocks(
    path: str | os.PathLike[str], *, block_bytes: int = BLOCK, **how: Any
) -> Iterator[Svmlight]:
    """Consecutive blocks of rows, each as `read` gives it, in bounded memory.

    Codes and names are the block's own, and so is n_features unless it is given. With
    zero_based="auto", an index 0 that comes after a block without one is an error, because the
    rows before were read as 1-based.
    """
    choice, name, empty = options(**how), os.fspath(path), True
    with opened(name) as (stream, kind):
        for part in _parts(stream, kind, name, block_bytes, choice, settle=True):
            empty = False
            yield _finished(part, choice)
            if part.zero:
                choice = choice._replace(zero_based=True)  # the blocks after it are read so
    if empty:
        raise _empty(name)


def read_parts(
    path: str | os.PathLike[str], *, block_bytes: int = BLOCK, **how: Any
) -> Iterator[Part]:
    """Consecutive blocks as they are met: spellings of labels instead of classes, and where an
    index 0 turns up late, indices that count from 1 before it as after."""
    choice, name, empty = options(**how), os.fspath(path), True
    with opened(name) as (stream, kind):
        for part in _parts(stream, kind, name, block_bytes, choice):
            empty = False
            yield part
    if empty:
        raise _empty(name)


def _parts(
    stream: Any, kind: str, name: str, block_bytes: int, choice: Options, settle: bool = False
) -> Iterator[Part]:
    """The parsed blocks that hold rows; if asked, the first of them settles zero_based="auto".

    Where nothing settles it, an index is too high in 0-based rows that is not in 1-based ones:
    the index, or the 0 that comes after it, is named as soon as both were met.
    """
    settle, zero, high = settle and choice.zero_based == "auto", False, -1
    with closing(ahead(texts(stream, kind, name, block_bytes))) as blocks:
        for text in blocks:
            part = parse(text.bytes, name, text.line, choice)
            if len(part.codes) == 0:
                continue
            zero, high = zero or part.zero, max(high, part.high)
            if zero and high == choice.n_features:
                late = part.high < high  # its text is gone
                parse(text.bytes, name, text.line, choice._replace(zero_based=not late))
            if settle:
                settle, choice = False, choice._replace(zero_based=part.zero)
            yield part


def _finished(part: Part, choice: Options) -> Svmlight:
    zero_based = choice.zero_based is True or part.zero
    if part.zero:
        part = lifted(part)
    found = classes(part.spellings)
    codes = part.codes
    if not np.array_equal(found.codes, np.arange(len(found.codes))):
        codes = np.append(found.codes, np.int32(-1))[codes]
    width = part.high + 1 if zero_based else max(part.high, 0)
    width = width if choice.n_features is None else choice.n_features
    for array in (part.values, part.indices, part.indptr):
        array.flags.writeable = False  # as those of a store are: kernels compile for one type
    rows = Sparse(part.values, part.indices, part.indptr, width)
    return Svmlight(rows, codes, found.names, width, zero_based)


def _empty(name: str) -> InputError:
    return InputError(
        f"{name}:1:1: found no sample in the whole file; accepted: at least one line LABEL "
        "INDEX:VALUE ...; check that this is the file you mean."
    )


def merged(pieces: list[Svmlight]) -> Svmlight:
    """Several files as one, rows in order; indices count from 0 in all if they do in one."""
    if len(pieces) == 1:
        return pieces[0]
    zero_based = any(piece.zero_based for piece in pieces)
    parts = []
    for piece in pieces:
        late = zero_based and not piece.zero_based
        rows = piece.rows
        indices = rows.indices + np.uint32(1) if late else rows.indices
        parts.append(
            Part(
                rows.values,
                indices,
                rows.indptr,
                piece.codes,
                piece.label_names,
                piece.n_features + late,
                False,
            )
        )
    choice = options(dtype=pieces[0].rows.values.dtype)
    whole = _finished(joined(parts, choice), choice)
    return whole._replace(zero_based=zero_based)
