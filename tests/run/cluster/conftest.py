"""One Ray of three nodes for all tests here; without ray they skip, and fail in CI."""

import os
import secrets
from pathlib import Path

import pytest

from shared import needs

HERE = str(Path(__file__).parent)


def prepare():
    """What Ray and its processes read when they begin."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_enable_metrics_collection"] = "0"
    known = os.environ.get("PYTHONPATH", "")
    if HERE not in known.split(os.pathsep):  # actors import the jobs of these tests
        os.environ["PYTHONPATH"] = os.pathsep.join([HERE, known] if known else [HERE])


@pytest.fixture(scope="session")
def ray_installed():
    needs("ray")
    prepare()
    from widemargin.run.cluster import private

    private.read_token_again()  # an earlier test's Ray of our own has made Ray read the environment


@pytest.fixture(scope="session")
def three_nodes(ray_installed):
    import nodes

    cluster = nodes.begin()
    yield cluster
    nodes.end(cluster)
