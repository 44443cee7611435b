"""Eight labels of a multi-label problem: each is a column of its own, present or not.

One bit of a byte says whether a sample has a label, so that signs cost next to nothing beside
the eight dual variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.lanes import WIDTH
from widemargin.data.rows import Array, Rows, as_read_only
from widemargin.data.samples import SHARES, SIGNS


class Labels(NamedTuple):
    """n samples and up to eight columns; a column that is not used has no weight."""

    rows: Rows
    codes: Array  # (n,) uint8, bit k is set where sample i has the label of column k
    weight: Array  # (n,) float64, sample weights sᵢ ≥ 0
    factor: Array  # (2, 8) float64, what samples without and with the label weigh


def label_samples(
    rows: Rows, having: Sequence[Array], weight: Array, factor: Array | None = None
) -> Labels:
    """Columns given by the samples that have each label; factor (2, K) is 1 if None."""
    assert len(having) <= WIDTH
    codes, factors = np.zeros(len(weight), np.uint8), np.zeros((2, WIDTH))
    for k, samples in enumerate(having):
        codes[samples] |= np.uint8(1 << k)
        factors[:, k] = 1.0 if factor is None else factor[:, k]
    return Labels(rows, as_read_only(codes), as_read_only(weight), factors)


def _sign(samples: Any, i: Any, k: Any) -> Any:
    return 1.0 if (samples.codes[i] >> k) & 1 else -1.0


def _share(samples: Any, i: Any, k: Any) -> Any:
    return samples.weight[i] * samples.factor[(samples.codes[i] >> k) & 1, k]


SIGNS[Labels], SHARES[Labels] = _sign, _share
