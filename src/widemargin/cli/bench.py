"""`widemargin bench`: run the benchmarks of a source checkout."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import widemargin
from widemargin.errors import choose

FOLDER = Path(widemargin.__file__).parents[2] / "benchmarks"


def bench(name: str | None, arguments: list[str], folder: Path = FOLDER) -> int:
    """Run benchmarks/NAME.py with the arguments; without a name, list what there is."""
    scripts = available(folder)
    if not scripts:
        raise ValueError(
            "found no benchmarks beside this installation: they are part of the source checkout. "
            "Clone the project, install it with pip install -e ., and run the command again."
        )
    if name is None:
        width = max(map(len, scripts))
        for each, path in scripts.items():
            print(f"{each:{width}}  {summary(path)}")
        return 0
    path = choose("NAME", name, scripts)
    return subprocess.run([sys.executable, str(path), *arguments], check=False).returncode


def available(folder: Path) -> dict[str, Path]:
    """The scripts of the folder by name; names that start with _ are parts of others."""
    return {path.stem: path for path in sorted(folder.glob("[!_]*.py")) if path.stem != "conftest"}


def summary(path: Path) -> str:
    """The first line of a script's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
