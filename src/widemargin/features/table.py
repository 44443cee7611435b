"""Table features: numbers scaled, categories one column each or hashed.

    number    z = (x − c) / σ;  missing: x is the mean, and a column "NAME is missing" is 1
    category  1 in the column of its value; missing is a value of its own; unknown is none

c is the mean, or 0 where more than half of the values are 0: such a column stays sparse. Its
median is 0, and a median is within σ of the mean, so it is well scaled without the shift; and
as the intercept is free, a shift of a column changes nothing in the optimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.features.columns import CategoryColumn, Column, NumberColumn

NOTHING = ""  # the category of what is missing


@dataclass(frozen=True)
class TableFeatures:
    """Fitted: what turns columns of records into rows of `n_features` columns.

    The columns stand in this order: numbers, missing numbers, categories.
    """

    numbers: tuple[str, ...]
    mean: NDArray[np.float64]  # (n_numbers,)
    centre: NDArray[np.float64]  # (n_numbers,) mean or 0
    scale: NDArray[np.float64]  # (n_numbers,) standard deviation, 1 where that is 0
    gaps: tuple[str, ...]  # numbers that may be missing
    categories: tuple[tuple[str, tuple[str, ...]], ...]  # (name, its values; none if hashed)
    n_hashed: int = 0  # columns that categories are hashed into

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.numbers, *(name for name, _ in self.categories))

    @property
    def n_features(self) -> int:
        return len(self.numbers) + len(self.gaps) + (self.n_hashed or self.n_categories)

    @property
    def n_categories(self) -> int:
        return sum(len(values) for _, values in self.categories)

    @cached_property
    def place(self) -> dict[str, dict[str, int]]:
        """Column of the records → value → column among the categories."""
        found, start = {}, 0
        for name, values in self.categories:
            found[name] = {value: start + i for i, value in enumerate(values)}
            start += len(values)
        return found

    def names(self) -> list[str]:
        """What each column stands for."""
        one_hot = [
            f"{name}={value}" if value else f"{name} is missing"
            for name, values in self.categories
            for value in values
        ]
        one_hot = one_hot or [f"category #{j}" for j in range(self.n_hashed)]
        return [*self.numbers, *(f"{name} is missing" for name in self.gaps), *one_hot]

    def fresh(self) -> dict[str, Column]:
        """Empty columns to gather records in."""
        kinds: dict[str, Column] = {name: NumberColumn(name) for name in self.numbers}
        return kinds | {name: CategoryColumn(name) for name, _ in self.categories}

    def transform(self, columns: Mapping[str, Column], take: Any = slice(None)) -> Any:
        """(n, n_features) CSR float64 of the gathered records, or of those that are taken."""
        from scipy.sparse import csr_matrix, hstack

        blocks = []
        if self.numbers:
            raw = [_numbers(columns[name])[take] for name in self.numbers]
            blocks += self._scaled(np.column_stack(raw))
        if self.categories:
            ones = [self._ones(_categories(columns[name]), take) for name, _ in self.categories]
            js = np.stack(ones, axis=1)
            n, width = len(js), self.n_hashed or self.n_categories
            known = js >= 0
            indptr = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
            X = csr_matrix((np.ones(int(indptr[-1])), js[known], indptr), shape=(n, width))
            X.sum_duplicates()  # sorts as well
            blocks.append(X)
        return hstack(blocks, format="csr", dtype=np.float64)

    def _scaled(self, raw: NDArray[np.float64]) -> list[Any]:
        """Scaled numbers, and which of them are missing; changes `raw`."""
        from scipy.sparse import csr_matrix

        missing = np.isnan(raw)
        np.copyto(raw, self.mean, where=missing)
        raw -= self.centre
        raw /= self.scale
        blocks = [csr_matrix(raw)]
        if self.gaps:
            gaps = [self.numbers.index(name) for name in self.gaps]
            blocks.append(csr_matrix(missing[:, gaps].astype(np.float64)))
        return blocks

    def _ones(self, column: CategoryColumn, take: Any) -> NDArray[np.int64]:
        """Where each record's category stands; −1 for one that training never met."""
        names = [*column.names, NOTHING]  # code −1 is the last
        if self.n_hashed:
            js = hashed_categories(column.name, names, self.n_hashed)
        else:
            place = self.place[column.name]
            js = np.array([place.get(name, -1) for name in names], np.int64)
        found: NDArray[np.int64] = js[column.codes[take]]
        return found


def fit_table(columns: Mapping[str, Column], train: Any, n_hashed: int) -> TableFeatures:
    """Features of the gathered records that are for training."""
    numbers = {name: each for name, each in columns.items() if isinstance(each, NumberColumn)}
    others = {name: each for name, each in columns.items() if isinstance(each, CategoryColumn)}
    mean, centre, scale, gaps = _fit_numbers(numbers, train)
    categories = []
    for name, column in others.items():
        met = np.unique(column.codes[train])
        names = [*column.names, NOTHING]
        values = () if n_hashed else tuple(sorted(names[code] for code in met))
        categories.append((name, values))
    return TableFeatures(
        tuple(numbers), mean, centre, scale, gaps, tuple(categories), n_hashed if others else 0
    )


def _fit_numbers(numbers: Mapping[str, NumberColumn], train: Any) -> Any:
    """(means, centres, scales, names with gaps); a column without a number has mean 0."""
    from sklearn.preprocessing import StandardScaler

    mean, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    centre, gaps = np.zeros(len(numbers)), []
    for j, (name, column) in enumerate(numbers.items()):
        values = column.values[train]
        there = values[~np.isnan(values)]
        if len(there) < len(values):
            gaps.append(name)
        if len(there):
            fitted = StandardScaler().fit(there[:, None])
            mean[j], scale[j] = fitted.mean_[0], fitted.scale_[0]
            centre[j] = 0.0 if 2 * np.count_nonzero(there) < len(there) else mean[j]
    return mean, centre, scale, tuple(gaps)


def hashed_categories(name: str, values: Sequence[str], n_hashed: int) -> NDArray[np.int64]:
    """The column of NAME=VALUE for each value."""
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(n_hashed, input_type="string", alternate_sign=False)
    X = hasher.transform([[f"{name}={value}"] for value in values])
    js: NDArray[np.int64] = X.indices.astype(np.int64)
    return js


def _numbers(column: Column) -> NDArray[np.float64]:
    assert isinstance(column, NumberColumn)
    return column.values


def _categories(column: Column) -> CategoryColumn:
    assert isinstance(column, CategoryColumn)
    return column
