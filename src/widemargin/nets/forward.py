"""Batches through a module: a batch is a pair (inputs, targets), the loss a mean over samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from widemargin.errors import choose

PRECISIONS = {name: name for name in ("float32", "bfloat16")}


def chosen(precision: str) -> str:
    """One of `PRECISIONS`, or a ValueError."""
    return choose("precision", precision, PRECISIONS)


def refuse_device(device: str, precision: str) -> None:
    """ValueError for a device that is not there, or one without the precision."""
    kind = torch.device(device).type
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}: torch sees no CUDA device here. Give device='cpu'.")
    if kind == "cuda" and precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise ValueError(f"device={device!r} has no bfloat16. Give precision='float32'.")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16, parameters and gradients in float32; or nothing at all."""
    if precision == "float32":
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast(device.type, dtype=torch.bfloat16)
    return context


def pair(batch: Any) -> tuple[Any, Any]:
    """(inputs, targets) of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        told = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise ValueError(
            f"a batch must be a pair (inputs, targets), got {told}. Let the dataset give pairs, or "
            "collate into one; inputs may be a tensor, a tuple or a dict of them."
        )
    return batch[0], batch[1]


def outputs_of(module: torch.nn.Module, inputs: Any) -> Any:
    """module(inputs); a tuple or list is spread over the arguments, a dict over their names."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple | list) else module(inputs)


def moved(batch: Any, device: torch.device) -> Any:
    """The batch, its tensors on the device."""
    match batch:
        case torch.Tensor():
            return batch.to(device, non_blocking=True)
        case Mapping():
            return {name: moved(value, device) for name, value in batch.items()}
        case tuple() | list():
            return tuple(moved(value, device) for value in batch)
    return batch


def size_of(batch: Any) -> int:
    """Samples in a batch: the first axis of its first tensor."""
    found = next(_tensors(batch), None)
    if found is None or found.dim() == 0:
        raise ValueError("a batch must hold a tensor with an axis of samples. Look at the collate.")
    return int(found.shape[0])


def pieces(batch: Any, n: int, size: int) -> Iterator[tuple[Any, float]]:
    """The batch of n samples in runs of at most `size`, and the share of each in the mean."""
    if size >= n:
        yield batch, 1.0
        return
    for start in range(0, n, size):
        stop = min(start + size, n)
        yield _cut(batch, start, stop), (stop - start) / n


def _cut(batch: Any, start: int, stop: int) -> Any:
    match batch:
        case torch.Tensor():
            return batch[start:stop] if batch.dim() else batch
        case Mapping():
            return {name: _cut(value, start, stop) for name, value in batch.items()}
        case tuple() | list():
            return tuple(_cut(value, start, stop) for value in batch)
    return batch


def _tensors(batch: Any) -> Iterator[torch.Tensor]:
    match batch:
        case torch.Tensor():
            yield batch
        case Mapping():
            for value in batch.values():
                yield from _tensors(value)
        case tuple() | list():
            for value in batch:
                yield from _tensors(value)


def loss_of(loss: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> torch.Tensor:
    """loss(outputs, targets), which must be one number."""
    value = loss(outputs, targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        told = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(
            f"loss must give one number, the mean over the samples, got {told}. "
            "Use reduction='mean'."
        )
    return value.reshape(())
