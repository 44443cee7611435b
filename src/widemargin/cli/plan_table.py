"""What `plan` found, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from widemargin.ps.plan import Prediction, World, name_of
from widemargin.ps.plan_grid import Choice
from widemargin.ps.plan_pace import Measured, mean
from widemargin.ps.policy import Sync

Tried = Mapping[str, Sequence[Prediction]]
HEAD = ("workers", "servers", "replicas", "backups", "epoch", "calm", "late", "99 %", "snapshot")
LEGEND = """\
epoch, calm    its time with failures, and without any
late, 99 %     commits from reading parameters to the gradient's own: the mean, and of 99 of 100
snapshot       the best time between two
hours          of all machines, for an epoch"""


def report(world: World, tried: Tried, choice: Choice) -> dict[str, Any]:
    figures = world.figures
    given = {
        "model_bytes": figures.model_bytes,
        "step_seconds": mean(figures.pace),
        "bandwidth": figures.bandwidth,
        "latency": figures.latency,
        "blocks": world.n_blocks,
        **{f"failures_{name}": value for name, value in world.failures._asdict().items()},
    }
    cases = [{"kind": kind, **told(each)} for kind, row in tried.items() for each in row]
    best = None if choice.best is None else told(choice.best)
    return {"given": given, "cases": cases, "best": best, "reason": choice.reason}


def told(each: Prediction) -> dict[str, Any]:
    case = each.case
    fields = each._asdict()
    del fields["case"]
    return {
        "policy": name_of(case.policy),
        "workers": case.workers,
        "servers": case.servers,
        "replicas": case.replicas,
        "backups": backups(each),
        **fields,
    }


def backups(each: Prediction) -> int | None:
    policy = each.case.policy
    return int(policy.backup) if isinstance(policy, Sync) else None


def show(world: World, tried: Tried, choice: Choice) -> None:
    from rich.console import Console
    from rich.table import Table

    for line in heading(world):
        print(line)
    priced = world.price is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in (*HEAD, "hours", *(["cost"] if priced else [])):
        table.add_column(name, justify="right")
    for row in tried.values():
        for k, each in enumerate(row):
            name = kind_of(each) if k == 0 else ""
            style = "bold green" if each is choice.best else ""
            table.add_row(name, *cells(each, priced), style=style)
        table.add_section()
    print()
    Console(width=120).print(table)
    print(f"\n{LEGEND}")
    print(f"\nbest           {choice.reason}")


def heading(world: World) -> list[str]:
    figures, failures = world.figures, world.failures
    rate = figures.bandwidth * 8.0 / 1e9
    network = "no bound" if math.isinf(rate) else f"{rate:g} Gbit/s"
    how = "measured" if isinstance(figures.pace, Measured) else "mean"
    lines = [
        f"model          {figures.model_bytes / 1e6:,.4g} MB",
        f"epoch          {world.n_blocks:,} gradients",
        f"gradient       {mean(figures.pace):.4g} s, {how}",
        f"network        {network}, {1e3 * figures.latency:.3g} ms a message",
    ]
    if not math.isinf(failures.mtbf):
        lines.append(
            f"failures       each process every {time(failures.mtbf)}, back after "
            f"{failures.worker:.3g} s; a snapshot stops one server for {failures.snapshot:.3g} s"
        )
    return lines


def kind_of(each: Prediction) -> str:
    """The policy; how many backups is a column."""
    policy = each.case.policy
    if isinstance(policy, Sync):
        return "sync" if policy.backup == 0 else "sync, backups"
    return name_of(policy)


def cells(each: Prediction, priced: bool) -> list[str]:
    case, spare = each.case, backups(each)
    row = [
        f"{case.workers:,}",
        f"{case.servers:,}",
        f"{case.replicas}",
        "" if spare is None else f"{spare}",
        time(each.epoch),
        time(each.calm),
        f"{each.late:,.1f}",
        f"{each.late99:,.0f}",
        "epoch" if math.isinf(each.period) else time(each.period),
        f"{each.hours:,.3g}",
    ]
    return [*row, f"{each.cost:,.2f}"] if priced else row


def time(seconds: float) -> str:
    """0.12 s, 12.3 s, 3.4 min, 2.1 h."""
    if seconds < 120.0:
        return f"{seconds:.3g} s"
    if seconds < 7200.0:
        return f"{seconds / 60.0:.3g} min"
    return f"{seconds / 3600.0:.3g} h"
