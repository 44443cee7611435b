"""What a fit sees: rows, the class of each, and what each weighs."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from widemargin._jit import compiled_as
from widemargin.data.rows import Array, Dense, Rows, as_read_only, n_rows, read_only, take_rows

S = TypeVar("S", bound=tuple[Any, ...])
NO_ROWS = read_only(Dense(np.empty((0, 0))))


class Samples(NamedTuple):
    """n samples and K columns of weights, one column per class told from the rest.

    Two classes need one column (`first` = 1: the second class is the positive side). K > 2
    classes have K columns, one against all (`first` = 0: class k is positive in column k).
    """

    rows: Rows
    codes: Array  # (n,) int32, the class of each sample, 0 … n_classes − 1
    first: int
    weight: Array  # (n,) float64, sample weights sᵢ ≥ 0
    factor: Array  # (2, K) float64, class weights of the negative and the positive side


def make_samples(
    rows: Rows,
    codes: Array,
    n_classes: int,
    sample_weight: Array | None = None,
    class_weight: Array | None = None,
) -> Samples:
    """Samples of `n_classes` classes; class_weight has one entry per class.

    With two classes both sides carry their class's weight; one against all, the positive side
    carries its own and the rest weigh 1, as in LIBLINEAR.
    """
    weight = np.ones(n_rows(rows)) if sample_weight is None else np.asarray(sample_weight, float)
    classes = np.ones(n_classes) if class_weight is None else np.asarray(class_weight, float)
    if n_classes == 2:
        factor = classes.reshape(2, 1).copy()
    else:
        factor = np.stack([np.ones(n_classes), classes])
    first = 1 if n_classes == 2 else 0
    codes = as_read_only(np.ascontiguousarray(codes, np.int32))
    return Samples(read_only(rows), codes, first, as_read_only(weight), factor)


def joint_samples(
    rows: Rows,
    codes: Array,
    n_classes: int,
    sample_weight: Array | None = None,
    class_weight: Array | None = None,
) -> Samples:
    """Samples for one problem of all classes: a column per class, also where there are two.

    A sample weighs sᵢ times the weight of its own class.
    """
    classes = np.ones(n_classes) if class_weight is None else np.asarray(class_weight, float)
    samples = make_samples(rows, codes, n_classes, sample_weight)
    return samples._replace(first=0, factor=np.stack([np.ones(n_classes), classes]))


def n_columns(samples: Samples) -> int:
    return int(samples.factor.shape[1])


def sign(samples: Any, i: int, k: int) -> float:
    """+1.0 where sample i is on the positive side of column k, else −1.0."""
    return float(SIGNS[type(samples)](samples, i, k))


def share(samples: Any, i: int, k: int) -> float:
    """What sample i weighs in column k: sᵢ times the weight of its side."""
    return float(SHARES[type(samples)](samples, i, k))


def _sign(samples: Any, i: Any, k: Any) -> Any:
    return 1.0 if samples.codes[i] == k + samples.first else -1.0


def _share(samples: Any, i: Any, k: Any) -> Any:
    side = 1 if samples.codes[i] == k + samples.first else 0
    return samples.weight[i] * samples.factor[side, k]


SIGNS: dict[type[Any], Any] = {Samples: _sign}  # chosen by the type of the samples, so that other
SHARES: dict[type[Any], Any] = {Samples: _share}  # kinds of columns can be added


@compiled_as(sign)
def _compiled_sign(samples: Any, i: Any, k: Any) -> Any:
    return SIGNS.get(getattr(samples, "instance_class", type(None)))


@compiled_as(share)
def _compiled_share(samples: Any, i: Any, k: Any) -> Any:
    return SHARES.get(getattr(samples, "instance_class", type(None)))


def take_samples(samples: Samples, start: int, stop: int) -> Samples:
    """Samples start..stop-1, sharing memory."""
    return samples._replace(
        rows=take_rows(samples.rows, start, stop),
        codes=samples.codes[start:stop],
        weight=samples.weight[start:stop],
    )


def without_rows(samples: S) -> S:
    """Labels and weights alone: kernels that read no rows compile once for all kinds of these."""
    labels: S = cast(Any, samples)._replace(rows=NO_ROWS)
    return labels


def take_columns(samples: Samples, start: int, stop: int) -> Samples:
    """Columns start..stop-1, sharing memory: column k of them is column start + k of `samples`."""
    return samples._replace(
        first=samples.first + start, factor=samples.factor[:, start:stop].copy()
    )


def one_label(
    rows: Rows, positive: Array, weight: Array | None = None, sides: Array | None = None
) -> Samples:
    """Samples of one column, positive (n,) telling its side; `sides` weighs negative, positive.

    A side may be empty: labels of a multi-label problem are columns of their own.
    """
    return make_samples(rows, positive, 2, weight, sides)
