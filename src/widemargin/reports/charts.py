"""The charts of a page, each with the numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from widemargin.data.rows import Array
from widemargin.reports import svg
from widemargin.reports.facts import Counts, Curve, Curves, Fit, Margins
from widemargin.reports.html import Safe, figure, table
from widemargin.reports.numbers import area, percent, plain, small, whole

COLOURS = ("one", "two", "three")  # of the first, second, third data set or curve
DRAWN = 200  # epochs, at most
FLOOR = 1e-12  # relative distances below this are drawn there
ROWS = 24  # of the numbers below a curve


# -- over time -------------------------------------------------------------------------------------


class Epochs:
    """The columns of a history, thinned to what can be drawn; NaN where nothing was measured."""

    def __init__(self, fit: Fit) -> None:
        rows = list(fit.history)
        if len(rows) > DRAWN:
            kept = set(np.linspace(0, len(rows) - 1, DRAWN).astype(int).tolist())
            told = [i for i, row in enumerate(rows) if math.isfinite(row["gap"])]
            kept.update(told[-DRAWN:])
            rows = [rows[i] for i in sorted(kept)]
        self.epoch = self._column(rows, "epoch")
        self.seconds = self._column(rows, "seconds")
        self.objective = self._column(rows, "objective")
        self.gap = self._column(rows, "gap")
        self.dual = self._column(rows, "dual")

    @staticmethod
    def _column(rows: Sequence[dict[str, float]], name: str) -> Array:
        return np.array([row.get(name, math.nan) for row in rows], float)

    def line(self, values: Array) -> tuple[Array, Array]:
        """Seconds and values where there are values."""
        known = np.isfinite(values)
        return self.seconds[known], values[known]


def accuracy(fit: Fit) -> Safe:
    """How far from the optimum, proved, against seconds."""
    epochs, proof = Epochs(fit), fit.certificate
    curves, unproved = [("proved relative gap", epochs.gap)], np.isnan(epochs.gap)
    if proof is not None and proof.primal > 0.0:
        above = (epochs.objective - proof.dual) / proof.primal
        below = (proof.primal - epochs.dual) / proof.primal
        curves += [("objective above the last lower bound", above)]
        curves += [("lower bound below the last objective", below)]
    drawn = [(curves[0][0], *epochs.line(np.maximum(epochs.gap, FLOOR)))]
    for name, values in curves[1:]:  # of use where they know more than the gap does
        if (values[unproved] > 0.0).any():
            drawn.append((name, *epochs.line(np.where(values > FLOOR, values, np.nan))))
    drawn = [part for part in drawn if len(part[1])]
    values = np.concatenate([y for _, _, y in drawn] or [np.ones(1)])
    goal = [fit.tol] if fit.tol else []
    plot = svg.Plot(
        svg.up_to(float(epochs.seconds.max(initial=0.0)), "seconds"),
        svg.decades(min([values.min(), *goal]), max([values.max(), *goal]), "relative distance"),
    )
    marks = [svg.level(plot, fit.tol, f"asked for: {plain(fit.tol)}")] if fit.tol else []
    for (_, x, y), kind in reversed(list(zip(drawn, COLOURS, strict=False))):
        notes = [f"{svg_seconds(s)}: {v:.2e}" for s, v in zip(x, y, strict=True)]
        marks += [svg.line(plot, x, y, kind), svg.dots(plot, x, y, kind, notes)]
    title = f"Relative distance from the optimum against seconds; the last is {values_end(drawn)}."
    return figure(
        "Distance from the optimum",
        svg.chart(plot, title, marks),
        legend=[(kind, name) for (name, _, _), kind in zip(drawn, COLOURS, strict=False)],
        data=history_table(epochs),
    )


def objective(fit: Fit) -> Safe:
    """Objective and lower bound, which close in on the optimum from either side."""
    epochs = Epochs(fit)
    drawn = [
        ("objective", *epochs.line(epochs.objective), "one"),
        ("lower bound (dual)", *epochs.line(epochs.dual), "two"),
    ]
    drawn = [part for part in drawn if len(part[1])]
    values = np.concatenate([part[2] for part in drawn] or [np.ones(1)])
    low, high = float(values.min()), float(values.max())
    wide = low > 0.0 and high > 10.0 * low
    up = svg.decades(low, high, "objective") if wide else svg.linear(*roomy(low, high), "objective")
    plot = svg.Plot(svg.up_to(float(epochs.seconds.max(initial=0.0)), "seconds"), up)
    marks = []
    for _, x, y, kind in drawn:
        notes = [f"{svg_seconds(s)}: {plain(v)}" for s, v in zip(x, y, strict=True)]
        marks += [svg.line(plot, x, y, kind), svg.dots(plot, x, y, kind, notes)]
    title = "The objective and its lower bound against seconds; the optimum lies between them."
    legend = [(kind, name) for name, _, _, kind in drawn]
    return figure("Objective", svg.chart(plot, title, marks), legend=legend)


def roomy(low: float, high: float) -> tuple[float, float]:
    """The ends with a twentieth of room on either side."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def svg_seconds(value: float) -> str:
    return f"{value:.3g} s"


def values_end(drawn: Sequence[tuple[str, Array, Array]]) -> str:
    return small(float(drawn[0][2][-1])) if drawn else "unknown"


def history_table(epochs: Epochs) -> Safe:
    n = len(epochs.epoch)
    shown = range(n) if n <= ROWS else np.linspace(0, n - 1, ROWS).astype(int)
    rows = [
        (
            whole(epochs.epoch[i]),
            plain(epochs.seconds[i], 3),
            plain(epochs.objective[i]),
            plain(epochs.dual[i]),
            small(epochs.gap[i]),
        )
        for i in shown
    ]
    head = ("epoch", "seconds", "objective", "lower bound", "relative gap")
    return table(head, rows, "Epochs")


# -- histograms ------------------------------------------------------------------------------------


def margins(sets: Sequence[Margins], two: bool) -> Safe:
    """The first data set in bars, coloured by what its margins mean; a second as a contour."""
    edges = sets[0].histogram.edges
    shares = [each.histogram.counts / max(1, each.histogram.counts.sum()) for each in sets]
    name = "margin y f(x)" if two else "own score less the best other"
    top = max(float(share.max()) for share in shares)
    plot = svg.Plot(
        svg.linear(float(edges[0]), float(edges[-1]), name),
        svg.up_to(top, "share of the rows", percent=True),
    )
    kinds = ["bad" if e < -1e-9 else "near" if e < 1 - 1e-9 else "" for e in edges[:-1]]
    notes = [
        f"{edges[k]:.4g} to {edges[k + 1]:.4g}: {percent(shares[0][k])}" for k in range(len(kinds))
    ]
    marks = [svg.bars(plot, edges, shares[0], kinds, notes)]
    marks += [svg.outline(plot, edges, share, "ink") for share in shares[1:]]
    marks += [svg.upright(plot, 0.0, "0"), svg.upright(plot, 1.0, "1")]
    legend = [("box bad", "wrong side"), ("box near", "inside the margin"), ("box", "beyond it")]
    legend += [("ink", each.role) for each in sets[1:]]
    rows = [
        (f"{edges[k]:.4g} to {edges[k + 1]:.4g}", *(whole(e.histogram.counts[k]) for e in sets))
        for k in range(len(kinds))
    ]
    title = f"Histogram of the margins of the {sets[0].role} rows."
    numbers = table(("margin", *(each.role for each in sets)), rows, "Margins")
    return figure(
        f"Margins, {sets[0].role} in bars",
        svg.chart(plot, title, marks),
        legend=legend,
        data=numbers,
    )


def lengths(sets: Sequence[Counts]) -> Safe:
    """Nonzeros per row of the first data set."""
    first = sets[0]
    edges, counts = first.lengths.histogram
    shares = counts / max(1, counts.sum())
    plot = svg.Plot(
        svg.linear(float(edges[0]), float(edges[-1]), "nonzeros in a row"),
        svg.up_to(float(shares.max()), "share of the rows", percent=True),
    )
    spans = [
        f"{edges[k]}" if edges[k + 1] == edges[k] + 1 else f"{edges[k]} to {edges[k + 1] - 1}"
        for k in range(len(counts))
    ]
    notes = [f"{span}: {percent(share)}" for span, share in zip(spans, shares, strict=True)]
    drawing = svg.bars(plot, edges, shares, [""] * len(shares), notes)
    rows = [(span, whole(count)) for span, count in zip(spans, counts, strict=True)]
    return figure(
        f"Lengths of the {first.role} rows",
        svg.chart(plot, f"Histogram of the nonzeros in a {first.role} row.", [drawing]),
        data=table(("nonzeros", "rows"), rows, "Row lengths"),
    )


# -- curves ----------------------------------------------------------------------------------------


def roc(sets: Sequence[Curves]) -> Safe:
    return _curves(
        "ROC",
        [(each.role, each.roc) for each in sets],
        ("false-positive rate", "true-positive rate"),
        diagonal=True,
    )


def precision_recall(sets: Sequence[Curves]) -> Safe:
    pairs = [(each.role, each.precision_recall) for each in sets]
    return _curves("Precision and recall", pairs, ("recall", "precision"), diagonal=False)


def _curves(
    title: str, sets: Sequence[tuple[str, Curve]], names: tuple[str, str], *, diagonal: bool
) -> Safe:
    plot = svg.Plot(svg.linear(0.0, 1.0, names[0]), svg.linear(0.0, 1.0, names[1]))
    marks = [svg.line(plot, (0.0, 1.0), (0.0, 1.0), "faint")] if diagonal else []
    for (_, curve), kind in reversed(list(zip(sets, COLOURS, strict=False))):
        marks.append(svg.line(plot, curve.x, curve.y, kind))
    told = ", ".join(f"{role} {area(curve.area)}" for role, curve in sets)
    legend = [
        (kind, f"{role}: area {area(curve.area)}")
        for (role, curve), kind in zip(sets, COLOURS, strict=False)
    ]
    grid = np.linspace(0.0, 1.0, 11)
    rows = [
        (f"{x:.1f}", *(f"{np.interp(x, c.x, c.y):.4f}" for _, c in sets if len(c.x))) for x in grid
    ]
    head = (names[0], *(f"{names[1]}, {role}" for role, c in sets if len(c.x)))
    return figure(
        title,
        svg.chart(plot, f"{title}; area under the curve: {told}.", marks),
        legend=legend,
        data=table(head, rows, title),
    )
