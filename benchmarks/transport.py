"""Activations between two processes: gloo, as partitions send them, and Ray's compiled graphs.

    python benchmarks/transport.py

Arrays go to and fro, as in a pipeline whose partitions wait for each other; the two take turns, so
that both meet the same machine. Of the compiled graph it is the best case: arrays of NumPy, read
where they lie, while a partition would have to copy what it keeps for its backward. Needs the
extras [nets] and [cluster], and two cores. Prints JSON, one line a size.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
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

    def seconds(self, size: int) -> float:
        """Of one hop."""
        for end in self.ends:
            end.send(size)
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
    try:
        while True:
            x = torch.zeros(pipe.recv() // 4)
            links.agree([0.0])
            began = time.perf_counter()
            to_and_fro(rank, links, x)
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


class Graph:
    """Two actors, and the graph in which arrays go to and fro between them."""

    def __init__(self, ray: Any) -> None:
        from ray.dag import InputNode

        self.ray, actor = ray, ray.remote(num_cpus=0)(End)
        self.actors = [actor.remote(), actor.remote()]
        with InputNode() as asked:
            node = self.actors[0].start.bind(asked)
            for hop in range(1, HOPS):
                node = self.actors[hop % 2].echo.bind(node)
            node = self.actors[0].stop.bind(node)
        self.graph = node.experimental_compile(_buffer_size_bytes=max(SIZES) + 2**20)

    def seconds(self, size: int) -> float:
        """Of one hop."""
        return float(self.ray.get(self.graph.execute(size), timeout=DEADLINE_S))


def measured(gloo: Gloo, graph: Graph, rounds: int) -> None:
    """Medians, by size; the first round warms up."""
    for size in SIZES:
        pairs = [(gloo.seconds(size), graph.seconds(size)) for _ in range(rounds + 1)][1:]
        ours, theirs = (1e3 * statistics.median(taken) for taken in zip(*pairs, strict=True))
        told = {"kB": size // 1024, "gloo_ms": round(ours, 3), "graph_ms": round(theirs, 3)}
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    import ray

    gloo = Gloo()
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init("local", num_cpus=1, object_store_memory=300 << 20, **quiet)
    try:
        measured(gloo, Graph(ray), options.rounds)
    finally:
        ray.shutdown()
        gloo.close()


if __name__ == "__main__":
    main()
