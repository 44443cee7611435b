"""What tests may need and not find: the data sets of ../shared/data, and optional libraries.

Without them a test skips; in CI, where all must be there, it fails.
"""

import importlib.util
import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


def shared_path(name: str) -> Path:
    """A file of the shared data."""
    path = SHARED / name
    if not path.exists():
        _absent(f"{name} is not in ../shared/data")
    return path


def needs(library: str) -> None:
    """Called first by a test file, or a fixture, that cannot do without this library."""
    if importlib.util.find_spec(library) is None:
        _absent(f"{library} is not installed; pip install widemargin[nets] brings it")


def _absent(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
