"""Which layers each partition has: contiguous runs, the slowest as fast as can be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from widemargin.memory import in_words
from widemargin.nets.forward import outputs_of
from widemargin.nets.layers import Init, Net, empty, fill
from widemargin.nets.messages import leaves

REPEATS = 3  # of a measurement; the fastest counts
COPIES = 4  # of its parameters that a process holds: them, what it pulled, and two gradients


class Cost(NamedTuple):
    """What a layer takes."""

    seconds: float  # forward and backward of a micro-batch
    bytes: int  # COPIES times its trainable parameters, and the others once


def bytes_of(net: Net) -> list[int]:
    """Bytes that each layer takes in the process that trains it."""
    trained = [sum(p.numel() * p.element_size() for p in layer) for layer in net.keys()]
    whole = [
        sum(t.numel() * t.element_size() for t in [*layer.parameters(), *layer.buffers()])
        for layer in net.layers
    ]
    return [max(w - t, 0) + COPIES * t for w, t in zip(whole, trained, strict=True)]


def measured(net: Net, inputs: Any, seed: int, init: Init | None) -> list[Cost]:
    """The cost of each layer, one at a time in memory, on the inputs of a micro-batch.

    Parameters that layers share are filled anew in each: only time is measured here.
    """
    costs, x = [], inputs
    for i, size in enumerate(bytes_of(net)):
        fill(net, [i], seed, init)
        net.layers[i].train()
        seconds, x = min((_timed(net.layers[i], x) for _ in range(REPEATS)), key=lambda t: t[0])
        costs.append(Cost(seconds, size))
        empty(net, i)
    return costs


def _timed(layer: torch.nn.Module, inputs: Any) -> tuple[float, Any]:
    """Seconds of a forward and backward, and what came out."""
    began = time.perf_counter()
    outputs = outputs_of(layer, inputs)
    found = [t for t in leaves(outputs) if t.requires_grad]
    if found:
        torch.autograd.backward(found, [torch.ones_like(t) for t in found])
    seconds = time.perf_counter() - began
    layer.zero_grad(set_to_none=True)
    return seconds, detached(outputs)


def detached(x: Any) -> Any:
    """The same tensors, cut off from what made them, asking for gradients where they can."""
    if isinstance(x, tuple | list):
        return tuple(map(detached, x))
    if isinstance(x, torch.Tensor):
        return x.detach().requires_grad_(x.dtype.is_floating_point)
    return x


def balanced(
    costs: Sequence[Cost],
    partitions: int,
    keys: Sequence[int],
    together: Sequence[tuple[int, int]] = (),
    memory: int | None = None,
) -> tuple[int, ...]:
    """How many layers each partition has.

        min over cuts of max over partitions of Σ seconds,  Σ bytes ≤ memory,  Σ keys > 0

    by dynamic programming over (partitions, layers): O(K n²). Equal ones go by the largest bytes.
    ValueError where there is no such cut. `together` are pairs of layers that must not be parted.
    """
    n = len(costs)
    apart = [all(not first < c <= last for first, last in together) for c in range(n + 1)]
    limit = float("inf") if memory is None else memory
    best: dict[int, tuple[float, float, tuple[int, ...]]] = {0: (0.0, 0.0, ())}
    for _ in range(partitions):
        further: dict[int, tuple[float, float, tuple[int, ...]]] = {}
        for start, (slowest, largest, counts) in best.items():
            for stop in range(start + 1, n + 1):
                size = sum(c.bytes for c in costs[start:stop])
                if size > limit or not apart[stop] or not sum(keys[start:stop]):
                    continue
                seconds = sum(c.seconds for c in costs[start:stop])
                found = (max(slowest, seconds), max(largest, size), (*counts, stop - start))
                further[stop] = min(further.get(stop, found), found)
        best = further
    if n not in best:
        raise ValueError(_no_cut(costs, partitions, together, memory))
    return best[n][2]


def _no_cut(
    costs: Sequence[Cost], partitions: int, together: Sequence[Any], memory: int | None
) -> str:
    told = f"{len(costs)} layers cannot be cut into {partitions} partitions that all train"
    if memory is not None:
        largest = max(cost.bytes for cost in costs)
        told += f" and each take at most {in_words(memory)} (the largest layer: {in_words(largest)}"
        told += f", all: {in_words(sum(cost.bytes for cost in costs))})"
    if together:
        told += f"; layers that share a parameter stay together: {list(together)}"
    return f"{told}. Lower partitions, cut large layers into several, or raise memory."
