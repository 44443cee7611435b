"""Seconds to import the package and to answer --help and --version."""

from __future__ import annotations

from collections.abc import Sequence

from harness import cli
from harness.commands import WIDEMARGIN
from harness.measure import Run, median
from harness.report import Table, number

TIMES = 7  # at least, once there are three: these are short
COMMANDS = {
    "python -c pass": ("pass", []),
    "python -c 'import widemargin'": ("import widemargin", []),
    "widemargin --version": (WIDEMARGIN, ["--version"]),
    "widemargin --help": (WIDEMARGIN, ["--help"]),
}


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """Whole processes; the first line is what Python itself takes of each."""
    specs = [
        {"action": "commands.start", "code": code, "arguments": arguments}
        for code, arguments in COMMANDS.values()
    ]
    repeat = max(run.repeat, TIMES) if run.repeat >= 3 else run.repeat
    results = run.each(specs, repeat)
    facts = {name: median(found, "seconds") for name, found in zip(COMMANDS, results, strict=True)}
    bare = facts["python -c pass"]
    rows = [[f"`{name}`", number(value), number(value - bare)] for name, value in facts.items()]
    return [
        Table(
            "Start-up",
            f"Medians of {repeat} processes.",
            ["", "seconds", "beyond Python itself"],
            rows,
            facts,
        )
    ]


if __name__ == "__main__":
    cli.main(run)
