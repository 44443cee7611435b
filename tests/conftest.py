"""What tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared import shared_path


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    return shared_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; (exit code, stdout, stderr)."""
    from widemargin.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(done.value.code or 0), out, err

    return call


RAY = (
    "test_cli_cluster.py",
    "test_cluster.py",
    "test_cluster_dual.py",
    "test_cluster_linear.py",
    "test_gangs_on_ray.py",
    "test_links.py",
    "test_local_on_ray.py",
    "test_net_on_ray.py",
)


LONG = (  # begun first, so that no core is left with one of them at the end
    "test_conformance.py",  # two minutes of one process
    "test_net_engines.py",
    "test_partitions.py",
    "test_simulate.py",
    "test_mutations.py",
    "test_blocked.py",
    "test_dual.py",
    "test_linear_svc.py",
    "test_sgd_classifier.py",
    "test_one_vs_rest.py",
    "test_svc.py",
    "test_linear_svc_cv.py",
    "test_probability.py",
    "test_crammer_singer.py",
    "test_shared_dual_fit.py",
    "test_tuning.py",
    "test_cli.py",
    "test_live_page.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay in one process, which compiles for them once. Those that begin a Ray and
    measure how soon it goes on run by themselves."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path)))
        if item.path.name in RAY:
            item.add_marker("ray")
    turn = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: turn.get(item.path.name, len(LONG)))
