"""A simulated run in words, one line for each fault and each event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from widemargin.ps import messages as m
from widemargin.ps.oracle import Record, violations
from widemargin.ps.oracle_feedback import encoded_as_promised
from widemargin.ps.simulate import Simulation


def trace(sim: Simulation, seen: Record) -> tuple[list[str], list[str]]:
    """The lines, in order of time, and what was violated."""
    settings, setup = sim.settings, sim.setup
    lines = [(time, f"! {text}") for time, _, _, text in seen.told]
    lines += [(event.time, f"  {words(event)}") for event in seen.events]
    lines.append((seen.quiet, "! all faults have ended"))
    lines.append((sim.now, "  the run is over"))
    head = [
        f"{len(setup.workers)} workers, {len(settings.groups)} ranges of parameters with "
        f"{len(settings.groups[0])} members each, {settings.policy}",
        f"{settings.n_blocks} blocks, {settings.epochs} epochs, {setup.job.rule.optimizer}, "
        f"{setup.pace}",
        f"{setup.net}",
    ]
    told = [f"{time:9.4f} {text}" for time, text in sorted(lines, key=lambda line: line[0])]
    return [*head, *told], violations(seen) + encoded_as_promised(sim)


def words(event: m.Event) -> str:
    what = {name: value for name, value in event.what.items() if name != "parts"}
    if "parts" in event.what:
        what["blocks"] = blocks(event.what["parts"])
    told = " ".join(f"{name}={value}" for name, value in what.items() if value != ())
    return f"{event.kind:8} {told}"


def blocks(parts: Sequence[Any]) -> str:
    return ",".join(f"{block.epoch}:{block.number}" for _, block in parts)
