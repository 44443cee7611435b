"""Connections to Ray: one that is there, or one of our own on this machine, which ends with us."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from widemargin.errors import ClusterError
from widemargin.run.cluster import watchdog

FAST = {  # deaths are noticed within a second: all processes are on this machine
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 700,
    "health_check_failure_threshold": 3,
    "timeout_ms_task_wait_for_death_info": 50,
    "core_worker_internal_heartbeat_ms": 100,
    "task_events_report_interval_ms": 0,
    "worker_niceness": 0,  # at Ray's own 15 the roles starve, and are taken for dead, beside others
}
QUIET = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
ROOM = 200 << 20  # bytes of the object store of a private Ray
END_S = 20.0


class Connection(NamedTuple):
    """`keeper` is the process that ends the Ray of our own; None: the Ray is not ours.

    `ours`: the connection is, and ends with the run, and with it the names in the environment that
    were set for it.
    """

    ours: bool
    keeper: Any
    folder: str | None  # where a private run may keep its snapshots
    environment: tuple[str, ...] = ()


def connect(address: str | None, actors: int, room: int) -> Connection:
    """To `address`; None begins a Ray for so many actors on this machine."""
    environment = set_up_token(address)
    try:
        import ray
    except ImportError:
        raise ClusterError(
            "Cluster needs ray, which is not installed. Install it: pip install widemargin[cluster]"
        ) from None
    if ray.is_initialized():
        return Connection(False, None, None)
    if address is None:
        return begin(actors, room, environment)
    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"address={address!r} does not answer: {error}. Give the address that `ray start "
            "--head` printed, and its token in RAY_AUTH_TOKEN or ~/.ray/auth_token."
        ) from error
    return Connection(True, None, None, environment)


def set_up_token(address: str | None) -> tuple[str, ...]:
    """A Ray of our own gets a token of its own. Returns what was set in the environment for it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    wanted = {}
    if address is None:
        wanted = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    elif has_token():
        wanted = {"RAY_AUTH_MODE": "token"}
    new = tuple(name for name in wanted if name not in os.environ)
    os.environ.update({name: wanted[name] for name in new})
    read_token_again()
    return new


def forget_token(names: tuple[str, ...]) -> None:
    """What was set for one Ray is nothing to the next."""
    for name in names:
        os.environ.pop(name, None)
    read_token_again()


def read_token_again() -> None:
    """Ray reads mode and token when it is imported and first used, and keeps what it read."""
    if "ray" not in sys.modules:
        return
    with contextlib.suppress(ImportError, AttributeError):  # other versions have them elsewhere
        from ray import _raylet as raylet

        loader, config = raylet.AuthenticationTokenLoader, raylet.Config  # type: ignore[attr-defined]
        if not sys.modules["ray"].is_initialized():
            config.initialize("")
            loader.instance().reset_cache()


def has_token() -> bool:
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return named or (Path.home() / ".ray" / "auth_token").exists()


def begin(actors: int, room: int, environment: tuple[str, ...]) -> Connection:
    """A Ray on this machine, with a watchdog that ends it if we are killed."""
    import ray

    folder = tempfile.mkdtemp(prefix="wm-", dir=short_place())
    # Ray makes its folder again while this process ends; what is registered first runs last
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-S", watchdog.__file__, str(os.getpid()), folder]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    connection = Connection(True, keeper, os.path.join(folder, watchdog.RUN), environment)
    os.environ.setdefault("RAY_enable_metrics_collection", "0")
    try:
        ray.init(
            num_cpus=actors,
            num_gpus=None,
            object_store_memory=ROOM + room,
            include_dashboard=False,
            _temp_dir=folder,
            _system_config=dict(FAST),
            **QUIET,
        )
    except BaseException:
        end(connection)
        raise
    return connection


def short_place() -> str:
    """A folder for temporary files whose name is short enough for Ray's sockets."""
    place = tempfile.gettempdir()
    return place if len(place) <= 24 else "/tmp"


def end(connection: Connection) -> None:
    """Leave Ray; nothing stays of one of our own."""
    import ray

    if connection.ours:
        ray.shutdown()
    keeper = connection.keeper
    if keeper is not None and keeper.poll() is None:
        keeper.stdin.close()
        try:
            keeper.wait(END_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
            if connection.folder is not None:
                shutil.rmtree(os.path.dirname(connection.folder), ignore_errors=True)
    forget_token(connection.environment)
