"""What `train` loads: rows for training, rows for a test, from whatever kind of input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from widemargin.data.dataset import Dataset
from widemargin.data.dataset import open as open_data
from widemargin.data.formats import by_name
from widemargin.data.parser import ZeroBased
from widemargin.data.rows import Sparse, as_read_only


class Loading(NamedTuple):
    """What of a training concerns its input."""

    data: str
    test: str | None
    share: float | None  # of the rows set aside for a test
    seed: int
    n_features: int | None
    zero_based: bool | None
    reading: Mapping[str, Any] | None  # options for text and tables, those that were given
    threads: int


def load(asked: Loading) -> tuple[Dataset, Dataset | None]:
    """The rows for training and those for a test, if any."""
    if asked.share is not None:
        _check_share(asked)
    if asked.reading is not None or (asked.data != "-" and by_name(asked.data)):
        return _records(asked)
    data = _open(asked, asked.data, asked.n_features)
    if asked.test is not None:
        return data, _open(asked, asked.test, data.n_features)
    return (data, None) if asked.share is None else _split(data, asked.share, asked.seed)


def _check_share(asked: Loading) -> None:
    if asked.test is not None:
        raise ValueError("--test and --test-share both name test data. Give one of them.")
    if asked.share is None or not 0.0 < asked.share < 1.0:
        raise ValueError(f"--test-share must be between 0 and 1, got {asked.share}.")


def _open(asked: Loading, source: str, n_features: int | None) -> Dataset:
    base: ZeroBased = "auto" if asked.zero_based is None else asked.zero_based
    return open_data(source, zero_based=base, n_features=n_features, threads=asked.threads)


def _split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    from widemargin.data.split import split

    sides = split(data.codes, share, seed, data.source)
    train, test = (taken(data, side) for side in sides)
    return train, test


def taken(data: Dataset, places: Any) -> Dataset:
    """Some rows of a data set, in the order of the places, in memory of their own."""
    from dataclasses import replace

    import numpy as np

    from widemargin.data.store_kernels import gather_rows

    rows = data.rows
    sizes = np.diff(rows.indptr)[places]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    indices = np.empty(int(indptr[-1]), rows.indices.dtype)
    values = np.empty(int(indptr[-1]), rows.values.dtype)
    gather_rows(places, rows.indptr, rows.indices, rows.values, indices, values)
    values, indices, indptr = map(as_read_only, (values, indices, indptr))
    own = Sparse(values, indices, indptr, rows.n_features)
    return replace(data, rows=own, codes=data.codes[places])


def _records(asked: Loading) -> tuple[Dataset, Dataset | None]:
    from widemargin.cli.asked import asked_of
    from widemargin.features.fit import fit

    for name, value in (("--n-features", asked.n_features), ("--zero-based", asked.zero_based)):
        if value is not None:
            raise ValueError(
                f"{name} is about svmlight text, and {asked.data} is read as text or a table. "
                "Leave it out."
            )
    found = fit(
        asked.data,
        asked_of(asked.reading or {}),
        workers=asked.threads,
        share=asked.share,
        seed=asked.seed,
    )
    if asked.test is None:
        return found.train, found.test
    return found.train, _test(found.features, asked)


def _test(features: Any, asked: Loading) -> Dataset:
    """All rows of the test data, made by the fitted features."""
    from widemargin.features.serving import Serving, dataset

    said = asked.reading or {}
    how = Serving(format=said.get("format"), encoding=said.get("encoding"))
    return dataset(features, str(asked.test), how, workers=asked.threads)
