"""Cluster: where and how a job is computed; starts its runs."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from widemargin.errors import ClusterError, float_of, seconds, whole_number
from widemargin.ps.compression import Codec, codec_of
from widemargin.ps.job import Job, Range
from widemargin.ps.local import cadence_of
from widemargin.ps.policy import Async, Policy, RoundRobin, Sync
from widemargin.ps.settings import Settings, refuse_rounds
from widemargin.run.cluster import plan as plans
from widemargin.run.cluster import private
from widemargin.run.cluster.partitions import partitioned, parts_of, processes
from widemargin.run.cluster.plan import Needs, Plan
from widemargin.run.cluster.running import Outcome, Run
from widemargin.run.cluster.start import name_of, prepare

LARGE = 2 << 30  # bytes of an object store from which on it is kept small


@dataclass(frozen=True)
class Cluster:
    """Workers and servers on Ray.

    address         None: a Ray of its own on this machine, which ends with the run; "auto",
                    "host:port", "ray://host:port": a Ray that is there
    workers         processes that compute gradients
    servers         key ranges of the parameters, each kept by `replicas` processes
    policy          Sync(backup), Async(max_staleness) or RoundRobin()
    snapshot_every  commits between snapshots; 0: one at the end of each epoch
    snapshot_to     a folder that all nodes share; the same command goes on from what is in it.
                    None: a temporary one, which ends with the run
    deadline_s      who is silent for so long counts as dead
    give_up_s       a range without any living server for so long ends the run with an error
    min_workers     fewer for `give_up_s` end the run too
    max_workers     up to so many are added when nodes come; None: none are
    device          None or "cpu"; "cuda": each worker asks Ray for a GPU
    cpus, resources what else each worker asks Ray for, where `address` is given
    compression     None, "bf16", "int8", "topk", or BFloat16(…), Int8(…), TopK(…): how workers send
                    their gradients
    linger_s        how long after its end a run that nobody asks about stays

    See docs/parameter-server.md for what is promised.
    """

    address: str | None = None
    workers: int = 2
    servers: int = 2
    policy: Policy = Sync()
    replicas: int = 1
    snapshot_every: int = 0
    snapshot_to: str | os.PathLike[str] | None = None
    deadline_s: float = 3.0
    give_up_s: float = 120.0
    min_workers: int = 1
    max_workers: int | None = None
    device: str | None = None
    cpus: float = 1.0
    resources: dict[str, float] = field(default_factory=dict)
    attempts: int = 3
    compression: Codec | str | None = None
    linger_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("workers", "servers", "replicas", "min_workers", "attempts"):
            whole_number(name, getattr(self, name), 1)
        whole_number("snapshot_every", self.snapshot_every, 0)
        for name in ("give_up_s", "linger_s"):
            seconds(name, getattr(self, name))
        seconds("deadline_s", self.deadline_s, 0.5, "who is merely slow would count as dead")
        codec_of(self.compression)
        if self.max_workers is not None:
            whole_number("max_workers", self.max_workers, 1)
            if self.max_workers < self.workers:
                raise ValueError(
                    f"max_workers must be at least workers={self.workers}, got {self.max_workers}. "
                    "Raise it, or give None to add none."
                )
        refuse_policy(self.policy, self.max_workers or self.workers)
        refuse_needs(self.cpus, self.resources)
        if self.min_workers > self.workers:
            raise ValueError(
                f"min_workers must be at most workers={self.workers}, got {self.min_workers}."
                " Lower it."
            )
        if self.device not in (None, "cpu", "cuda"):
            raise ValueError(f"device={self.device!r} is unknown. Choose from: 'cpu', 'cuda'.")

    def run(
        self, job: Job, epochs: int, *, seed: int = 0, name: str | None = None, shuffle: bool = True
    ) -> Outcome:
        """Start, wait for the end, return what was made."""
        with self.start(job, epochs, seed=seed, name=name, shuffle=shuffle) as run:
            return run.result()

    def start(
        self, job: Job, epochs: int, *, seed: int = 0, name: str | None = None, shuffle: bool = True
    ) -> Run:
        """Start a run, or go on with that of `snapshot_to`; returns at once."""
        whole_number("epochs", epochs, 1)
        whole_number("seed", seed, 0)
        settings = self.settings(job, epochs, seed, shuffle)
        refuse_rounds(settings)
        actors = self.workers * processes(job) + self.servers * self.replicas + 2
        size = job.n_keys * int(job.first(Range(0, 1)).nbytes)
        room = min(20 * size, max(2 * size, LARGE))
        connection = private.connect(self.address, actors, room)
        try:
            return self.begin(job, settings, name, connection)
        except BaseException:
            private.end(connection)
            raise

    def settings(self, job: Job, epochs: int, seed: int, shuffle: bool) -> Settings:
        parts, job_of = parts_of(job, self.servers), partitioned(job, self.compression)
        groups = tuple(
            tuple(f"shard-{g}.{r}" for r in range(self.replicas)) for g in range(len(parts))
        )
        return Settings(
            n_blocks=job.n_blocks,
            epochs=epochs,
            policy=self.policy,
            groups=groups,
            seed=seed,
            shuffle=shuffle,
            sparse=job.sparse,
            snapshot_every=self.snapshot_every,
            deadline_s=self.deadline_s,
            quiet_s=self.deadline_s / 6,
            retry_s=self.deadline_s / 6,
            tick_s=self.deadline_s / 24,
            give_up_s=self.give_up_s,
            attempts=self.attempts,
            owner=() if job_of is None else job_of.owner(parts),
            reads=() if job_of is None else job_of.reads(parts),
            cadence=cadence_of(job),
            compression=codec_of(self.compression),
            workers=self.workers,
        )

    def begin(
        self, job: Job, settings: Settings, name: str | None, connection: private.Connection
    ) -> Run:
        from widemargin.run.cluster import fleet

        folder = self.folder(connection)
        name = name or self.known(folder) or f"run-{secrets.token_hex(4)}"
        if fleet.roles(name):
            run = Run(name, connection)
            if run.folder != folder and self.snapshot_to is not None:
                raise ClusterError(
                    f"a run {name!r} is under way on this Ray, with snapshots in {run.folder!r}. "
                    "Give this one another name, or attach: Cluster.attach(name, address)."
                )
            if run.status()["phase"] != "ended":
                return run
            fleet.dissolve(name)
        try:
            self.people(job, settings, name, folder, connection)
        except BaseException:
            self.clear(name, folder)
            raise
        return Run(name, connection)

    def people(
        self, job: Job, settings: Settings, name: str, folder: str, connection: private.Connection
    ) -> None:
        """Make the folder ready, tell what all actors know, begin them."""
        from widemargin.run.cluster import fleet

        parts = parts_of(job, self.servers)
        on_cluster(prepare, folder, name, job, settings, parts)
        plan = Plan(
            name=name,
            folder=folder,
            settings=settings,
            rule=job.rule,
            parts=parts,
            needs=self.needs(connection),
            workers=(self.workers, self.min_workers, self.max_workers or self.workers),
            spare=self.snapshot_to is None,
            linger_s=self.linger_s,
        )
        plans.put(name, "plan", plan)
        plans.put(name, "job", job)
        plans.put(name, "secret", secrets.token_bytes(32))
        plans.put(name, "wanted", self.workers)
        fleet.begin(plan)

    def clear(self, name: str, folder: str) -> None:
        """Leave nothing of a run that could not begin, but a given folder."""
        from widemargin.run.cluster import fleet

        if self.snapshot_to is None:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(Exception):  # why it could not begin is what counts
            fleet.dissolve(name)

    def folder(self, connection: private.Connection) -> str:
        if self.snapshot_to is not None:
            return os.path.abspath(self.snapshot_to)
        if connection.folder is not None:
            return connection.folder
        import ray

        places = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        if len(places) > 1 or str(self.address).startswith("ray://"):
            raise ClusterError(
                f"snapshot_to is needed: this Ray has {len(places)} machines, which share no "
                "temporary folder. Give a folder that all of them see."
            )
        return tempfile.mkdtemp(prefix="wm-run-")

    def known(self, folder: str) -> str | None:
        found: str | None = on_cluster(name_of, folder)
        return found

    def needs(self, connection: private.Connection) -> Needs:
        cpus = 0.0 if connection.keeper is not None else self.cpus
        return Needs(cpus, 1.0 if self.device == "cuda" else 0.0, dict(self.resources))

    @classmethod
    def attach(cls, name: str, address: str | None = "auto") -> Run:
        """The run of this name on a Ray that outlived who started it."""
        connection = private.connect(address or "auto", 0, 0)
        from widemargin.run.cluster import fleet

        there = fleet.runs()
        if name not in there:
            private.end(connection)
            raise ClusterError(
                f"no run {name!r} is under way on this Ray; there are: {there or 'none'}. If it "
                "has ended, start it again with the same snapshot_to: it goes on from there."
            )
        return Run(name, connection)


def on_cluster(function: Any, *args: Any) -> Any:
    """Call it where the folder is: here, or through Ray's client on the head's side."""
    import ray

    if is_client():
        return ray.get(ray.remote(function).options(num_cpus=0).remote(*args))
    return function(*args)


def is_client() -> bool:
    """Is Ray reached through its client, so that the cluster's files are not ours?"""
    import ray

    return bool(ray.util.client.ray.is_connected())


def refuse_needs(cpus: Any, resources: Any) -> None:
    for name, value in {"cpus": cpus, **refuse_names(resources)}.items():
        if not 0.0 <= float_of(value) < math.inf:
            raise ValueError(
                f"{name} must be finite and at least 0, got {value!r}: it is how much of it each "
                "worker asks Ray for."
            )


def refuse_names(resources: Any) -> Mapping[str, Any]:
    if not isinstance(resources, Mapping) or not all(isinstance(name, str) for name in resources):
        raise TypeError(
            f"resources={resources!r} is no mapping from names of resources to amounts. Give one, "
            "such as {'large': 1}, or leave it out."
        )
    return {f"resources[{name!r}]": value for name, value in resources.items()}


def refuse_policy(policy: Any, workers: int) -> None:
    if not isinstance(policy, Sync | Async | RoundRobin):
        raise TypeError(
            f"policy={policy!r} is none. Give one of: Sync(backup), Async(max_staleness), "
            "RoundRobin()."
        )
    if isinstance(policy, Sync) and policy.backup != "auto":
        if whole_number("backup", policy.backup, 0) >= workers:
            raise ValueError(
                f"backup must be below the number of workers, {workers}, got {policy.backup}: "
                "nobody would be left to wait for. Lower it, or give 'auto'."
            )
    if isinstance(policy, Async) and policy.max_staleness is not None:
        whole_number("max_staleness", policy.max_staleness, 0)
