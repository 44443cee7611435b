"""Arguments and options that several commands share, as typer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional, TypeAlias

import typer

Work: TypeAlias = Callable[[], Any]  # done once typer has let go, which handles errors its own way

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="svmlight text, plain or gz, bz2, xz, zst; '-' for stdin; a packed store; or text "
        "and tables: jsonl, json, csv, tsv, parquet, a folder of files by class.",
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", show_default=False, help="File that `train` wrote.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Base = Annotated[
    Optional[bool],  # noqa: UP045, typer reads the annotation
    typer.Option(
        "--zero-based/--one-based",
        show_default="0-based if an index 0 appears",
        help="How features are counted in svmlight text.",
    ),
]
Page = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(metavar="FILE.html", help="Also write one self-contained page about it."),
]
Threads = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--n-jobs", min=1, metavar="T", show_default="all cores", help="Threads."),
]
Processes = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--n-jobs", min=1, metavar="P", show_default="all cores", help="Processes."),
]
Memory = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="SIZE",
        show_default="what it takes",
        help="Hold no more than this, as in 512M or 1.5G; data may be larger.",
    ),
]
