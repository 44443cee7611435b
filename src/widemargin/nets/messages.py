"""Activations between processes: a tensor, or a tuple of them, with a header that says which.

A header is HEADER integers: how many tensors, then for each its type, whether a gradient comes
back for it, its number of axes and their lengths. A count of −1 stands for a failed micro-batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

HEADER = 64
FAILED = -1
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def leaves(x: Any) -> Iterator[torch.Tensor]:
    """The tensors of what a layer gives."""
    if isinstance(x, tuple | list):
        for part in x:
            yield from leaves(part)
    else:
        yield x


def header_of(outputs: Any) -> torch.Tensor:
    """What is told of a layer's outputs before them; None: the micro-batch failed."""
    if outputs is None:
        return torch.tensor([FAILED, *[0] * (HEADER - 1)])
    tensors = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
    numbers = [len(tensors), int(isinstance(outputs, tuple | list))]
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in DTYPES:
            raise TypeError(
                "between partitions a layer must give a tensor or a tuple of tensors, got "
                f"{type(tensor).__name__}. Cut elsewhere, or let the layer give such."
            )
        numbers += [DTYPES.index(tensor.dtype), int(tensor.requires_grad), tensor.dim()]
        numbers += tensor.shape
    if len(numbers) > HEADER:
        raise ValueError(
            f"between partitions at most some ten tensors can pass, got {len(tensors)}. Cut "
            "elsewhere, or join them."
        )
    return torch.tensor(numbers + [0] * (HEADER - len(numbers)))


def room_for(header: torch.Tensor) -> Any:
    """Tensors without values, as the header tells; None: the micro-batch failed."""
    numbers = header.tolist()
    count, is_tuple = numbers[:2]
    if count == FAILED:
        return None
    tensors, at = [], 2
    for _ in range(count):
        kind, wants, axes = numbers[at : at + 3]
        tensor = torch.empty(numbers[at + 3 : at + 3 + axes], dtype=DTYPES[kind])
        tensors.append(tensor.requires_grad_(bool(wants)))
        at += 3 + axes
    return tuple(tensors) if is_tuple else tensors[0]
