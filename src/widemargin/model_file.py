"""Model files: safetensors, with all else as one JSON text and a digest in its metadata.

The tensors are W and b, and in a file of version 2 those of the fitted features as well; the
SHA-256 digest is taken over the text and the tensors. Loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin._version import __version__
from widemargin.calibration import Sigmoid, has_tails, spelt
from widemargin.errors import ModelFileError
from widemargin.files import written_whole
from widemargin.model import Model, as_model, misfit

FORMAT, VERSION = "widemargin-model", 3  # 1 for plain weights, 3 for sigmoids with tails
OWN = "features."  # the tensors of fitted features begin with it
DTYPES = {"F64", "I64", "U8"}  # that such tensors have
Tensors = Mapping[str, NDArray[Any]]
PathLike = str | os.PathLike[str]


def save(model: Any, path: PathLike, *, features: Any = None) -> None:
    """Write a Model or a fitted estimator; the file appears under `path` when it is whole.

    `features`, as `open` gives them for text and tables, go into the file, so that the loaded
    model takes raw documents or records.
    """
    from safetensors.numpy import save as to_bytes

    model = as_model(model)
    model = model if features is None else replace(model, features=features)
    problem = misfit(model)
    if problem:
        raise ValueError(f"the model has {problem}, so it is not saved. Train it again.")
    facts, more = _facts(model)
    version = 3 if has_tails(model.sigmoids) else 2 if more or model.sigmoids is not None else 1
    text = json.dumps({"format": FORMAT, "version": version, **facts}, ensure_ascii=False)
    metadata = {"widemargin": text, "digest": digest(text, model.W, model.b, more)}
    whole = to_bytes({"W": model.W, "b": model.b, **more}, metadata)
    with written_whole(path) as stream:
        stream.write(whole)


def _facts(model: Model) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """All that JSON holds, and the tensors beside W and b."""
    apart = ("W", "b", "features")
    facts = {name: value for name, value in vars(model).items() if name not in apart}
    facts["n_features"] = model.n_features
    if model.sigmoids is None:
        del facts["sigmoids"]  # nothing that version 1 does not know
    else:
        facts["sigmoids"] = spelt(model.sigmoids)
    if model.features is None:
        return facts, {}
    from widemargin.features.kept import to_kept

    facts["features"], tensors = to_kept(model.features)
    return facts, {OWN + name: array for name, array in tensors.items()}


def digest(text: str, W: NDArray[Any], b: NDArray[Any], more: Tensors | None = None) -> str:
    """SHA-256 over the text, W, b, and name, type, shape and bytes of every other tensor."""
    h = hashlib.sha256(text.encode())
    for array in (W, b):
        h.update(np.ascontiguousarray(array, "<f8").data)
    for name, array in sorted((more or {}).items()):
        h.update(f"{name} {array.dtype.str} {array.shape}".encode())
        h.update(np.ascontiguousarray(array).data)
    return f"sha256:{h.hexdigest()}"


def load(path: PathLike) -> Model:
    """The model in a file. Raises ModelFileError for anything that is not a whole model file."""
    name = os.fspath(path)
    tensors, metadata = _tensors(name)
    W, b = tensors.pop("W"), tensors.pop("b")
    text = metadata.get("widemargin")
    if text is None:
        raise _refused(name, "a safetensors file of another program")
    facts = _parsed(name, text)
    if metadata.get("digest") != digest(text, W, b, tensors):
        raise _refused(name, "contents that do not match their digest")
    try:
        n_features = facts.pop("n_features")
        facts["labels"] = tuple(facts["labels"])
        if "sigmoids" in facts:
            facts["sigmoids"] = tuple(Sigmoid(*pair) for pair in facts["sigmoids"])
        facts["features"] = _features(facts.get("features"), tensors)
        model = Model(W, b, **facts)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(name, f"metadata that do not describe a model ({error})") from None
    problem = misfit(model)
    if problem or n_features != model.n_features:
        raise _refused(name, problem or f"{model.n_features} weights for {n_features} features")
    return model


def _features(facts: Any, tensors: Tensors) -> Any:
    """The fitted features that the facts and the tensors describe; None where there are none."""
    if facts is None:
        if tensors:
            raise ValueError(f"tensors {sorted(tensors)} that nothing describes")
        return None
    from widemargin.features.kept import from_kept

    return from_kept(facts, {name.removeprefix(OWN): array for name, array in tensors.items()})


def _tensors(name: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata of a safetensors file that holds W, b and known others."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(name, framework="numpy") as file:
            types = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            more = {key: kind for key, kind in types.items() if key.startswith(OWN)}
            if types != {**more, "W": "F64", "b": "F64"} or not DTYPES.issuperset(more.values()):
                raise _refused(name, f"tensors {types}")
            return {key: file.get_tensor(key) for key in types}, dict(file.metadata() or {})
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
