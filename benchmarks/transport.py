"""Activations between two processes: gloo, as partitions send them, and Ray's compiled graphs.

    python benchmarks/transport.py

Latency: arrays go to and fro, as in a pipeline whose partitions wait for each other. Stream: one
after the other in one direction, without a wait between. The two take turns, so that both meet the
same machine. Of the compiled graph it is the best case: arrays of NumPy, read where they lie, while
a partition would have to copy what it keeps for its backward. Needs the extras [nets] and
[cluster], and two cores. Prints JSON, one line a measurement.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from widemargin.nets.links import Links

SIZES = tuple(n * 2**10 for n in (4, 64, 512, 1024, 2048, 4096))  # bytes; 2048: 128 x 4096 float32
HOPS = 8  # to and fro, of one measurement
DEADLINE_S = 60.0


class Gloo:
    """Two processes linked as the partitions of a net."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{probe.getsockname()[1]}"
        context: Any = torch.multiprocessing.get_context("spawn")
        self.ends, self.processes = [], []
        for rank in range(2):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(rank, place, theirs), daemon=True)
            process.start()
            theirs.close()
            self.ends.append(ours)
            self.processes.append(process)

    def seconds(self, kind: str, size: int) -> float:
        """Of one hop; of one array of a stream."""
        for end in self.ends:
            end.send((kind, size))
        return float([end.recv() for end in self.ends][0])

    def close(self) -> None:
        for end in self.ends:
            end.close()
        for process in self.processes:
            process.join(10)


def serve(rank: int, place: str, pipe: Connection) -> None:
    """One of the two; the first takes the time."""
    torch.set_num_threads(1)
    links = Links(rank, 2, place, DEADLINE_S)
    steps: dict[str, Callable[[int, Links, torch.Tensor], None]] = {
        "latency": to_and_fro,
        "stream": stream,
    }
    try:
        while True:
            kind, size = pipe.recv()
            x = torch.zeros(size // 4)
            links.agree([0.0])
            began = time.perf_counter()
            steps[kind](rank, links, x)
            pipe.send((time.perf_counter() - began) / HOPS)
    except EOFError:
        links.leave()


def to_and_fro(rank: int, links: Links, x: torch.Tensor) -> None:
    for _ in range(HOPS // 2):
        if rank == 0:
            sent = links.send(x, 1)
            x = links.receive(1)
        else:
            x = links.receive(0)
            sent = links.send(x, 0)
        links.wait(sent)


def stream(rank: int, links: Links, x: torch.Tensor) -> None:
    """The last is acknowledged, so that the first has the time of all."""
    if rank == 0:
        sent = [work for _ in range(HOPS) for work in links.send(x, 1)]
        links.wait(sent)
        links.receive(1)
    else:
        for _ in range(HOPS):
            links.receive(0)
        links.wait(links.send(torch.zeros(1), 0))


class End:
    """An actor of a compiled graph."""

    def start(self, size: int) -> Any:
        self.x = np.zeros(size // 4, np.float32)
        self.began = time.perf_counter()
        return self.x

    def echo(self, x: Any) -> Any:
        return x

    def stop(self, x: Any) -> float:
        return (time.perf_counter() - self.began) / HOPS

    def size(self, x: Any) -> int:
        return int(x.nbytes)


class Graph:
    """Two actors, and the graph of one kind of measurement."""

    def __init__(self, ray: Any, kind: str) -> None:
        from ray.dag import InputNode

        self.ray, self.kind = ray, kind
        actor = ray.remote(num_cpus=0)(End)
        self.actors = [actor.remote(), actor.remote()]
        first, second = self.actors
        with InputNode() as asked:
            node = first.start.bind(asked)
            if kind == "latency":
                for hop in range(HOPS - 1):
                    node = self.actors[(hop + 1) % 2].echo.bind(node)
                node = first.stop.bind(node)
            else:
                node = second.size.bind(node)
        room = {"_buffer_size_bytes": max(SIZES) + 2**20, "_max_inflight_executions": HOPS}
        self.graph = node.experimental_compile(**room)

    def seconds(self, size: int) -> float:
        if self.kind == "latency":
            return float(self.ray.get(self.graph.execute(size), timeout=DEADLINE_S))
        began = time.perf_counter()
        for told in [self.graph.execute(size) for _ in range(HOPS)]:
            assert self.ray.get(told, timeout=DEADLINE_S) == size
        return (time.perf_counter() - began) / HOPS

    def close(self) -> None:
        self.graph.teardown()
        for actor in self.actors:
            self.ray.kill(actor)


def measured(ray: Any, gloo: Gloo, kind: str, rounds: int) -> None:
    """Medians of one kind of measurement, by size."""
    graph = Graph(ray, kind)
    for size in SIZES:
        pairs = [(gloo.seconds(kind, size), graph.seconds(size)) for _ in range(rounds + 1)][1:]
        ours, theirs = (1e3 * statistics.median(taken) for taken in zip(*pairs, strict=True))
        told = {"what": kind, "kB": size // 1024, "gloo_ms": ours, "graph_ms": theirs}
        print(json.dumps(told), flush=True)
    graph.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    import ray

    gloo = Gloo()
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init("local", num_cpus=1, object_store_memory=300 << 20, **quiet)
    try:
        for kind in ("latency", "stream"):
            measured(ray, gloo, kind, options.rounds)
    finally:
        ray.shutdown()
        gloo.close()


if __name__ == "__main__":
    main()
