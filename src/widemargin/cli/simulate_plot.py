"""The figure of `simulate --stragglers`, after Chen et al., 2016: arrivals, and time against b."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from widemargin.ps.simulate_stragglers import Steps

INK, CURVE, CHOSEN = "#333333", "#1f5f99", "#c8501e"


def draw(runs: Sequence[Steps], path: Path) -> None:
    """Left: when the k-th gradient of a step comes, if all are waited for. Right: step and pass."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    arrivals(left, runs[0])
    times(right, runs)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def arrivals(axes: Any, run: Steps) -> None:
    k = np.arange(1, run.arrivals.shape[1] + 1)
    low, median, high = np.quantile(run.arrivals, [0.1, 0.5, 0.9], axis=0)
    axes.fill_between(k, low, high, color=CURVE, alpha=0.18, lw=0, label="10 % to 90 % of steps")
    axes.plot(k, median, color=CURVE, lw=1.5, label="median")
    axes.plot(k, run.arrivals.mean(axis=0), color=CHOSEN, lw=1.2, ls="--", label="mean")
    axes.set_yscale("log")
    axes.set_xlabel(f"k-th gradient of {len(k)}", color=INK)
    axes.set_ylabel("seconds since the step began", color=INK)
    axes.set_title("arrival time of the k-th gradient", color=INK)
    axes.legend(frameon=False, loc="upper left")


def times(axes: Any, runs: Sequence[Steps]) -> None:
    b = [run.backup for run in runs]
    passed = [run.passed for run in runs]
    best = int(np.argmin(passed))
    axes.plot(
        b, [run.step for run in runs], "o-", color=CURVE, ms=4, label="step: N = W − b gradients"
    )
    axes.plot(b, passed, "s-", color=CHOSEN, ms=4, label="W gradients: step · W / N")
    axes.plot(b[best], passed[best], "o", mfc="none", mec=INK, ms=12)
    axes.annotate(
        f"b = {b[best]}: {passed[best]:.2f} s",
        (b[best], passed[best]),
        xytext=(14, 22),
        textcoords="offset points",
        color=INK,
    )
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("backup workers b", color=INK)
    axes.set_ylabel("seconds, mean", color=INK)
    axes.set_title("time against the number of backups", color=INK)
    axes.legend(frameon=False)
