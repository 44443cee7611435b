"""Trained modules as safetensors files: one, or a folder of them with an index.

A net in partitions is written one partition at a time, so that nobody holds all of it. The folder
has the form that others read too: model-00001-of-00003.safetensors, …, one for each partition, and
model.safetensors.index.json, which says where each tensor is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import torch

from widemargin.errors import InputError
from widemargin.files import written_whole
from widemargin.nets.layers import Net
from widemargin.nets.segments import Segments
from widemargin.ps.tensor_file import Layout, laid_out, put

SUFFIX, INDEX = ".safetensors", "model.safetensors.index.json"
KINDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def save_module(module: torch.nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a state_dict as one file; of tied tensors the first."""
    from safetensors.torch import save

    state = module.state_dict()
    kept = {n: t.detach().cpu().clone().contiguous() for n, t in state.items()}
    for name in tied(state):
        del kept[name]
    with written_whole(path) as stream:
        stream.write(save(kept))


def save_cut(segments: Segments, path: str | os.PathLike[str]) -> None:
    """Write a partitioned net: one file where the path ends in .safetensors, else a folder."""
    net, runs = segments.job.drawn(), range(len(segments.runs))
    names = names_in(net)
    if os.fspath(path).endswith(SUFFIX):
        with written_whole(path) as stream:
            _write(stream, segments, net, names, runs)
        return
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(
            f"{folder}: found a file; a net in partitions is saved as a folder, or as one file "
            f"whose name ends in {SUFFIX}. Choose another name."
        ) from None
    total = 0
    places: dict[str, str] = {}
    for s in runs:
        name = f"model-{s + 1:05}-of-{len(runs):05}{SUFFIX}"
        with written_whole(folder / name) as stream:
            layout = _write(stream, segments, net, names, [s])
        total += layout.size
        places |= dict.fromkeys(layout.places, name)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    with written_whole(folder / INDEX) as stream:
        stream.write(json.dumps(index, indent=2).encode())


def _write(
    stream: IO[bytes],
    segments: Segments,
    net: Net,
    names: Sequence[Mapping[str, str]],
    runs: Sequence[int],
) -> Layout:
    """A file of these runs of layers, one after the other in memory."""
    kinds: dict[str, tuple[str, Sequence[int]]] = {}
    for i in [i for s in runs for i in segments.runs[s]]:
        state = net.layers[i].state_dict()
        kinds |= {names[i][n]: (KINDS[state[n].dtype], tuple(state[n].shape)) for n in names[i]}
    layout = laid_out(kinds, {"format": "pt"})
    stream.write(layout.head)
    for s in runs:
        segment = segments.filled(s)
        for layer, i in zip(segment, segments.runs[s], strict=True):
            state = layer.state_dict()
            for name, full in names[i].items():
                values = state[name].contiguous().reshape(-1).view(torch.uint8)
                put(stream, layout.places[full], values.numpy())
        del segment, layer, state
    return layout


def names_in(net: Net) -> list[dict[str, str]]:
    """For each layer of a drawn net the names of its tensors, and those of the whole's state_dict;
    of tied tensors the first."""
    full: dict[int, str] = {}
    for name, tensor in net.whole.state_dict(keep_vars=True).items():
        full.setdefault(id(tensor), name)
    found = []
    for layer in net.layers:
        state = layer.state_dict(keep_vars=True)
        found.append({n: full.pop(id(t)) for n, t in state.items() if id(t) in full})
    return found


def load_into(module: torch.nn.Module, path: str | os.PathLike[str]) -> None:
    """Fill a module from a file or a folder, a tensor at a time; ValueError for another one's."""
    here = module.state_dict()
    with ExitStack() as stack:
        state = dict(_tensors(Path(path), stack))
        lacks = sorted(here.keys() - state.keys() - set(tied(here)))
        extra = sorted(state.keys() - here.keys())
        extra += [
            n
            for n in sorted(state.keys() & here.keys())
            if tuple(state[n].get_shape()) != tuple(here[n].shape)
        ]
        if lacks or extra:
            raise ValueError(
                f"{path}: is of another module: it lacks {lacks} and has {extra}, unknown or of "
                "another shape. Give the build it was trained with."
            )
        with torch.no_grad():
            for name, tensor in state.items():
                here[name].copy_(tensor[...])


def _tensors(path: Path, stack: ExitStack) -> Iterator[tuple[str, Any]]:
    """The tensors of a file or a folder by name, each to be read with [...]."""
    from safetensors import safe_open

    files = [path]
    if path.is_dir():
        if not (path / INDEX).exists():
            raise InputError(f"{path}: found no {INDEX}; accepted: a folder that save wrote.")
        places = json.loads((path / INDEX).read_text())["weight_map"]
        files = [path / name for name in sorted(set(places.values()))]
    for file in files:
        opened = stack.enter_context(safe_open(file, framework="pt"))
        for name in opened.keys():  # noqa: SIM118  it is no dict
            yield name, opened.get_slice(name)


def tied(state: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of tensors that are others under a second name."""
    seen: set[Any] = set()
    found = []
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.dtype)
        if tensor.numel() and place in seen:
            found.append(name)
        seen.add(place)
    return found
