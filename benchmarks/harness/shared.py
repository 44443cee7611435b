"""Actions: linear models on the parameter server, their time, their steps, their bytes."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np

from harness import datasets, texts
from harness.datasets import LAM, Problem, objective_of
from widemargin.data.samples import make_samples
from widemargin.data.store import open_store
from widemargin.ps import messages as m
from widemargin.ps.job import Carrier, ranges, split_keys
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.run.evaluation import evaluate
from widemargin.run.fit import fit_dual
from widemargin.run.shared_fit import follow, job_of
from widemargin.run.shared_linear import LinearJob
from widemargin.run.shared_serial import Serial

Spec = dict[str, Any]
POLICIES = {"sync": Sync(), "async": Async(), "round_robin": RoundRobin()}
MEASURED = 32  # blocks whose messages are counted
REFERENCE_GAP = 1e-6


def job_for(spec: Spec) -> tuple[Problem, LinearJob]:
    problem = datasets.load(spec["data"], spec.get("rows"))
    store = str(texts.store(problem, False))
    return problem, job_of(store, objective_of(problem).loss, LAM, seed=0)


def optimum(spec: Spec) -> Any:
    """A lower bound of the objective, within REFERENCE_GAP of it."""
    problem, job = job_for(spec)
    store, rng = open_store(job.store), np.random.default_rng(0)
    samples = make_samples(store.rows, store.codes, len(store.label_names))
    found = fit_dual(objective_of(problem), samples, tol=REFERENCE_GAP, max_epochs=2000, rng=rng)
    return {"dual": found.certificate.dual}


def fit(spec: Spec) -> Any:
    """One run of so many epochs; `workers` 0: the serial twin, in this process."""
    problem, job = job_for(spec)
    engine = Watched(engine_of(spec))
    began = time.perf_counter()
    learned = follow(engine, job, spec["epochs"], seed=0)
    total = time.perf_counter() - began
    store = open_store(job.store)
    samples = make_samples(store.rows, store.codes, len(store.label_names))
    seen = evaluate(objective_of(problem), samples, learned.W, learned.b)
    return {
        "total": total,
        "steps": engine.steps(total),
        "commits": learned.version,
        "objective": seen.certificate.primal,
        "block_size": job.block_size,
    }


def engine_of(spec: Spec) -> Any:
    if spec["workers"] == 0:
        return Serial()
    from widemargin.cluster import Cluster

    policy = POLICIES[spec["policy"]]
    return Cluster(workers=spec["workers"], servers=spec["servers"], policy=policy)


class Watched:
    """An engine whose last run is kept, with what happened in it."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.run = engine, None

    def start(self, *args: Any, **how: Any) -> Any:
        self.run = self.engine.start(*args, **how)
        return self.run

    def steps(self, total: float) -> float:
        """Seconds from the begin of the first step to the end of the last."""
        if isinstance(self.engine, Serial):
            return total
        assert self.run is not None
        events = self.run.known
        begin = next(event.time for event in events if event.kind == "running")
        return float(max(e.time for e in events if e.kind == "epoch") - begin)


def wire(spec: Spec) -> Any:
    """Bytes of a gradient's messages as they are pickled, near the optimum: of one worker."""
    _, job = job_for(spec)
    theta = Serial().run(job, 2).parameters
    parts = ranges(job.n_keys, spec["servers"])
    carrier, touched, sent = Carrier(job.open(), parts), 0, 0
    for number in range(min(MEASURED, job.n_blocks)):
        block, lease = m.Block(0, number), (1, number)
        keys = carrier.on(m.Touch(block)).keys
        touched += sum(map(len, keys))
        values = tuple(theta[k] for k in split_keys(np.concatenate(keys), parts))
        done = carrier.on(m.Compute(lease, block, number, values, keys))
        sent += sum(size(m.Pull("worker-0", lease, number, k)) for k in keys)
        sent += sum(size(m.Params(g, lease, number, v)) for g, v in enumerate(values))
        sent += sum(size(m.Push("worker-0", lease, block, number, u)) for u in done.updates)
    blocks = min(MEASURED, job.n_blocks)
    return {"touched": touched / blocks, "bytes": sent / blocks, "ratio": sent / (8 * touched)}


def size(message: Any) -> int:
    return len(pickle.dumps(message, protocol=5))
