"""Which layers are cut into slices, one a partition, and along which axis.

All partitions run all layers together on the same samples. A layer named "columns" has its outputs
cut, one named "rows" its inputs, so that a pair of them needs one sum over the partitions (Shoeybi
et al., Megatron-LM, 2019). `sliced` does it; this file needs no other process.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from widemargin.errors import choose
from widemargin.nets.layers import Net

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
        table = choose(f"sliced[{path!r}]", how, DIMS)
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
