"""What tests share."""

import os
from collections.abc import Callable
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


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    return shared_path


RAY = ("test_cluster.py", "test_cluster_linear.py", "test_net_on_ray.py", "test_cli_cluster.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay in one process, which compiles for them once; those that begin a Ray
    are all in one process, so that there are never two of it."""
    for item in items:
        group = "ray" if item.path.name in RAY else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
