"""Wide layers cut into slices, one a partition, through torch's DTensor (tensor parallelism).

All partitions run all layers together on the same samples. A layer named "columns" has its outputs
cut, one named "rows" its inputs, so that a pair of them needs one sum over the partitions (Shoeybi
et al., Megatron-LM, 2019). torch's `parallelize_module` puts the communication in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from widemargin.errors import choose
from widemargin.nets.layers import Net
from widemargin.nets.pieces import Piece

STYLES: dict[str, type[ParallelStyle]] = {"columns": ColwiseParallel, "rows": RowwiseParallel}
DIMS: dict[str, dict[type[torch.nn.Module], dict[str, int]]] = {  # the axis that is cut
    "columns": {torch.nn.Linear: {"weight": 0, "bias": 0}, torch.nn.Embedding: {"weight": 1}},
    "rows": {torch.nn.Linear: {"weight": 1}, torch.nn.Embedding: {"weight": 0}},
}
Sliced = Mapping[str, str]


def dims_of(net: Net, sliced: Sliced, partitions: int) -> dict[tuple[int, str], int]:
    """The axis on which each sliced parameter is cut, by (layer, name).

    ValueError for names that are unknown, layers that cannot be cut, and lengths that the number
    of partitions does not divide.
    """
    dims = {}
    for path, how in sliced.items():
        table = DIMS[choose(f"sliced[{path!r}]", how, STYLES) and how]
        i, inner, module = _found(net, path)
        if type(module) not in table:
            kinds = ", ".join(kind.__name__ for kind in table)
            raise ValueError(
                f"sliced names {path!r}, a {type(module).__name__}: by {how} {kinds} can be cut. "
                "Leave it out."
            )
        for name, dim in table[type(module)].items():
            parameter = getattr(module, name)
            if parameter is None:
                continue
            if parameter.shape[dim] % partitions:
                raise ValueError(
                    f"{path}.{name} has {parameter.shape[dim]} on the axis that is cut by {how}: "
                    f"{partitions} partitions do not divide it. Make it a multiple of them."
                )
            dims[i, ".".join(filter(None, (inner, name)))] = dim
    if net.together():
        raise ValueError("sliced layers do not go with parameters shared by layers. Untie them.")
    _refuse_dropout(net, sliced)
    return dims


def _found(net: Net, path: str) -> tuple[int, str, torch.nn.Module]:
    """The layer's number, the path within it, and the module."""
    name, _, inner = path.partition(".")
    if name not in net.names:
        raise ValueError(
            f"sliced names {path!r}, and there is no layer {name!r}. Choose from: "
            f"{', '.join(map(repr, net.names))}, or a module within one, as in 'layer.module'."
        )
    i = net.names.index(name)
    return i, inner, net.layers[i].get_submodule(inner)


def _refuse_dropout(net: Net, sliced: Sliced) -> None:
    """ValueError for dropout of sliced activations: slices would not draw what the whole draws."""
    cut = False
    for name, layer in zip(net.names, net.layers, strict=True):
        for inner, module in layer.named_modules():
            path = ".".join(filter(None, (name, inner)))
            cut = sliced.get(path) == "columns" if path in sliced else cut
            if cut and isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0:
                raise ValueError(
                    f"{path!r} drops activations of a layer that is sliced by columns: what it "
                    "draws would depend on the number of partitions. Put it after the layer that "
                    "is sliced by rows."
                )


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
