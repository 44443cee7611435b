"""A dataset as blocks: the batches of one permutation an epoch.

Epoch e walks through the samples in the order of a permutation drawn from (seed, e); block k is its
k-th run of `batch_size` samples, the last one shorter. Every sample is in exactly one block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from widemargin.data.rows import Array
from widemargin.errors import whole_number


class Source(NamedTuple):
    """Samples and how they become batches."""

    dataset: Any  # map-style: __len__ and __getitem__
    batch_size: int
    collate: Callable[[list[Any]], Any] = default_collate

    @property
    def n(self) -> int:
        return len(self.dataset)

    @property
    def n_blocks(self) -> int:
        return -(-self.n // self.batch_size)


def source_of(dataset: Any, batch_size: int | None = None) -> Source:
    """A source from a map-style dataset, or from a DataLoader: its dataset, batch size, collate_fn.

    A DataLoader's own order and workers are not used: blocks are drawn as this file says.
    """
    collate = default_collate
    if isinstance(dataset, DataLoader):
        loader: Any = dataset
        if type(loader.sampler) not in (SequentialSampler, RandomSampler) or getattr(
            loader.sampler, "replacement", False
        ):
            raise ValueError(
                f"a DataLoader with {type(loader.sampler).__name__} draws samples its own way; "
                "here each sample comes once an epoch. Give the dataset without that sampler."
            )
        batch_size = loader.batch_size if batch_size is None else batch_size
        dataset, collate = loader.dataset, loader.collate_fn
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        raise TypeError(
            f"dataset must be map-style, with __len__ and __getitem__, got "
            f"{type(dataset).__name__}. Blocks of samples are leased by number: give a dataset "
            "that finds a sample by its index."
        )
    size = whole_number("batch_size", batch_size, 1)
    if len(dataset) == 0:
        raise ValueError("dataset must hold at least 1 sample, got 0. Look at where it is read.")
    return Source(dataset, size, collate)


def order_of(source: Source, seed: int, epoch: int) -> Array:
    """The samples of an epoch, in the order in which they are cut into blocks."""
    order: Array = np.random.default_rng([seed, epoch]).permutation(source.n)
    return order


def samples_of(source: Source, order: Array, number: int) -> Array:
    """The samples of a block."""
    chosen: Array = order[number * source.batch_size : (number + 1) * source.batch_size]
    return chosen


def read(source: Source, samples: Sequence[int] | Array) -> Any:
    """A batch of these samples."""
    dataset = source.dataset
    if type(dataset) is TensorDataset and source.collate is default_collate:
        return tuple(tensor[samples] for tensor in dataset.tensors)
    indices = [int(i) for i in samples]
    if hasattr(dataset, "__getitems__"):
        return source.collate(dataset.__getitems__(indices))
    return source.collate([dataset[i] for i in indices])
