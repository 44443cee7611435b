"""Eight columns of a cross-validation: each a class told from the rest on the rows of one fold.

A column leaves out the rows that its fold holds out, by a weight of zero; one bit a row says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.lanes import WIDTH
from widemargin.data.rows import Array, Rows, as_read_only
from widemargin.data.samples import SHARES, SIGNS, Samples


class Folds(NamedTuple):
    """n samples and up to eight columns; a column that is not used has no weight."""

    rows: Rows
    codes: Array  # (n,) int32
    positive: Array  # (8,) int32, the class on the positive side of each column
    learns: Array  # (n,) uint8, bit k is set where sample i takes part in column k
    weight: Array  # (n,) float64, sample weights sᵢ ≥ 0
    factor: Array  # (2, 8) float64, class weights of the negative and the positive side


def fold_samples(samples: Samples, columns: Sequence[tuple[int, Array]]) -> Folds:
    """Columns given as (column of `samples`, the rows to learn from)."""
    assert len(columns) <= WIDTH
    positive, factor = np.full(WIDTH, -1, np.int32), np.zeros((2, WIDTH))
    learns = np.zeros(len(samples.codes), np.uint8)
    for lane, (k, train) in enumerate(columns):
        positive[lane] = k + samples.first
        factor[:, lane] = samples.factor[:, k]
        learns[train] |= np.uint8(1 << lane)
    return Folds(
        samples.rows,
        samples.codes,
        as_read_only(positive),
        as_read_only(learns),
        samples.weight,
        factor,
    )


def _sign(samples: Any, i: Any, k: Any) -> Any:
    return 1.0 if samples.codes[i] == samples.positive[k] else -1.0


def _share(samples: Any, i: Any, k: Any) -> Any:
    side = 1 if samples.codes[i] == samples.positive[k] else 0
    learns = (samples.learns[i] >> k) & 1
    return learns * samples.weight[i] * samples.factor[side, k]


SIGNS[Folds], SHARES[Folds] = _sign, _share
