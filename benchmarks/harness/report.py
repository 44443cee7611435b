"""Results as JSON and as Markdown tables."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from harness.measure import Run

PACKAGES = (
    "widemargin", "numpy", "scipy", "numba", "scikit-learn", "snapml", "liblinear-official",
    "vowpalwabbit",
)  # fmt: skip


class Table(NamedTuple):
    title: str
    words: str  # a sentence or two on how to read it
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    facts: dict[str, Any]  # the numbers behind it, for results.json


def markdown(table: Table) -> str:
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)], *table.rows]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"## {table.title}\n\n{table.words}\n\n{body}\n"


def write(run: Run, tables: Sequence[Table]) -> None:
    """results.json and results.md in the folder of the run."""
    where = machine()
    found = {
        "machine": where, "versions": versions(), "date": time.strftime("%FT%TZ", time.gmtime()),
        "repeat": run.repeat, "tables": [table._asdict() for table in tables],
        "records": run.used(),
    }  # fmt: skip
    (run.folder / "results.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    names = ", ".join(f"{name} {number}" for name, number in versions().items())
    loads = [record["load"] for record in run.used()] or [0.0]
    top = (
        f"# Measured on {found['date'][:10]}\n\n{where['cpu']}, {where['cores']} cores, "
        f"{where['memory_gib']} GiB, {where['system']}, Python {where['python']}; {names}. "
        f"Load of the machine while measuring: {min(loads):.1f} to {max(loads):.1f}. "
        f"Medians of {run.repeat} processes.\n"
    )
    text = "\n".join([top, *map(markdown, tables)])
    (run.folder / "results.md").write_text(text, "utf-8")


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if "widemargin" not in found:
        from widemargin import __version__

        found = {"widemargin": __version__, **found}
    return found


def machine() -> dict[str, Any]:
    here = hasattr(os, "sched_getaffinity")
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if here else os.cpu_count(),
        "memory_gib": round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }  # fmt: skip


def _field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def number(value: float, digits: int = 3) -> str:
    """Three significant digits; a dash for what was not measured."""
    if value is None or math.isnan(value):
        return "–"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def times(value: float) -> str:
    return "–" if math.isnan(value) else f"{number(value)}×"
