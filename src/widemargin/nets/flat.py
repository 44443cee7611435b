"""The parameters of a module as one vector, and their gradients as another.

Each trainable parameter becomes a view into the vector, in the order of `Module.parameters()`: tied
ones once, frozen ones (requires_grad=False) not at all. So parameters that arrive are copied once,
into the place where the module reads them, and backward writes the gradient where it is sent from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from widemargin.data.rows import Array
from widemargin.shared_arrays import Room


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that are trained, each once; ValueError for types the servers do not keep."""
    chosen = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if isinstance(parameter, torch.nn.parameter.UninitializedParameter):
            raise ValueError(
                f"parameter {name!r} has no shape yet. Give `build` layers of known sizes, or call "
                "the module once in it."
            )
        if parameter.dtype != torch.float32:
            raise ValueError(
                f"parameter {name!r} is {str(parameter.dtype).removeprefix('torch.')}; the servers "
                "keep float32. Convert the module with .float(); precision='bfloat16' computes in "
                "bfloat16."
            )
        chosen.append(parameter)
    if not chosen:
        raise ValueError("the module has no parameter to train. Set requires_grad on some.")
    return chosen


class Flat:
    """A module whose parameters are views into `theta`, (n,) float32.

    On a device other than the CPU `theta` lives there, and what comes and goes passes through host
    memory.
    """

    def __init__(self, module: torch.nn.Module, device: str = "cpu") -> None:
        self.module, self.device = module.to(device), torch.device(device)
        self.parameters = trainable(self.module)
        self.n = sum(parameter.numel() for parameter in self.parameters)
        self.on_host = self.device.type == "cpu"
        self._room = Room()  # where gradients are written is where servers read them
        with torch.no_grad():
            self.theta = torch.empty(self.n, device=self.device)
            for parameter, view in zip(self.parameters, self._views(self.theta), strict=True):
                view.copy_(parameter)
                parameter.data = view
        self._host = self.theta if self.on_host else torch.empty(self.n)
        self._seen: Array = self._host.numpy()
        self._grad = None if self.on_host else torch.zeros_like(self.theta)

    def _views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        pieces = flat.split([parameter.numel() for parameter in self.parameters])
        return [g.view(p.shape) for g, p in zip(pieces, self.parameters, strict=True)]

    def read(self) -> Array:
        """A copy of the vector, (n, 1)."""
        vector: Array = self.theta.cpu().numpy().reshape(-1, 1)
        return vector.copy()

    def write(self, parts: Sequence[Any]) -> None:
        """Take the vector from its parts, in order, each (m, 1)."""
        sizes = sum(len(part) for part in parts)
        if sizes != self.n:
            raise ValueError(
                f"the module has {self.n} trainable parameters, the run has {sizes}. "
                "`build` must make the same module in every process."
            )
        start = 0
        for part in parts:
            np.copyto(self._seen[start : start + len(part)], part[:, 0])
            start += len(part)
        if not self.on_host:
            self.theta.copy_(self._host)

    def begin(self) -> Array:
        """Set all gradients to 0; backward now adds into the array that this returns, (n,)."""
        buffer = self._room.empty((self.n,), np.float32)  # not one that anybody still refers to
        buffer.fill(0.0)
        if self._grad is None:
            target = torch.from_numpy(buffer)
        else:
            target = self._grad.zero_()
        for parameter, view in zip(self.parameters, self._views(target), strict=True):
            parameter.grad = view
        return buffer

    def end(self, buffer: Array) -> None:
        """The gradient is complete: bring it to the host, and let go of it."""
        if self._grad is not None:
            torch.from_numpy(buffer).copy_(self._grad)
        for parameter in self.parameters:
            parameter.grad = None
