"""What `widemargin plan` predicts, against runs on a real local Ray.

    python benchmarks/plan.py                       twelve configurations, some five minutes
    python benchmarks/plan.py --only 0 5 --epochs 3

Workers sleep instead of computing, so that few cores carry many of them. One run of its own, which
is not among the twelve, says how long a message takes; no figure is taken from a run that is
predicted. Prints JSON, one line a configuration.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from widemargin.cluster import Async, Cluster, RoundRobin, Sync
from widemargin.ps.messages import Block
from widemargin.ps.optimizers import Sgd
from widemargin.ps.parameters import Rule, Update
from widemargin.ps.plan_case import Case, Figures
from widemargin.ps.plan_flow import Flow
from widemargin.ps.simulate_pace import Pace, drawn
from widemargin.schedules import Constant
from widemargin.watching.figures import measured
from widemargin.watching.sources import all_events, folder_of

PACE = Pace(mean=0.2, spread=0.2)
SLOW = 4.0  # times slower one worker is
BLOCKS = 64  # of an epoch
PREDICTED = 20  # epochs that are simulated
CASES = [
    (policy, workers, straggles)
    for policy in (Sync(0), Sync(1), Async(), RoundRobin())
    for workers, straggles in ((4, False), (8, False), (8, True))
]


class Sleeper(NamedTuple):
    """Gradients that take a drawn time of sleep; who comes first to the folder is slow."""

    folder: str
    straggles: bool
    rule: Rule = Rule(Sgd(), Constant(0.1))
    n_keys: int = 10
    sparse: bool = False
    n_blocks: int = BLOCKS

    def first(self, keys: Any) -> Any:
        return np.zeros((keys.stop - keys.start, 1))

    def open(self) -> Any:
        slower = 1.0
        if self.straggles:
            try:
                (Path(self.folder) / "slow").touch(exist_ok=False)
                slower = SLOW
            except FileExistsError:
                pass
        return Sleep(slower)


class Sleep:
    """The `Task`."""

    def __init__(self, slower: float) -> None:
        self.slower, self.rng = slower, random.Random(os.getpid())

    def touch(self, block: Block) -> None:
        return None

    def compute(self, block: Block, parts: Any, keys: Any) -> Update:
        time.sleep(drawn(PACE, self.rng, self.slower))
        return Update(None, np.concatenate(parts) * 0.0, 1.0)

    def prefetch(self, block: Block) -> None:
        pass

    def close(self) -> None:
        pass


def ran(policy: Any, workers: int, straggles: bool, epochs: int, folder: str) -> list[float]:
    """Seconds of each epoch but the first."""
    job = Sleeper(folder, straggles)
    cluster = Cluster("auto", workers, 1, policy, snapshot_to=f"{folder}/run", cpus=0.01)
    with cluster.start(job, epochs + 1, seed=0) as run:
        run.wait()
        ends = [event.time for event in run.events() if event.kind == "epoch"]
    return [float(each) for each in np.diff(ends)]


def calibrated(epochs: int) -> Figures:
    """What a message takes, by a run of four workers."""
    with tempfile.TemporaryDirectory() as folder:
        ran(Async(), 4, False, epochs, folder)
        source = folder_of(f"{folder}/run")
        known = measured(folder, all_events(source), source.facts())
    assert known.latency is not None
    return Figures(known.model_bytes, PACE, latency=known.latency)


def predicted(figures: Figures, policy: Any, workers: int, straggles: bool) -> float:
    slower = {0: SLOW} if straggles else {}
    case = Case(policy, workers)
    flow = Flow(figures._replace(slower=slower), case, BLOCKS, PREDICTED + 1).run()
    return float(np.mean(np.diff(flow.ends)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=int, nargs="+", default=list(range(len(CASES))))
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args()
    known = os.environ.get("PYTHONPATH", "")  # workers import the job of this file
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, known] if known else [here])
    import plan  # under the name by which workers know it

    plan.compare(asked.only, asked.epochs)


def compare(only: list[int], epochs: int) -> None:
    from widemargin.run.cluster import private

    ours = private.connect(None, 12, 0)
    try:
        figures = calibrated(epochs)
        print(json.dumps({"latency": figures.latency}), flush=True)
        worst = 0.0
        for number in only:
            policy, workers, straggles = CASES[number]
            expected = predicted(figures, policy, workers, straggles)
            with tempfile.TemporaryDirectory() as folder:
                took = statistics.mean(ran(policy, workers, straggles, epochs, folder))
            ratio = expected / took
            worst = max(worst, abs(ratio - 1.0))
            told = {"policy": repr(policy), "workers": workers, "straggler": straggles}
            told |= {"predicted": round(expected, 3), "measured": round(took, 3)}
            print(json.dumps({"case": number, **told, "ratio": round(ratio, 3)}), flush=True)
        print(json.dumps({"worst": round(worst, 3)}), flush=True)
    finally:
        private.end(ours)


if __name__ == "__main__":
    main()
