"""All benchmarks, or those named."""

from __future__ import annotations

import importlib
import time

from harness import cli, report
from harness.measure import Run

NAMES = (
    "startup",
    "file",
    "text",
    "solvers",
    "parallel",
    "tuning",
    "memory",
    "outofcore",
    "svc",
    "multiclass",
    "cluster_linear",
)


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"{', '.join(unknown)} is unknown. Choose from: {', '.join(NAMES)}.")
    began = time.perf_counter()
    run, tables = Run(asked.out, asked.repeat, asked.rows), []
    for name in asked.names or NAMES:
        tables += importlib.import_module(name).run(run, asked.data)
        report.write(run, tables)
    print((run.folder / "results.md").read_text("utf-8"))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
