"""`Partitions`: how a net is cut among the processes of a replica."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from widemargin.files import written_whole
from widemargin.memory import size_of as bytes_in
from widemargin.nets.balance import Cost, balanced, bytes_of, measured
from widemargin.nets.flat import trainable
from widemargin.nets.forward import pair
from widemargin.nets.layers import Build, Init, Net, Split, drawn, refuse_own_values
from widemargin.nets.partitioned import PartitionedNet
from widemargin.nets.pieces import in_line, side_by_side
from widemargin.nets.samples import Source, read
from widemargin.nets.slicing import Sliced, dims_of
from widemargin.ps.parameters import Rule

FILE = "partitions.json"
MICRO = 8  # micro-batches of a block, where the trainer is not told


class Partitions(NamedTuple):
    """How a net is cut among K processes.

    `number`: K; "auto": the fewest whose memory suffices, `memory` being given. A pipeline's
    partitions are runs of layers: so many as `layers` says, or, where it says nothing, those that
    make the slowest as fast as can be by times measured here, one layer at a time, on a micro-batch
    (`nets.balance`). `memory` ("1.5G") bounds what a partition's parameters take there: four copies
    of them.

    `split` gives the layers of a module that is no Sequential and no list: a function of the
    module that returns a list, or names of submodules in the order of their calls. `init` is called
    with each layer after its `reset_parameters` and may write values of its own. `sliced` makes it
    tensor parallelism: layers by name, "columns" (outputs are cut) or "rows" (inputs are cut); all
    partitions then run all layers together.

    >>> Partitions(2, sliced={"0": "columns", "2": "rows"}).number
    2
    """

    number: int | Literal["auto"] = "auto"
    layers: Sequence[int] | None = None
    split: Split | None = None
    init: Init | None = None
    memory: str | int | None = None
    sliced: Sliced | None = None


def partitions_of(partitions: int | str | Partitions) -> Partitions:
    """What a trainer is given, in full."""
    if isinstance(partitions, Partitions):
        asked = partitions
    else:
        asked = Partitions(partitions)  # type: ignore[arg-type]
    count = asked.number
    if count != "auto" and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"partitions={count!r} must be at least 1, or 'auto'. Give a number.")
    if count == "auto" and asked.layers is not None:
        return asked._replace(number=len(asked.layers))
    if count == "auto" and (asked.memory is None or asked.sliced):
        raise ValueError(
            "partitions='auto' takes the fewest processes whose memory suffices for a pipeline. "
            "Give Partitions('auto', memory='1.5G'), or a number."
        )
    return asked


def planned(
    partitions: int | str | Partitions,
    build: Build,
    loss: Callable[[Any, Any], Any],
    source: Source,
    rule: Rule,
    *,
    microbatch: int | None = None,
    seed: int = 0,
    **options: Any,
) -> PartitionedNet:
    """The job of a net in partitions; what cannot be cut is refused here."""
    asked = partitions_of(partitions)
    if asked.sliced and torch.device(options.get("device", "cpu")).type != "cpu":
        raise ValueError(
            f"device={options['device']!r}: sliced layers run on the CPU. Give device='cpu', or "
            "leave out sliced."
        )
    refuse_own_values(drawn(build, asked.split))
    net = drawn(build, asked.split)
    trainable(net.whole)
    micro = microbatch or -(-source.batch_size // MICRO)
    if asked.sliced:
        count = int(asked.number)
        keys = side_by_side(net, dims_of(net, asked.sliced, count), count)
        counts: tuple[int, ...] = (len(net.layers),) * count
    else:
        counts = _counts(asked, net, source, micro, seed)
        keys = in_line(drawn(build, asked.split), counts)
    return PartitionedNet(
        build,
        loss,
        source,
        rule,
        keys,
        counts,
        micro,
        asked.split,
        asked.init,
        asked.sliced,
        seed=seed,
        **options,
    )


def _counts(asked: Partitions, net: Net, source: Source, micro: int, seed: int) -> tuple[int, ...]:
    """The number of layers of each partition of a pipeline."""
    n, keys = len(net.layers), [sum(p.numel() for p in layer) for layer in net.keys()]
    together = net.together()
    if asked.layers is not None:
        counts = tuple(int(count) for count in asked.layers)
        _refuse_counts(counts, asked, n, keys, together)
        return counts
    if asked.number == 1:
        return (n,)
    memory = None if asked.memory is None else bytes_in(asked.memory, "memory")
    inputs, _ = pair(read(source, np.arange(min(micro, source.n))))
    if asked.number != "auto":
        sizes = [Cost(0.0, size) for size in bytes_of(net)]
        balanced(sizes, asked.number, keys, together, memory)  # refused before it is measured
        costs = measured(net, inputs, seed, asked.init)
        return balanced(costs, asked.number, keys, together, memory)
    costs = measured(net, inputs, seed, asked.init)
    for count in range(1, n + 1):
        try:
            return balanced(costs, count, keys, together, memory)
        except ValueError as error:
            refused = error
    raise refused


def _refuse_counts(
    counts: tuple[int, ...],
    asked: Partitions,
    n: int,
    keys: Sequence[int],
    together: Sequence[tuple[int, int]],
) -> None:
    cuts = np.cumsum(counts)
    if sum(counts) != n or min(counts) < 1 or len(counts) != asked.number:
        raise ValueError(
            f"layers={counts} must be {asked.number} numbers of at least 1 that add up to the "
            f"{n} layers of the net, got a sum of {sum(counts)}."
        )
    for start, stop in zip([0, *cuts], cuts, strict=False):
        if not sum(keys[start:stop]):
            raise ValueError(
                f"layers={counts}: the partition of layers {start} to {stop - 1} has nothing to "
                "train. Cut elsewhere."
            )
    for first, last in together:
        parted = [int(c) for c in cuts[:-1] if first < c <= last]
        if parted:
            raise ValueError(
                f"layers={counts} cuts before layer {parted[0]}, between layers {first} and {last} "
                "that share a parameter. Cut elsewhere."
            )


def kept(asked: Partitions, checkpoint: Path | None) -> Partitions:
    """The cut that an earlier fit in this folder measured: the run there has its keys."""
    file = None if checkpoint is None else checkpoint / FILE
    if file is None or not file.exists() or asked.layers is not None or asked.sliced:
        return asked
    layers = tuple(json.loads(file.read_text("utf-8")))
    if asked.number not in ("auto", len(layers)):
        return asked
    return asked._replace(number=len(layers), layers=layers)


def keep(job: PartitionedNet, checkpoint: Path | None) -> None:
    """Write the cut of a pipeline to the folder."""
    if checkpoint is not None and not job.sliced:
        checkpoint.mkdir(parents=True, exist_ok=True)
        with written_whole(checkpoint / FILE) as stream:
            stream.write(json.dumps(job.counts).encode())
