"""A run seen from outside, and what it made."""

from __future__ import annotations

import shutil
import time
from typing import Any, NamedTuple, Self

from widemargin.data.rows import Array
from widemargin.errors import ClusterError, Diverged, SnapshotError, whole_number
from widemargin.ps.kept import Kept
from widemargin.ps.messages import OBSERVER, Event
from widemargin.run.cluster import plan as plans
from widemargin.run.cluster import private
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.plan import Plan, space

POLL_S = 0.05
ANSWER_S = 5.0  # how long one question may take; it is asked again


class Outcome(NamedTuple):
    """What a run made."""

    parameters: Array  # (n, width)
    average: Array  # their decayed average; the same where the rule keeps none
    version: int  # commits behind them
    events: list[Event]  # of all that happened, also before it went on from a snapshot


class Run:
    """`result` waits for the end; leaving a `with` block ends the run, done or not.

    Without `with`, call `stop` (or `leave`, which only forgets a run on a Ray that outlives us).
    """

    def __init__(self, name: str, connection: private.Connection) -> None:
        self.name, self.connection = name, connection
        plan: Plan | None = plans.get(name, "plan")
        if plan is None:
            raise ClusterError(f"the run {name!r} has just ended. Start it again.")
        self.plan, self.folder = plan, plan.folder
        self.known: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # questions

    def ask(self, question: str, *args: Any) -> Any:
        """Ask the observer, again while it begins anew; ClusterError after `give_up_s`."""
        import ray

        limit = self.plan.settings.give_up_s
        until = time.monotonic() + limit
        while True:
            try:
                observer = ray.get_actor(OBSERVER, namespace=space(self.name))
                answer = ray.get(getattr(observer, question).remote(*args), timeout=ANSWER_S)
                return answer
            except (ValueError, ray.exceptions.RayError) as error:
                if time.monotonic() > until:
                    raise ClusterError(
                        f"the observer of the run {self.name!r} has not answered for {limit:g} s "
                        f"({type(error).__name__}). If its Ray is gone, start the run again with "
                        "the same snapshot_to."
                    ) from error
                time.sleep(POLL_S)

    def events(self) -> list[Event]:
        """All that has happened so far."""
        new: list[Event] = self.ask("since", len(self.known))
        self.known += new
        return self.known

    def status(self) -> dict[str, Any]:
        """Phase, epoch, version, who is alive, what was counted."""
        return dict(self.ask("status"))

    def scale(self, workers: int) -> None:
        """Have so many workers from now on."""
        workers = whole_number("workers", workers, 1)
        _, least, most = self.plan.workers
        if workers < least:
            raise ValueError(f"workers must be at least min_workers={least}, got {workers}.")
        if workers > most and self.plan.rule.adding is not None:
            raise ValueError(
                f"workers must be at most {most}, got {workers}: the steps of this dual are "
                "made for no more. Start the run with a larger max_workers."
            )
        self.ask("scale", workers)

    # the end

    def wait(self, timeout: float | None = None) -> bool:
        """Has the run ended well before the timeout, in seconds? Raises what made it fail."""
        began = time.monotonic()
        while True:
            self.events()
            last = self.ending()
            if last is not None:
                self.raise_failure(last)
                return True
            if timeout is not None and time.monotonic() - began >= timeout:
                return False
            time.sleep(POLL_S)

    def ending(self) -> Event | None:
        """The event that ended the run, unless it has been started again since."""
        for event in self.known[::-1]:
            if event.kind in ("done", "failed"):
                return event
            if event.kind == "began":
                return None
        return None

    def raise_failure(self, event: Event) -> None:
        if event.kind == "failed":
            reason = f"run {self.name!r}: {event.what['reason']}"
            raise (Diverged if event.what.get("diverged") else ClusterError)(reason)

    def result(self, timeout: float | None = None) -> Outcome:
        """What the run made, once it has; all of it in this process (see `kept`)."""
        if not self.wait(timeout):
            version = self.status()["version"]
            raise ClusterError(
                f"the run {self.name!r} has not ended within {timeout:g} s (version {version}). "
                "It goes on: wait longer."
            )
        from widemargin.run.cluster.engine import on_cluster

        theta, average, version = on_cluster(outcome, self.plan)
        return Outcome(theta, average, version, self.events())

    def newest(self) -> Outcome | None:
        """What the newest snapshot holds; None while that is being replaced."""
        from widemargin.run.cluster.engine import on_cluster

        try:
            theta, average, version = on_cluster(outcome, self.plan)
        except SnapshotError:
            return None
        return Outcome(theta, average, version, self.known)

    def kept(self, key: str | None = None) -> Kept:
        """The parameters of a snapshot, None: the newest, read from its files where they are
        wanted: `result` has them all at once. LookupError where it is not there any more."""
        from widemargin.run.cluster import reading

        return reading.kept(self.plan, key)

    def stop(self) -> None:
        """End the run. What was committed since the last snapshot is lost."""
        from widemargin.run.cluster import fleet

        try:
            if self.connection.keeper is None:
                fleet.dissolve(self.name)
                if self.plan.spare:
                    shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            private.end(self.connection)

    def leave(self) -> None:
        """Let the run go on without us; see `Cluster.attach`."""
        if self.connection.keeper is not None:
            raise ClusterError(
                f"the run {self.name!r} is on a Ray that ends with this process. Stop it, or give "
                "an address."
            )
        private.end(self.connection)


def outcome(plan: Plan) -> tuple[Array, Array, int]:
    """Parameters, their average and their version, from the newest snapshot."""
    import numpy as np

    from widemargin.ps.parameters import Parameters

    found = Folder(plan.folder, len(plan.parts)).newest()
    assert found is not None, f"{plan.folder} holds no snapshot"
    manifest, arrays = found
    shards = [
        Parameters.restore(plan.rule, arrays[g], part.start) for g, part in enumerate(plan.parts)
    ]
    theta = np.concatenate([shard.read() for shard in shards])
    average = np.concatenate([shard.read_average() for shard in shards])
    return theta, average, int(manifest["stamp"][1])
