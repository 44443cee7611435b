"""An engine in virtual time: the roles of the parameter server, a network without faults."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.compression import codec_of
from widemargin.ps.keys import part_key
from widemargin.ps.parameters import Parameters
from widemargin.ps.policy import Sync
from widemargin.ps.settings import Settings
from widemargin.ps.simulate import Setup, Simulation
from widemargin.ps.simulate_net import Net, content
from widemargin.ps.simulate_pace import Pace
from widemargin.run.shared_serial import Made


class Counted(Simulation):
    """Counts what workers and servers send each other."""

    def __init__(self, setup):
        self.bytes, self.sent = Counter(), Counter()
        super().__init__(setup)

    def post(self, source, to, message):
        name = type(message).__name__
        payload = {
            "Pull": lambda: message.keys,
            "Params": lambda: message.values,
            "Push": lambda: message.update,
        }.get(name)
        if payload is not None:
            self.bytes[name] += content(payload())
            self.sent[name] += 1
        super().post(source, to, message)


class Virtual(NamedTuple):
    """As `Cluster`: workers, servers, policy; the seed is that of the network."""

    workers: int = 1
    servers: int = 2
    policy: object = Sync()
    network: int = 0
    compression: object = None

    def run(self, job, epochs, *, seed=0, shuffle=True):
        with self.start(job, epochs, seed=seed, shuffle=shuffle) as run:
            return run.result()

    def start(self, job, epochs, *, seed=0, shuffle=True):
        groups = tuple((f"shard-{g}.0",) for g in range(self.servers))
        settings = Settings(
            job.n_blocks,
            epochs,
            self.policy,
            groups,
            seed,
            shuffle,
            sparse=job.sparse,
            compression=codec_of(self.compression),
            workers=self.workers,
        )
        workers = tuple(f"worker-{i}" for i in range(self.workers))
        net, pace = Net(0.001, 0.9), Pace(0.01, spread=0.5)
        return VirtualRun(Setup(settings, job, workers, net, pace, seed=self.network))


class VirtualRun:
    def __init__(self, setup):
        self.simulation = Counted(setup)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self, timeout=None):
        assert self.simulation.run(1e6), "the run has not ended"
        return True

    def events(self):
        return self.simulation.events

    def result(self):
        self.wait()
        simulation = self.simulation
        last = simulation.events[-1]
        assert last.kind == "done", last
        rule, records = simulation.setup.job.rule, simulation.storage.records
        shards = [
            Parameters.restore(rule, records[part_key(last.what["key"], g)], part.start)
            for g, part in enumerate(simulation.parts)
        ]
        theta = np.concatenate([shard.read() for shard in shards])
        average = np.concatenate([shard.read_average() for shard in shards])
        return Made(theta, average, shards[0].t, simulation.events)

    def commits(self):
        """The blocks of each commit, in order."""
        events = [event for event in self.events() if event.kind == "commit"]
        return [[m.Block(*block) for _, block in event.what["parts"]] for event in events]
