"""The data sets that tests may use: ../shared/data."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


def shared_path(name: str) -> Path:
    """A file of the shared data; the test skips where the folder is absent, and fails in CI."""
    path = SHARED / name
    if not path.exists():
        reason = f"{name} is not in ../shared/data"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
