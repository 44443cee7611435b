"""Actions: the dual on the parameter server, its gap and seconds; also with a worker killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import numpy as np

from harness import datasets, texts
from harness.datasets import objective_of
from harness.shared import Watched
from widemargin.data.samples import make_samples
from widemargin.data.store import open_store
from widemargin.run.fit import fit_dual
from widemargin.run.shared_dual_fit import dual_job, fit_dual_on, in_memory
from widemargin.run.shared_linear import stored
from widemargin.threads import crew_of

Spec = dict[str, Any]
MOST_EPOCHS = 100


def one_machine(spec: Spec) -> Any:
    """The dual solver of one process, on so many threads, over the same rows in the same order."""
    problem = datasets.load(spec["data"], spec.get("rows"))
    store = open_store(str(texts.store(problem, False)))
    samples = make_samples(store.rows, store.codes, len(store.label_names))
    how = dict(max_epochs=MOST_EPOCHS, rng=np.random.default_rng(0), threads=spec["threads"])
    began = time.perf_counter()
    fitted = fit_dual(objective_of(problem), samples, tol=spec["tol"], **how)
    return told(fitted, time.perf_counter() - began, None)


def cluster(spec: Spec) -> Any:
    """One run of `workers`; `killed`: how many commits the second one lives for, or None."""
    from widemargin.cluster import Cluster

    problem = datasets.load(spec["data"], spec.get("rows"))
    store, objective = str(texts.store(problem, False)), objective_of(problem)
    engine = Deadly(Cluster(workers=spec["workers"], servers=spec["servers"]), spec.get("killed"))
    job = dual_job(store, objective, engine, seed=0)
    with crew_of(spec["workers"]) as crew:
        prove = in_memory(objective, stored(job), spec["tol"], crew)
        began = time.perf_counter()
        how = dict(tol=spec["tol"], max_epochs=MOST_EPOCHS)
        fitted, commits = fit_dual_on(engine, job, prove, **how)
        total = time.perf_counter() - began
    assert spec.get("killed") is None or engine.deaths, "no worker was killed"
    begin = next(event.time for event in engine.run.known if event.kind == "running")
    found = told(fitted, total, fitted.history[-1]["seconds"] - (begin - engine.started))
    return found | {"commits": commits, "block_size": job.n_samples // job.blocks}


def told(fitted: Any, total: float, steps: float | None) -> dict[str, Any]:
    """`steps`: seconds from the first step to the proof."""
    certificate = fitted.certificate
    return {
        "objective": certificate.primal,
        "dual": certificate.dual,
        "gap": certificate.relative_gap,
        "epochs": fitted.epochs,
        "total": total,
        "steps": total if steps is None else steps,
    }


class Deadly(Watched):
    """An engine whose second worker is killed once, after so many commits."""

    def __init__(self, engine: Any, after: int | None) -> None:
        super().__init__(engine)
        self.policy, self.workers, self.after = engine.policy, engine.workers, after
        self.deaths, self.started = 0, 0.0

    def start(self, *args: Any, **how: Any) -> Any:
        self.started = time.time()
        run = super().start(*args, **how)
        if self.after is not None:
            threading.Thread(target=self.kill, daemon=True).start()
        return run

    def kill(self) -> None:
        import ray

        from widemargin.run.cluster.plan import space

        assert self.run is not None and self.after is not None
        while sum(event.kind == "commit" for event in self.run.known) < self.after:
            time.sleep(0.01)
        worker = ray.get_actor("worker-1", namespace=space(self.run.name))
        os.kill(ray.get(worker.identity.remote())["pid"], signal.SIGKILL)
        self.deaths += 1
