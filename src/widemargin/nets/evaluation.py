"""Loss and metrics of a module, and the statistics of its batch norms.

While training, each worker's batch norms follow the batches that it happens to see. What a module
uses afterwards is estimated anew, at its final parameters, as `torch.optim.swa_utils.update_bn`
does: the mean over the batches of `blocks` blocks, none forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from widemargin.errors import choose
from widemargin.nets.forward import autocast, loss_of, moved, outputs_of, pair, size_of
from widemargin.nets.samples import Source, order_of, read, samples_of

Metric = Callable[[Any, Any], Any]


def accuracy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The share of samples whose largest output is the target's."""
    return (outputs.argmax(dim=1) == targets).float().mean()


METRICS: dict[str, Metric] = {"accuracy": accuracy}


def metrics_of(metrics: Mapping[str, Metric] | Iterable[str]) -> dict[str, Metric]:
    """Functions (outputs, targets) → mean over the samples, by name."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str):
        told = f"metrics={metrics!r} must be a list of names, or functions by name."
        raise TypeError(f"{told} Give [{metrics!r}].")
    return {name: choose("metrics", name, METRICS) for name in metrics}


def evaluated(
    module: torch.nn.Module,
    source: Source,
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Metric],
    precision: str = "float32",
) -> dict[str, float]:
    """Means over all samples: "loss" and the metrics."""
    device = _device_of(module)

    def found() -> Iterator[tuple[Any, Any, int]]:
        for number in range(source.n_blocks):
            batch = read(source, samples_of(source, np.arange(source.n), number))
            inputs, targets = pair(moved(batch, device))
            yield outputs_of(module, inputs), targets, size_of(batch)

    module.eval()
    with torch.no_grad(), autocast(device, precision):
        return means(found(), loss, metrics)


def means(
    found: Iterable[tuple[Any, Any, int]],
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Metric],
) -> dict[str, float]:
    """Means over all samples, batch by batch: of (outputs, targets, their number)."""
    totals, n = dict.fromkeys(["loss", *metrics], 0.0), 0
    for outputs, targets, size in found:
        values = {"loss": loss_of(loss, outputs, targets)}
        values |= {name: metric(outputs, targets) for name, metric in metrics.items()}
        n += size
        for name, value in values.items():
            totals[name] += float(value) * size
    return {name: total / n for name, total in totals.items()}


def batch_norms(module: torch.nn.Module) -> list[Any]:
    """The layers that keep running statistics."""
    kind = torch.nn.modules.batchnorm._BatchNorm
    found = [layer for layer in module.modules() if isinstance(layer, kind)]
    return [layer for layer in found if layer.running_mean is not None]


def settle_statistics(module: torch.nn.Module, source: Source, seed: int, blocks: int) -> None:
    """Estimate the running statistics of all batch norms from blocks of the first epoch."""
    layers = batch_norms(module)
    if not layers:
        return
    device, order = _device_of(module), order_of(source, seed, 0)
    module.train()
    with torch.no_grad(), anew(layers):
        for number in range(min(blocks, source.n_blocks)):
            inputs, _ = pair(moved(read(source, samples_of(source, order, number)), device))
            outputs_of(module, inputs)
    module.eval()


@contextmanager
def anew(layers: Sequence[Any]) -> Iterator[None]:
    """The running statistics of these batch norms begin again, as plain means over batches."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    yield
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Torch on so many threads. Beside workers that keep the cores busy, threads that wait for each
    other at every operation make evaluation twenty times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device_of(module: torch.nn.Module) -> torch.device:
    return next(module.parameters()).device
