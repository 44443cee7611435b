"""`open`: one object for a data set, whether it lies in an svmlight file or a packed store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from widemargin.data import store, svmlight
from widemargin.data.labels import label_values
from widemargin.data.parser import ZeroBased
from widemargin.data.rows import Sparse
from widemargin.errors import InputError

SIGNED = 2**31  # what an int32 index or position stays below


@dataclass(frozen=True)
class Dataset:
    """Rows with their labels.

    rows         what the kernels take
    codes        (n,) int32: position of a row's label in label_names, −1 without one
    label_names  the classes, sorted, each as first spelt
    source       the path it was opened from
    zero_based   whether the text it comes from counts features from 0
    features     how documents or records became these rows; None for svmlight and stores
    """

    rows: Sparse
    codes: NDArray[np.int32]
    label_names: tuple[str, ...]
    source: str
    zero_based: bool
    features: Any = None

    @property
    def n_samples(self) -> int:
        return len(self.codes)

    @property
    def n_features(self) -> int:
        return self.rows.n_features

    @property
    def n_nonzeros(self) -> int:
        return len(self.rows.values)

    @cached_property
    def X(self) -> Any:
        """A SciPy CSR matrix over the same values and indices."""
        from scipy.sparse import csr_matrix

        rows = self.rows
        narrow = self.n_features <= SIGNED
        X = csr_matrix((self.n_samples, self.n_features), dtype=rows.values.dtype)
        X.data = rows.values
        X.indices = rows.indices.view(np.int32) if narrow else rows.indices.astype(np.int64)
        short = narrow and self.n_nonzeros < SIGNED
        X.indptr = rows.indptr.astype(np.int32) if short else rows.indptr
        X.has_canonical_format = True  # sorted and distinct: the reader accepts nothing else
        return X

    @cached_property
    def y(self) -> NDArray[Any]:
        """(n,) label values: int64 or float64 if every label is a number, else str."""
        if self.n_samples and self.codes.min() < 0:
            raise ValueError(
                f"y of {self.source}: some rows have no label; accepted: a label in every row; "
                "add the labels, or use X alone."
            )
        values: NDArray[Any] = label_values(self.label_names)[self.codes]
        return values


def open(
    path: str | os.PathLike[str],
    *,
    zero_based: ZeroBased = "auto",
    n_features: int | None = None,
    dtype: DTypeLike | None = None,
    unlabelled: bool = False,
    threads: int | None = None,
) -> Dataset:
    """The data set at a path: an svmlight file, plain or compressed, "-", or a packed store.

    >>> data = open("train.svm.gz")                     # doctest: +SKIP
    >>> LinearSVC().fit(data.X, data.y)                 # doctest: +SKIP
    """
    name = os.fspath(path)
    if store.is_store(name):
        return _from_store(name, n_features, dtype)
    data = svmlight.read(
        name,
        zero_based=zero_based,
        n_features=n_features,
        dtype=dtype or np.float32,
        unlabelled=unlabelled,
        threads=threads,
    )
    return Dataset(data.rows, data.codes, data.label_names, name, data.zero_based)


def _from_store(name: str, n_features: int | None, dtype: DTypeLike | None) -> Dataset:
    kept = store.open_store(name)
    rows, width = kept.rows, kept.rows.n_features
    if dtype is not None and np.dtype(dtype) != rows.values.dtype:
        raise InputError(
            f"{name}: found values of {rows.values.dtype}; accepted: dtype={np.dtype(dtype)} as "
            "asked for; leave dtype out or pack the data again with it."
        )
    if n_features is not None:
        if kept.meta["max_index"] >= n_features:
            raise InputError(
                f"{name}: found {width} features, but the model or caller has {n_features}; "
                "accepted: data with the same features; pack that, or train again."
            )
        rows = rows._replace(n_features=n_features)
    return Dataset(rows, kept.codes, kept.label_names, name, bool(kept.meta.get("zero_based")))
