"""The slices of a partition in its process, through torch's DTensor (tensor parallelism).

torch's `parallelize_module` puts in the communication; here its slices become keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)

from widemargin.data.rows import Array
from widemargin.nets.layers import Net
from widemargin.nets.pieces import Piece
from widemargin.nets.slicing import Sliced

STYLES: dict[str, type[ParallelStyle]] = {"columns": ColwiseParallel, "rows": RowwiseParallel}


def parallelize(net: Net, i: int, sliced: Sliced, partitions: int) -> None:
    """Keep, of what `sliced` names in layer i, which is filled, this partition's slices alone."""
    plan: dict[str, ParallelStyle] = {}
    for path, how in sliced.items():
        name, _, inner = path.partition(".")
        if name == net.names[i]:
            plan[inner] = STYLES[how]()
    if plan:
        mesh = init_device_mesh("cpu", (partitions,))
        whole = plan.pop("", None)
        parallelize_module(net.layers[i], mesh, whole or plan, src_data_rank=None)


class Slices:
    """The values of pieces as one vector, in and out of the parameters that hold them.

    The same verbs as `flat.Flat`.
    """

    def __init__(self, net: Net, pieces: Sequence[Piece]) -> None:
        self.module, self.device = torch.nn.ModuleList(net.layers), torch.device("cpu")
        named = [dict(layer.named_parameters()) for layer in net.layers]
        self.parameters = [named[piece.layer][piece.name] for piece in pieces]
        self.n = sum(_local(p).numel() for p in self.parameters)

    def write(self, parts: Sequence[Any]) -> None:
        """Take the vector from its parts, in order, each (m, 1)."""
        vector = torch.from_numpy(np.concatenate([part[:, 0] for part in parts]))
        local = [_local(p) for p in self.parameters]
        with torch.no_grad():
            for place, values in zip(local, vector.split([t.numel() for t in local]), strict=True):
                place.copy_(values.view(place.shape))

    def begin(self) -> Array:
        """No gradients; the array that `end` fills, (n,)."""
        for parameter in self.parameters:
            parameter.grad = None
        return np.zeros(self.n, np.float32)

    def end(self, buffer: Array) -> None:
        """Bring the gradients to the array, and let go of them."""
        start = 0
        for parameter in self.parameters:
            size, gradient = _local(parameter).numel(), parameter.grad
            if gradient is not None:
                if isinstance(gradient, DTensor):
                    gradient = gradient.redistribute(placements=parameter.placements).to_local()
                buffer[start : start + size] = gradient.detach().numpy().reshape(-1)
            start, parameter.grad = start + size, None


def _local(parameter: torch.Tensor) -> torch.Tensor:
    """What this process holds of it."""
    held: torch.Tensor = parameter.to_local() if isinstance(parameter, DTensor) else parameter
    return held.detach()
