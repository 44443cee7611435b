"""The figure of `plan --plot`: time, machine-hours and staleness against the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from widemargin.cli.plan_table import Tried, kind_of
from widemargin.ps.plan import World
from widemargin.ps.plan_grid import Choice

INK = "#333333"
COLOURS = ("#1f5f99", "#5aa2d6", "#c8501e", "#e8a33d", "#5b8c3a")
STYLES = ("o-", "s-", "o-", "o--", "o:")  # lines that lie on each other are all seen


def draw(tried: Tried, choice: Choice, world: World, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.2), layout="constrained")
    panels = figure.subplots(1, 3)
    price = world.price is not None
    titles = ("seconds of an epoch", "cost of an epoch" if price else "machine-hours of an epoch")
    for axes, title, field in zip(
        panels,
        (*titles, "commits late, 99 of 100 gradients"),
        ("epoch", "cost" if price else "hours", "late99"),
        strict=True,
    ):
        panel(axes, tried, choice, field)
        axes.set_title(title, color=INK, fontsize=11)
    panels[2].set_yscale("symlog", linthresh=1.0)
    panels[2].set_ylim(bottom=-0.2)
    panels[2].yaxis.set_major_formatter("{x:g}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=len(labels), loc="outside lower center")
    figure.savefig(path, dpi=150)


def panel(axes: Any, tried: Tried, choice: Choice, field: str) -> None:
    for colour, style, row in zip(COLOURS, STYLES, tried.values(), strict=False):
        workers = [each.case.workers for each in row]
        values = [getattr(each, field) for each in row]
        label = kind_of(row[-1])
        axes.plot(workers, values, style, color=colour, ms=4, lw=1.5, label=label)
    best = choice.best
    if best is not None:
        axes.plot(
            best.case.workers, getattr(best, field), "o", mfc="none", mec=INK, ms=12, label="best"
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({each.case.workers for row in tried.values() for each in row}))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.minorticks_off()
    if field == "epoch":
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_minor_formatter(lambda x, _: f"{x:,g}" if str(x)[0] in "25" else "")
    elif field != "late99":
        axes.set_ylim(bottom=0.0)
    axes.set_xlabel("workers", color=INK)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
