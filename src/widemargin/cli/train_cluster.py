"""`widemargin train --workers`: the rows go into a packed store, the steps are taken on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from widemargin.cli.clock import since_start
from widemargin.cli.interrupts import no_more_interrupts
from widemargin.cli.live import Epochs
from widemargin.cli.outcome import show, verdict
from widemargin.cli.output import put_json
from widemargin.cli.train import Training
from widemargin.cli.train_bounded import fitted, packed, refuse, rows_of, test_error
from widemargin.errors import choose
from widemargin.memory import size_of
from widemargin.model_file import save
from widemargin.ps.messages import Event
from widemargin.run.shared_fit import EPOCHS
from widemargin.run.solve import MARGIN_LOSSES, SOLVERS
from widemargin.threads import cores
from widemargin.watching.beside import page_beside

FAMILIES = ("sync", "async", "round_robin")
ON_CLUSTER = {"auto": "minibatch", "sgd": "minibatch", "minibatch": "minibatch", "dual": "dual"}
TEST_ROOM = 1 << 30  # bytes that a block of the test data is a share of, without --max-memory


def train_cluster(asked: Training, loss: str) -> int:
    """What `train` does, on a cluster; the exit code."""
    refuse(asked, "--workers")
    solver = choose("--solver", asked.solver, ON_CLUSTER)
    choose("--loss", loss, dict.fromkeys(MARGIN_LOSSES))
    said = asked.cluster or {}
    engine = cluster_of(said)
    limit = None if asked.max_memory is None else size_of(asked.max_memory, "--max-memory")
    began = time.perf_counter()
    with packed(asked, limit) as store, page_beside(said.get("dashboard")) as tell:
        loaded = time.perf_counter()
        watch = watch_of(solver, rows_of(store), asked)
        how = {"solver": solver, "loss": loss, "batch_size": asked.batch_size}
        model = fitted(asked, store, watch, engine=Heard(engine, tell), **how)
    ended, threads = time.perf_counter(), asked.n_jobs or cores()
    report = {**model.training, "scheme": None, "test_error": None}
    if asked.test:
        report["test_error"] = test_error(model, asked.test, limit or TEST_ROOM, threads)
    save(replace(model, training=report), asked.model)
    seconds = {"load": loaded - began, "fit": ended - loaded, "total": since_start()}
    report["seconds"] = seconds
    put_json(report) if asked.json else _show(report, asked)
    return verdict(report.pop("solved"), report)


def watch_of(solver: str, n: int, asked: Training) -> Epochs:
    """What is told of the run while it lasts."""
    if solver == "dual":
        kind = SOLVERS[solver]
        return Epochs(n, asked.epochs or kind.epochs, asked.tol or kind.tol)
    return Epochs(n, asked.epochs or EPOCHS, None)


def cluster_of(said: Mapping[str, Any]) -> Any:
    """The `Cluster` that the options name; refuses options of another policy."""
    from widemargin.cluster import Async, Cluster, RoundRobin, Sync

    name = said.get("policy", "sync")
    choose("--policy", name, dict.fromkeys(FAMILIES))
    for option, home in (("backup", "sync"), ("staleness", "async")):
        if option in said and name != home:
            raise ValueError(f"--{option} belongs to --policy {home}, not to {name}. Leave it out.")
    workers = said.get("workers", 2)
    policies: dict[str, Any] = {
        "sync": Sync(backups(said.get("backup", "0"), workers)),
        "async": Async(said.get("staleness")),
        "round_robin": RoundRobin(),
    }
    return Cluster(
        address=said.get("address"),
        workers=workers,
        servers=said.get("servers", 1),
        policy=policies[name],
        replicas=said.get("replicas", 1),
        compression=said.get("compression"),
        snapshot_to=said.get("snapshot_to"),
    )


def backups(text: str, workers: int) -> Any:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) >= workers:
        raise ValueError(
            f"--backup must be auto or a number from 0 to {workers - 1}, one below --workers, got "
            f"{text!r}. A step needs one gradient at least."
        )
    return int(text)


class Heard:
    """An engine whose run ends in peace: an interrupt that was heard does not come again.

    What happens is told to `tell`, event by event.
    """

    def __init__(self, engine: Any, tell: Callable[[Event], None]) -> None:
        self.engine, self.tell = engine, tell
        self.policy, self.workers = engine.policy, engine.workers

    def start(self, *args: Any, **how: Any) -> Any:
        run, told = self.engine.start(*args, **how), 0
        wait = run.wait

        def heard(timeout: float | None = None) -> Any:
            nonlocal told
            try:
                return wait(timeout)
            except KeyboardInterrupt:
                no_more_interrupts()
                raise
            finally:
                for event in run.known[told:]:
                    self.tell(event)
                told = len(run.known)

        run.wait = heard
        return run


def _show(report: dict[str, Any], asked: Training) -> None:
    show(report, asked.model, None)
    said = {name: value for name, value in (asked.cluster or {}).items() if name != "dashboard"}
    told = "  ".join(f"{name} {value}" for name, value in said.items())
    print(f"cluster        {told}  {report['commits']:,} commits")
