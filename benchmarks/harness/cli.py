"""What the benchmark scripts share on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import report
from harness.measure import HERE, Run
from harness.report import Table

OUT = HERE.parent / "bench-results"


def parser(description: str | None) -> argparse.ArgumentParser:
    asked = argparse.ArgumentParser(description=description)
    asked.add_argument("--repeat", type=int, default=3, metavar="N", help="processes each [3]")
    asked.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"[{OUT.name}]")
    asked.add_argument("--rows", type=int, metavar="N", help="of the corpus; for a quick look")
    asked.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME",
        help="data sets of the solvers benchmark, instead of all",
    )
    return asked


def main(run: Callable[[Run, Sequence[str]], list[Table]]) -> None:
    """Run one benchmark; its records join those of the folder, its results replace the last."""
    asked = parser(sys.modules["__main__"].__doc__).parse_args()
    own = Run(asked.out, asked.repeat, asked.rows)
    tables = run(own, asked.data)
    report.write(own, tables)
    print((own.folder / "results.md").read_text("utf-8"))
