"""A net as a list of layers, made without memory and filled one layer at a time.

`build` runs on torch's meta device, where tensors have shapes and no numbers. A layer is filled
where it is needed, from a seed of its own: its modules' `reset_parameters`, inner ones first, then
the user's `init`. So the numbers do not depend on how the net is cut, and nobody holds all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from widemargin.nets.forward import outputs_of
from widemargin.nets.job import seeded

Build = Callable[[], Any]
Init = Callable[[torch.nn.Module], Any]
Split = Callable[[Any], Sequence[torch.nn.Module]] | Sequence[str]


class Chain(torch.nn.Module):  # type: ignore[misc]  # torch is not typed
    """Layers one after the other; a tuple that one gives is the arguments of the next."""

    def __init__(self, layers: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        x: Any = named or (inputs[0] if len(inputs) == 1 else inputs)
        for layer in self.layers:
            x = outputs_of(layer, x)
        return x


class Net(NamedTuple):
    """A net on the meta device."""

    whole: torch.nn.Module
    names: tuple[str, ...]
    layers: tuple[torch.nn.Module, ...]

    def keys(self) -> list[list[torch.nn.Parameter]]:
        """The trainable parameters of each layer, those that several share with the first one."""
        seen: set[int] = set()
        found = []
        for layer in self.layers:
            new = [p for p in layer.parameters() if p.requires_grad and id(p) not in seen]
            seen.update(map(id, new))
            found.append(new)
        return found

    def together(self) -> list[tuple[int, int]]:
        """Pairs (first, last) of layers that share a parameter."""
        spans: dict[int, tuple[int, int]] = {}
        for i, layer in enumerate(self.layers):
            for parameter in layer.parameters():
                spans[id(parameter)] = (spans.get(id(parameter), (i, i))[0], i)
        return sorted({span for span in spans.values() if span[0] < span[1]})


def drawn(build: Build, split: Split | None = None) -> Net:
    """The net that `build` makes, without memory; ValueError or TypeError for what cannot be cut.

    `build` gives a Sequential or a list of modules; for any other module `split` gives its layers
    in the order in which they are called, as a function of the module or as names of submodules.
    """
    with torch.device("meta"):
        made = build()
    if split is None and isinstance(made, list | tuple):
        net = Net(Chain(made), tuple(map(str, range(len(made)))), tuple(made))
    elif not isinstance(made, torch.nn.Module):
        raise TypeError(
            "build must return a torch.nn.Module, or a list of them to be called one after the "
            f"other, got {type(made).__name__}."
        )
    else:
        net = Net(made, *_layers_of(made, split))
    for name, layer in zip(net.names, net.layers, strict=True):
        if not isinstance(layer, torch.nn.Module):
            raise TypeError(f"layer {name} must be a torch.nn.Module, got {type(layer).__name__}.")
    _refuse_left_out(net)
    return net


def _layers_of(made: torch.nn.Module, split: Split | None) -> tuple[Any, Any]:
    if split is None:
        if not isinstance(made, torch.nn.Sequential):
            raise ValueError(
                f"build returned a {type(made).__name__}: which of its modules are called one "
                "after the other cannot be told. Return a torch.nn.Sequential or a list of "
                "modules, or give split, a function of the module that returns such a list."
            )
        named = [(n, m) for n, m in made.named_modules(remove_duplicate=False) if n]
        named = [(n, m) for n, m in named if "." not in n]
        return tuple(n for n, _ in named), tuple(m for _, m in named)
    if callable(split):
        layers = tuple(split(made))
        return tuple(map(str, range(len(layers)))), layers
    return tuple(split), tuple(made.get_submodule(name) for name in split)


def _refuse_left_out(net: Net) -> None:
    inside = {id(p) for layer in net.layers for p in layer.parameters()}
    for name, parameter in net.whole.named_parameters():
        if id(parameter) not in inside:
            raise ValueError(
                f"parameter {name!r} is in none of the layers that split gives. Each parameter "
                "must be in one: it is filled and trained with it."
            )
        if not parameter.is_meta:
            raise ValueError(
                f"parameter {name!r} is on {parameter.device}: build put it there itself. Leave "
                "out device= and tensors made elsewhere, so that the net can be drawn first and "
                "filled layer by layer."
            )


def refuse_own_values(net: Net) -> None:
    """ValueError where `build` writes values of its own: they would be lost.

    A tensor counts how often it was written. What `build` wrote beyond what `reset_parameters`
    writes is the user's. The net is of no more use.
    """
    names = dict(net.whole.named_parameters())
    before = {name: parameter._version for name, parameter in names.items()}
    for layer in net.layers:
        _reset(layer)
    for name, parameter in names.items():
        if before[name] > parameter._version - before[name]:
            raise ValueError(
                f"build writes values of its own into parameter {name!r}; with partitions it runs "
                "without memory, and they would be lost. Move them into a function of a layer and "
                "give it as init."
            )


def fill(net: Net, indices: Sequence[int], seed: int, init: Init | None = None) -> None:
    """Give these layers of a drawn net memory and their first values, in place.

    A parameter that layers share has the values that the first of `indices` gives it.
    """
    known: dict[int, torch.nn.Parameter] = {}
    for i in indices:
        layer = net.layers[i]
        late = list(_places(layer, known))
        _allocate(layer)
        with seeded(seed_at(seed, i)), torch.no_grad():
            _reset(layer)
            if init is not None:
                init(layer)
        _refuse_unfilled(net.names[i], layer)
        for module, name, meta in late:
            kept = known.setdefault(id(meta), getattr(module, name))
            setattr(module, name, kept)


def empty(net: Net, index: int) -> None:
    """Give back the memory of a layer."""
    net.layers[index].to("meta")


def seed_at(*numbers: int) -> int:
    """The seed of torch's generator that these numbers stand for."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def _places(layer: torch.nn.Module, known: Any) -> Iterator[tuple[torch.nn.Module, str, Any]]:
    """Where the parameters of a layer are, each place once."""
    for module in layer.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield module, name, parameter


def _allocate(layer: torch.nn.Module) -> None:
    """Room, full of NaN or the smallest integer, so that what nobody writes is seen."""
    made: dict[int, torch.nn.Parameter] = {}
    for module in layer.modules():
        for name, old in module.named_parameters(recurse=False, remove_duplicate=False):
            if old.is_meta:
                room = torch.nn.Parameter(_unset(old), old.requires_grad)
                setattr(module, name, made.setdefault(id(old), room))
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(module, name, _unset(buffer))


def _unset(tensor: torch.Tensor) -> torch.Tensor:
    real = torch.empty_like(tensor, device="cpu", requires_grad=False)
    return real.fill_(_mark(tensor.dtype))


def _mark(dtype: torch.dtype) -> Any:
    if dtype.is_floating_point or dtype.is_complex:
        return float("nan")
    return True if dtype == torch.bool else torch.iinfo(dtype).min


def _reset(module: torch.nn.Module) -> None:
    for child in module.children():
        _reset(child)
    method: Any = getattr(module, "reset_parameters", None)
    method = method or getattr(module, "_reset_parameters", None)
    if method is not None:
        method()


def _refuse_unfilled(name: str, layer: torch.nn.Module) -> None:
    tensors = [*layer.named_parameters(), *layer.named_buffers()]
    for where, tensor in tensors:
        mark = _mark(tensor.dtype)
        one = tensor.detach().sum() if mark != mark else (tensor == mark).any()
        if bool(one != one if mark != mark else one and tensor.dtype != torch.bool):
            raise ValueError(
                f"nothing fills {where!r} of layer {name}, a {type(layer).__name__}: with "
                "partitions build runs without memory, and values come from reset_parameters of "
                "each module, or from init, a function of a layer. Give init=."
            )
    for module in layer.modules():
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.is_meta:
                raise ValueError(
                    f"layer {name}: {type(module).__name__}.{key} is a tensor without memory that "
                    "the module does not know as its own. Make it by register_buffer, and fill it "
                    "in init."
                )
