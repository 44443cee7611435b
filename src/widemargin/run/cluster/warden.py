"""Sees to it that the coordinator does not stand still for ever.

Ray begins an actor again when its process dies, not when it is stopped or hangs. Of members and
workers the coordinator notices that; of the coordinator itself whoever keeps this does: a question
that was not answered for the deadline ends the process, and Ray begins another.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from widemargin.ps.messages import COORDINATOR
from widemargin.run.cluster.plan import Plan, space

OFTEN = 6  # questions a deadline
LEAST_S = 1.0  # an answer comes through Ray, on a machine that may be busy


class Warden:
    """`keep` is for a thread of its own: it asks, waits, and ends who is late.

    A process that has not answered yet is only beginning, which takes as long as it takes.
    """

    def __init__(self, plan: Plan, ended: Callable[[], bool]) -> None:
        self.space, self.deadline_s = space(plan.name), max(LEAST_S, plan.settings.deadline_s)
        self.ended = ended  # the run: nobody has to live then
        self.known: dict[str, Any] = {}  # who answered last

    def keep(self) -> None:
        while not self.ended():
            time.sleep(self.deadline_s / OFTEN)
            try:
                self.look()
            except Exception:  # there is no coordinator now, or Ray's head does not answer
                self.known = {}

    def look(self) -> None:
        import ray

        actor = ray.get_actor(COORDINATOR, namespace=self.space)
        question = actor.identity.remote()
        done, _ = ray.wait([question], timeout=self.deadline_s)
        if done:
            self.hear(question)
        elif self.known:
            self.end()

    def hear(self, question: Any) -> None:
        import ray

        try:
            self.known = ray.get(question)
        except ray.exceptions.RayError:  # it died: Ray begins it again, the question went with it
            self.known = {}

    def end(self) -> None:
        """A stopped process takes Ray five seconds to end, but a signal on its node none."""
        import ray

        here = ray.get_runtime_context().get_node_id()
        if self.known["node"] == here:
            os.kill(self.known["pid"], signal.SIGKILL)
        else:
            actor = ray.get_actor(COORDINATOR, namespace=self.space)
            ray.kill(actor, no_restart=False)
        self.known = {}
