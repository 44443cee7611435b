"""Charts as inline SVG: axes, lines, bars. Colours come from the page's style, by class.

A chart is drawn on WIDTH × HEIGHT units and scales with its box. Its numbers are rounded to a
tenth of a unit, which keeps the page small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from widemargin.data.rows import Array

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 40
TICKS = 5
CROWD = 40  # points beyond which a line goes without dots
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Axis(NamedTuple):
    """What lies along one side of a chart."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool
    name: str
    percent: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 … 1, kept inside."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear(low: float, high: float, name: str, *, percent: bool = False) -> Axis:
    """An axis from low to high with about TICKS round numbers on it."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    step = round_up((high - low) / TICKS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(step * k for k in range(first, last + 1))
    return Axis(low, high, ticks, False, name, percent)


def up_to(high: float, name: str, *, percent: bool = False) -> Axis:
    """An axis from 0 to the next round number at or above `high`."""
    step = round_up(high / TICKS) if high > 0.0 else 1.0
    return linear(0.0, step * max(1, math.ceil(high / step - 1e-9)), name, percent=percent)


def decades(low: float, high: float, name: str) -> Axis:
    """A logarithmic axis over whole powers of ten, at most about TICKS of them written."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    every = math.ceil((last - first) / TICKS)
    ticks = tuple(10.0**k for k in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, ticks, True, name)


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(value))
    return scale * next((step for step in STEPS if step * scale >= value * (1 - 1e-9)), 10.0)


class Plot(NamedTuple):
    """Two axes; `x` and `y` place values on the drawing."""

    across: Axis
    up: Axis

    def x(self, value: float) -> float:
        return LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - TOP - BOTTOM)


def line(plot: Plot, xs: Iterable[float], ys: Iterable[float], kind: str) -> str:
    """Points joined by a line of class `kind`."""
    points = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in zip(xs, ys, strict=True))
    return f'<polyline class="line {kind}" points="{points}"/>'


def dots(
    plot: Plot, xs: Iterable[float], ys: Iterable[float], kind: str, notes: Iterable[str]
) -> str:
    """A dot at each point that tells its note to a pointer held over it; none where they crowd."""
    points = list(zip(xs, ys, notes, strict=True))
    if len(points) > CROWD:
        return ""
    return "".join(
        f'<circle class="dot {kind}" cx="{plot.x(x):.1f}" cy="{plot.y(y):.1f}" r="3">'
        f"<title>{escape(note)}</title></circle>"
        for x, y, note in points
    )


def bars(
    plot: Plot,
    edges: Array,
    heights: Array,
    kinds: Sequence[str],
    notes: Sequence[str],
) -> str:
    """A bar between each two edges."""
    foot, drawn = plot.y(plot.up.low), []
    for k, height in enumerate(heights):
        if height > 0.0:
            x, stop, y = plot.x(edges[k]), plot.x(edges[k + 1]), plot.y(height)
            drawn.append(
                f'<rect class="{kinds[k]}" x="{x:.1f}" y="{y:.1f}" '
                f'width="{max(stop - x - 0.5, 0.5):.1f}" height="{max(foot - y, 0.5):.1f}">'
                f"<title>{escape(notes[k])}</title></rect>"
            )
    return "".join(drawn)


def outline(plot: Plot, edges: Array, heights: Array, kind: str) -> str:
    """The contour of a histogram."""
    x, y = f"{plot.x(edges[0]):.1f}", f"{plot.y(0.0):.1f}"
    path = [f"M{x} {y}"]
    for k, height in enumerate(heights):
        path.append(f"V{plot.y(height):.1f}H{plot.x(edges[k + 1]):.1f}")
    return f'<path class="line {kind}" d="{"".join(path)}V{y}"/>'


def upright(plot: Plot, value: float, label: str) -> str:
    """A dashed line across the chart at one value of the x axis."""
    x = plot.x(value)
    return (
        f'<line class="mark" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="note" x="{x + 3:.1f}" y="{TOP + 9}">{escape(label)}</text>'
    )


def level(plot: Plot, value: float, label: str) -> str:
    """A dashed line along the chart at one value of the y axis."""
    y = plot.y(value)
    return (
        f'<line class="mark" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        f'<text class="note" x="{LEFT + 4}" y="{y - 4:.1f}">'
        f"{escape(label)}</text>"
    )


def chart(plot: Plot, title: str, marks: Iterable[str]) -> str:
    """The drawing: grid, marks, axes; `title` says in a sentence what it shows."""
    foot, edge = HEIGHT - BOTTOM, WIDTH - RIGHT
    grid = [
        f'<line class="rule" x1="{LEFT}" y1="{plot.y(t):.1f}" x2="{edge}" y2="{plot.y(t):.1f}"/>'
        f'<text x="{LEFT - 5}" y="{plot.y(t) + 4:.1f}" text-anchor="end">'
        f"{tick(plot.up, t)}</text>"
        for t in plot.up.ticks
    ]
    feet = [
        f'<line class="axis" x1="{plot.x(t):.1f}" y1="{foot}" x2="{plot.x(t):.1f}" '
        f'y2="{foot + 4}"/><text x="{plot.x(t):.1f}" y="{foot + 16}" text-anchor="middle">'
        f"{tick(plot.across, t)}</text>"
        for t in plot.across.ticks
    ]
    names = (
        f'<text class="name" x="{(LEFT + edge) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(plot.across.name)}</text>"
        f'<text class="name" transform="translate(10 {(TOP + foot) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(plot.up.name)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(grid)}{''.join(marks)}"
        f'<line class="axis" x1="{LEFT}" y1="{foot}" x2="{edge}" y2="{foot}"/>'
        f"{''.join(feet)}{names}</svg>"
    )


def tick(axis: Axis, value: float) -> str:
    """A tick's number, as short as it can be."""
    if axis.log:
        return power(value)
    if abs(value) < 1e-12 * (axis.high - axis.low):
        value = 0.0
    if axis.percent:
        return f"{100.0 * value:.4g} %"
    return f"{value / 1e3:.4g}k" if abs(value) >= 1e4 else f"{value:.4g}"


def power(value: float) -> str:
    """10⁻³; between 0.01 and 1000 the number itself."""
    if 0.009 < value < 1100.0:
        return f"{value:.4g}"
    digits = str(round(math.log10(value)))
    return "10" + digits.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
