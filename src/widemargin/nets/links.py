"""The processes of one net, linked by torch.distributed: joining, sending, noticing who is gone."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from widemargin.errors import PartitionLost
from widemargin.nets.messages import header_of, leaves, room_for

ACTIVATIONS, GRADIENTS = 0, 100  # tags: of a header; of the first gradient


class Links:
    """Process k of n; nothing here waits longer than `deadline_s`."""

    def __init__(self, k: int, n: int, rendezvous: str, deadline_s: float) -> None:
        self.k, self.n, self.limit = k, n, timedelta(seconds=deadline_s)
        host, _, port = rendezvous.rpartition(":")
        if dist.is_initialized():
            raise RuntimeError(
                "torch.distributed is in use in this process. A partition needs it for itself: "
                "end the other group first."
            )
        try:
            store = dist.TCPStore(host, int(port), n, k == 0, self.limit)
            dist.init_process_group("gloo", store=store, rank=k, world_size=n, timeout=self.limit)
            dist.barrier()
        except RuntimeError as error:
            self.leave()
            raise TimeoutError(
                f"partition {k} of {n} did not meet the others at {rendezvous} within "
                f"{deadline_s:g} s. Look whether all were started. ({error})"
            ) from None

    def leave(self) -> None:
        """Close all connections: whoever waits for this process notices at once."""
        if dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()

    def send(self, outputs: Any, to: int) -> list[Any]:
        """Send a layer's outputs on; what is given back must live until it is waited for."""
        header = header_of(outputs)
        tensors = [] if outputs is None else list(leaves(outputs))
        return self._posted([header, *tensors], to, ACTIVATIONS)

    def receive(self, source: int) -> Any:
        """The outputs of the layer before; None: they failed."""
        header = header_of(None)
        self._filled([header], source, ACTIVATIONS)
        inputs = room_for(header)
        if inputs is not None:
            with torch.no_grad():
                self._filled([t.detach() for t in leaves(inputs)], source, ACTIVATIONS + 1)
        return inputs

    def send_gradients(self, gradients: list[torch.Tensor], to: int) -> list[Any]:
        return self._posted(gradients, to, GRADIENTS)

    def receive_gradients(self, like: list[torch.Tensor], source: int) -> list[torch.Tensor]:
        gradients = [torch.empty(t.shape, dtype=t.dtype) for t in like]
        self._filled(gradients, source, GRADIENTS)
        return gradients

    def wait(self, sent: list[Any]) -> None:
        """Until what was sent has been taken."""
        for work, _, to in sent:
            try:
                work.wait(self.limit)
            except RuntimeError as error:
                raise self._lost(to, error) from None

    def agree(self, numbers: list[float]) -> list[float]:
        """The sums over all processes."""
        summed = torch.tensor(numbers, dtype=torch.float64)
        try:
            dist.all_reduce(summed)
        except RuntimeError as error:
            raise self._lost(None, error) from None
        return [float(number) for number in summed]

    def errors(self, error: str | None) -> list[str]:
        """What went wrong, in the order of the processes."""
        told: list[Any] = [None] * self.n
        try:
            dist.all_gather_object(told, error)
        except RuntimeError as lost:
            raise self._lost(None, lost) from None
        return [f"partition {k}: {what}" for k, what in enumerate(told) if what is not None]

    def _posted(self, tensors: list[torch.Tensor], to: int, tag: int) -> list[Any]:
        sent = []
        for i, tensor in enumerate(tensors):
            whole = tensor.detach().cpu().contiguous()
            try:
                work = dist.isend(whole, to, tag=tag + i)
            except RuntimeError as error:
                raise self._lost(to, error) from None
            sent.append((work, whole, to))
        return sent

    def _filled(self, tensors: list[torch.Tensor], source: int, tag: int) -> None:
        try:
            works = [dist.irecv(t, source, tag=tag + i) for i, t in enumerate(tensors)]
            for work in works:
                assert work is not None
                work.wait(self.limit)
        except RuntimeError as error:
            raise self._lost(source, error) from None

    def _lost(self, other: int | None, error: Exception) -> PartitionLost:
        whom = "the others" if other is None else f"partition {other}"
        return PartitionLost(
            f"partition {self.k} of {self.n} waited for {whom}, which is gone or did nothing for "
            f"{self.limit.total_seconds():g} s: {str(error).splitlines()[0]}"
        )
