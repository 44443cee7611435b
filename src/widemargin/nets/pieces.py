"""Where each parameter of a cut net is among the keys.

A pipeline's keys are the trainable parameters, layer after layer. With sliced layers all that is
not sliced comes first, the *shared* keys, then the slices of partition 0, of partition 1, …
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from widemargin.data.rows import Array
from widemargin.nets.layers import Init, Net, empty, fill
from widemargin.ps.job import Range, ranges
from widemargin.ps.kept import Kept


class Piece(NamedTuple):
    """A parameter, or a slice of one."""

    layer: int
    name: str  # within the layer
    start: int  # its first key
    shape: tuple[int, ...]
    dim: int | None = None  # the axis it is a slice of
    offset: int = 0  # where it begins on that axis

    @property
    def stop(self) -> int:
        return self.start + int(np.prod(self.shape, dtype=np.int64))

    def of(self, parameter: torch.Tensor) -> torch.Tensor:
        """The view of the whole parameter that this piece is."""
        if self.dim is None:
            return parameter
        return parameter.narrow(self.dim, self.offset, self.shape[self.dim])


class Keys(NamedTuple):
    """All pieces in the order of their keys, the keys of each partition, and the shared ones."""

    pieces: tuple[Piece, ...]
    spans: tuple[Range, ...]
    shared: Range = Range(0, 0)

    @property
    def n(self) -> int:
        return self.spans[-1].stop

    def of(self, k: int) -> tuple[Piece, ...]:
        """The pieces whose values partition k needs."""
        held = (self.shared, self.spans[k])
        return tuple(p for p in self.pieces if any(a <= p.start < b for a, b in held))

    def ranges(self, groups: int) -> tuple[Range, ...]:
        """The keys in `groups` ranges, at least one for each part that has its own readers."""
        cuts = sorted({self.shared.stop, *(k for span in self.spans for k in span)})
        parts = [Range(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
        counts = [1] * len(parts)
        for _ in range(groups - len(parts)):
            sizes = [(b - a) / c for (a, b), c in zip(parts, counts, strict=True)]
            counts[int(np.argmax(sizes))] += 1
        return tuple(
            Range(a + start, a + stop)
            for (a, b), count in zip(parts, counts, strict=True)
            for start, stop in ranges(b - a, count)
        )

    def owner(self, parts: Sequence[Range]) -> tuple[int, ...]:
        """The partition of each range."""
        return tuple(
            next(k for k, span in enumerate(self.spans) if span.start <= a and b <= span.stop)
            for a, b in parts
        )

    def reads(self, parts: Sequence[Range]) -> tuple[tuple[int, ...], ...]:
        """The ranges that each partition pulls: the shared ones and its own."""
        owner = self.owner(parts)
        common = {g for g, part in enumerate(parts) if part.stop <= self.shared.stop}
        return tuple(
            tuple(g for g in range(len(parts)) if g in common or owner[g] == k)
            for k in range(len(self.spans))
        )


def in_line(net: Net, counts: Sequence[int]) -> Keys:
    """The keys of a pipeline whose partitions have so many layers each."""
    pieces, ends, start = [], [], 0
    for i, names in enumerate(_names(net)):
        for name, parameter in names.items():
            pieces.append(Piece(i, name, start, tuple(parameter.shape)))
            start = pieces[-1].stop
        ends.append(start)
    cuts = [0, *(ends[c - 1] for c in np.cumsum(counts))]
    return Keys(tuple(pieces), tuple(map(Range, cuts[:-1], cuts[1:])))


def side_by_side(net: Net, dims: Mapping[tuple[int, str], int], partitions: int) -> Keys:
    """The keys of a net with sliced parameters: `dims` tells their axis by (layer, name)."""
    named = [(i, n, p) for i, names in enumerate(_names(net)) for n, p in names.items()]
    pieces, start, spans = [], 0, []
    for i, name, parameter in named:
        if (i, name) not in dims:
            pieces.append(Piece(i, name, start, tuple(parameter.shape)))
            start = pieces[-1].stop
    shared = Range(0, start)
    for k in range(partitions):
        begin = 0 if k == 0 else start
        for i, name, parameter in named:
            if (i, name) in dims:
                dim, shape = dims[i, name], list(parameter.shape)
                shape[dim] //= partitions
                pieces.append(Piece(i, name, start, tuple(shape), dim, k * shape[dim]))
                start = pieces[-1].stop
        spans.append(Range(begin, start))
    return Keys(tuple(pieces), tuple(spans), shared)


def _names(net: Net) -> list[dict[str, torch.nn.Parameter]]:
    """The trainable parameters of each layer by name, each with the first layer that has it."""
    new = [{id(p) for p in layer} for layer in net.keys()]
    return [
        {name: p for name, p in layer.named_parameters() if id(p) in mine}
        for layer, mine in zip(net.layers, new, strict=True)
    ]


def first(net: Net, pieces: Iterable[Piece], keys: Range, seed: int, init: Init | None) -> Array:
    """The values of these keys before the first commit, (n, 1); one layer at a time is filled."""
    vector = np.empty((keys.stop - keys.start, 1), np.float32)
    wanted = [p for p in pieces if p.start < keys.stop and keys.start < p.stop]
    for layer in sorted({piece.layer for piece in wanted}):
        fill(net, [layer], seed, init)
        whole = dict(net.layers[layer].named_parameters())
        for piece in wanted:
            if piece.layer == layer:
                a, b = max(piece.start, keys.start), min(piece.stop, keys.stop)
                values = piece.of(whole[piece.name].detach()).reshape(-1)
                part = values[a - piece.start : b - piece.start]
                vector[a - keys.start : b - keys.start, 0] = part.numpy()
        empty(net, layer)
    return vector


def put(net: Net, pieces: Iterable[Piece], parameters: Kept) -> None:
    """Write their values into filled layers, a piece at a time."""
    with torch.no_grad():
        for piece in pieces:
            whole: Any = dict(net.layers[piece.layer].named_parameters())[piece.name]
            values = torch.from_numpy(
                np.ascontiguousarray(parameters.read(piece.start, piece.stop))
            )
            piece.of(whole).copy_(values.view(piece.shape))
