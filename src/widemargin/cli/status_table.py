"""The state of a run as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from widemargin.watching.state import Party, State

ABREAST = 3  # numbers in a row
LAST = 8  # marks that are shown
QUIET_S = 20.0  # without an event: worth a word
STYLES = {
    **dict.fromkeys(("alive", "full", "reigns", "running", "back"), "green"),
    **dict.fromkeys(("waiting", "joining", "opening", "starting", "joined"), "cyan"),
    **dict.fromkeys(("slow", "recovering", "term", "error"), "yellow"),
    **dict.fromkeys(("gone", "failed", "death", "rollback"), "bold red"),
}


def shown(state: State) -> RenderableType:
    """All of it, one part under the other."""
    parts: list[RenderableType] = [headline(state), numbers(state)]
    if state.parties:
        parts.append(parties(state))
    if state.recoveries:
        parts.append(recoveries(state))
    if state.marks:
        parts.append(marks(state))
    return Group(*parts)


def headline(state: State) -> Text:
    """Name, phase, progress, policy, and what is wrong."""
    phase = ("failed" if state.reason else "done") if state.phase == "ended" else state.phase
    text = Text(state.name or "a run", style="bold")
    text.append(f"  {phase}", style=STYLES.get(phase, ""))
    text.append(f"  {epoch(state)}  {state.policy}", style="not bold")
    quiet = state.now - (state.heard or state.now)
    if state.phase != "ended" and quiet > QUIET_S:
        text.append(f"  nothing heard for {span(quiet)}", style="red not bold")
    if state.reason:
        text.append(f"\n{state.reason}", style="red not bold")
    return text


def epoch(state: State) -> str:
    if state.phase == "ended" and not state.reason:
        return f"{state.epoch} epochs"
    of = f" of {state.epochs}" if state.epochs else ""
    part = "" if state.progress is None else f", {100 * state.progress:.0f} %"
    return f"epoch {state.epoch + 1}{of}{part}"


def numbers(state: State) -> Table:
    rate, unit = state.rate.samples, "samples/s"
    if rate is None:
        rate, unit = state.rate.blocks, "blocks/s"
    loss = "–" if state.loss is None else f"{state.loss:.4g}"
    trained = [each for each in state.series.train_loss if each is not None]
    pairs = (
        ("version", f"{state.version:,}"),
        ("commits", f"{state.commits:,}"),
        (unit, f"{rate:,.1f}"),
        ("loss", loss),
        *([("training loss", f"{trained[-1]:.4g}")] if trained else []),
        ("staleness", f"{state.late}"),
        ("dropped", f"{state.dropped:,}"),
        ("requeued", f"{state.void:,}"),
        ("undone", f"{state.undone:,}"),
        ("snapshots", f"{state.snapshots:,}"),
    )
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for k in range(2 * ABREAST):
        table.add_column(justify="right" if k % 2 else "left", style="" if k % 2 else "dim")
    for row in range(0, len(pairs), ABREAST):
        table.add_row(*(cell for pair in pairs[row : row + ABREAST] for cell in pair))
    return table


def parties(state: State) -> Table:
    table = plain_table(("role", "lives", "for"), ("state", "last lost"))
    for party in state.parties:
        since = span(max(0.0, state.now - party.since))
        table.add_row(party.name, str(party.lives), since, styled(party), Text(party.words))
    return table


def styled(party: Party) -> Text:
    return Text(party.state, style=STYLES.get(party.state, ""))


def recoveries(state: State) -> Table:
    table = plain_table(("died", "deaths", "back", "median", "longest", "pause"))
    for row in state.recoveries:
        times = (row.median, row.longest, row.longest_pause)
        table.add_row(row.role, str(row.deaths), str(row.back), *map(seconds, times))
    return table


def marks(state: State) -> Table:
    table = plain_table(("time",), ("last", ""))
    said = [mark for mark in state.marks if mark.kind != "snapshot"]
    for mark in said[-LAST:]:
        at = "before" if state.begun is None or mark.time < state.begun else None
        kind = Text(mark.kind, style=STYLES.get(mark.kind, ""))
        words = Text(" ".join(part for part in (mark.name, mark.words) if part))
        table.add_row(at or span(mark.time - (state.begun or 0.0)), kind, words)
    return table


def plain_table(numbers: Iterable[str], words: Iterable[str] = ()) -> Table:
    """Columns of numbers, the first of which may be names, then of words."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for k, name in enumerate(numbers):
        table.add_column(name, justify="right" if k else "left", no_wrap=True)
    for name in words:
        table.add_column(name, overflow="fold")
    return table


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def span(value: float) -> str:
    """12 s, 3:20, 2:05:07."""
    if value < 60.0:
        return f"{value:.0f} s"
    hours, rest = divmod(int(value), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
