"""What a page says, as plain values: gathered in `gather.py`, drawn in `page.py`."""

from __future__ import annotations

from typing import NamedTuple

from widemargin.data.rows import Array
from widemargin.objective import Certificate


class Seen(NamedTuple):
    """One data set as a model sees it."""

    role: str  # training, test or evaluated
    source: str  # name of the file, or what stands for it
    scores: Array  # (n, K)
    codes: Array  # (n,) class of each row, −1 for a label that the model does not know
    lengths: Array  # (n,) nonzeros of each row
    n_features: int


class Histogram(NamedTuple):
    """Counts between edges; what lies beyond is counted in the first and in the last bin."""

    edges: Array  # (m + 1,)
    counts: Array  # (m,)


class Lengths(NamedTuple):
    """Nonzeros per row."""

    least: int
    median: float
    mean: float
    most: int
    histogram: Histogram


class Counts(NamedTuple):
    """What one data set consists of."""

    role: str
    source: str
    n_samples: int
    n_features: int
    n_nonzeros: int
    classes: Array  # (n_classes,) rows of each
    unknown: int  # rows with a label that the model does not know
    error: float
    lengths: Lengths


class Margins(NamedTuple):
    """Margins of the rows of one data set, and how many lie where."""

    role: str
    histogram: Histogram
    wrong: int  # below 0
    below: int  # below 1, wrong ones included
    at: int  # within AT_ONE of 1
    beyond: int  # above 1
    sides: Array  # (K, 3) the last three of yᵢₖ fₖ(xᵢ), column by column; of a joint problem, of
    #                the margins above, by the class of the row


class Confusion(NamedTuple):
    """Rows by true and by predicted class, of the classes that are shown."""

    role: str
    shown: Array  # (m,) codes of the classes shown
    counts: Array  # (m, m) true class, predicted class
    pairs: tuple[tuple[int, int, int], ...]  # (true, predicted, rows), most first, of all classes


class Curve(NamedTuple):
    """Points of a curve, few enough to draw, and the area under the whole of it."""

    x: Array
    y: Array
    area: float


class Curves(NamedTuple):
    """How well the scores of one data set rank it."""

    role: str
    roc: Curve  # of the second class, or the mean over all classes
    precision_recall: Curve
    areas: Array  # (K, 2) of each class told from the rest: ROC, precision–recall; NaN if empty


class Strongest(NamedTuple):
    """The features that speak loudest for a class."""

    label: str
    features: tuple[tuple[str, float], ...]  # name and weight, strongest first


class Fit(NamedTuple):
    """How the model was found."""

    solver: str
    loss: str
    penalty: str
    C: float | None
    fit_intercept: bool
    certificate: Certificate | None
    tol: float | None  # relative gap that was asked for
    epochs: int | None
    history: tuple[dict[str, float], ...]


class Facts(NamedTuple):
    """All that a page says."""

    title: str
    labels: tuple[str, ...]
    fit: Fit
    data: tuple[Counts, ...]
    margins: tuple[Margins, ...]
    confusion: tuple[Confusion, ...]
    curves: tuple[Curves, ...]
    strongest: tuple[Strongest, ...]
    named: bool  # whether the features have names; if not, they are numbers
    command: str | None
    seed: int | None
    seconds: tuple[tuple[str, float], ...]
    versions: tuple[tuple[str, str], ...]
