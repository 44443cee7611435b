"""Model files: safetensors, with all else as one JSON text and a digest in its metadata.

The tensors are W and b; the SHA-256 digest is taken over the text and the tensors. Loading runs
no code.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._version import __version__
from widemargin.calibration import Sigmoid
from widemargin.errors import ModelFileError
from widemargin.files import written_whole
from widemargin.model import Model, as_model, misfit

FORMAT, VERSION = "widemargin-model", 1
PathLike = str | os.PathLike[str]


def save(model: Any, path: PathLike) -> None:
    """Write a Model or a fitted estimator; the file appears under `path` when it is whole."""
    from safetensors.numpy import save as to_bytes

    model = as_model(model)
    problem = misfit(model)
    if problem:
        raise ValueError(f"the model has {problem}, so it is not saved. Train it again.")
    text = json.dumps({"format": FORMAT, "version": VERSION, **_facts(model)}, ensure_ascii=False)
    metadata = {"widemargin": text, "digest": digest(text, model.W, model.b)}
    whole = to_bytes({"W": model.W, "b": model.b}, metadata)
    with written_whole(path) as stream:
        stream.write(whole)


def _facts(model: Model) -> dict[str, Any]:
    facts = {name: value for name, value in vars(model).items() if name not in ("W", "b")}
    if model.sigmoids is None:
        del facts["sigmoids"]  # versions that know of none read the file too
    return {**facts, "n_features": model.n_features}


def digest(text: str, W: NDArray[Any], b: NDArray[Any]) -> str:
    h = hashlib.sha256(text.encode())
    for array in (W, b):
        h.update(np.ascontiguousarray(array, "<f8").data)
    return f"sha256:{h.hexdigest()}"


def load(path: PathLike) -> Model:
    """The model in a file. Raises ModelFileError for anything that is not a whole model file."""
    name = os.fspath(path)
    W, b, metadata = _tensors(name)
    text = metadata.get("widemargin")
    if text is None:
        raise _refused(name, "a safetensors file of another program")
    facts = _parsed(name, text)
    if metadata.get("digest") != digest(text, W, b):
        raise _refused(name, "contents that do not match their digest")
    try:
        n_features = facts.pop("n_features")
        facts["labels"] = tuple(facts["labels"])
        if "sigmoids" in facts:
            facts["sigmoids"] = tuple(Sigmoid(*pair) for pair in facts["sigmoids"])
        model = Model(W, b, **facts)
    except (KeyError, TypeError) as error:
        raise _refused(name, f"metadata that do not describe a model ({error})") from None
    problem = misfit(model)
    if problem or n_features != model.n_features:
        raise _refused(name, problem or f"{model.n_features} weights for {n_features} features")
    return model


def _tensors(name: str) -> tuple[NDArray[Any], NDArray[Any], dict[str, str]]:
    """W, b and the metadata of a safetensors file that holds these two as float64."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(name, framework="numpy") as file:
            shapes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            if shapes != {"W": "F64", "b": "F64"}:
                raise _refused(name, f"tensors {shapes}")
            return file.get_tensor("W"), file.get_tensor("b"), dict(file.metadata() or {})
    except SafetensorError as error:
        raise _refused(name, f"no whole safetensors file ({error})") from None
    except FileNotFoundError:
        raise ModelFileError(f"{name}: found no such file. Check the path.") from None
    except (OSError, ValueError, OverflowError, MemoryError, TypeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _refused(name, f"nothing that can be read ({error})") from None


def _parsed(name: str, text: str) -> dict[str, Any]:
    """The facts, after a look at format and version."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(name, "metadata that are no JSON") from None
    if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
        raise _refused(name, "metadata of another program")
    version = facts.pop("version", None)
    if type(version) is not int or version < 1:
        raise _refused(name, f"version {version!r}")
    if version > VERSION:
        raise ModelFileError(
            f"{name}: found a model file of version {version}; this widemargin {__version__} "
            f"reads up to {VERSION}. Update widemargin, or train again."
        )
    return facts


def _refused(name: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"{name}: found {found}; accepted: a model file that widemargin wrote. "
        "Copy it again, or train again."
    )
