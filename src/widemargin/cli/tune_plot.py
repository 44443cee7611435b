"""The curve of `tune`: mean score against C, one standard error to either side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from widemargin.run.tuning import Point, standard_error

INK, CURVE, CHOSEN = "#333333", "#1f5f99", "#c8501e"


def draw(points: Sequence[Point], best: int, scoring: str, path: Path) -> None:
    """Write the figure. Fits that stayed unfinished at the far end are drawn hollow."""
    from matplotlib.figure import Figure

    C = np.array([point.C for point in points])
    mean = np.array([point.scores.mean() for point in points])
    error = np.array([standard_error(point.scores) for point in points])
    done = np.array([point.gaps.max() for point in points]) <= points[best].gaps.max() + 1e-2
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(C, mean - error, mean + error, color=CURVE, alpha=0.18, lw=0)
    axes.plot(C, mean, color=CURVE, lw=1.5)
    axes.plot(C[done], mean[done], "o", color=CURVE, ms=5)
    axes.plot(C[~done], mean[~done], "o", mfc="white", mec=CURVE, ms=5)
    axes.axvline(C[best], color=CHOSEN, lw=1, ls="--")
    axes.plot(C[best], mean[best], "o", color=CHOSEN, ms=8)
    axes.annotate(
        f"C = {C[best]:.3g}: {mean[best]:.4f}",
        (C[best], 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(8, 10),
        textcoords="offset points",
        color=CHOSEN,
    )
    axes.set_xscale("log")
    axes.set_xlabel("C", color=INK)
    axes.set_ylabel(f"{scoring.replace('_', ' ')} on held-out rows", color=INK)
    title = f"{len(points[best].scores)} folds, band: one standard error"
    axes.set_title(title if done.all() else f"{title}; hollow: unfinished fits", color=INK)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
