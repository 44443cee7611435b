"""Model files of both families: `save` and `load` for linear models and those with kernels.

A file of a model with a kernel is safetensors too. Its tensors are the support vectors, as a matrix
or as the three arrays of CSR, their coefficients, the counts per class and the intercepts; all else
is one JSON text in the metadata, with a SHA-256 digest over text and tensors. Loading runs no code.
What kernels need is imported for them only, so that linear models load as soon as they did.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import numpy as np

from widemargin import model_file
from widemargin._version import __version__
from widemargin.data.rows import Array, Dense, Rows, Sparse, as_read_only
from widemargin.errors import ModelFileError
from widemargin.files import written_whole

FORMAT, VERSION = "widemargin-kernel-model", 2  # 1 for sigmoids without tails, or none
TYPES = {
    "coef": "F64", "counts": "I64", "intercept": "F64", "X": "F64",
    "values": "F64", "indices": "U32", "indptr": "I64",
}  # fmt: skip


def save(model: Any, path: model_file.PathLike, *, features: Any = None) -> None:
    """Write a model or a fitted estimator; the file appears under `path` when it is whole.

    `features` of a data set of text or tables are kept beside the weights of a linear model.
    """
    if not (hasattr(model, "machine") or hasattr(model, "fitted_kernel_")):
        model_file.save(model, path, features=features)
        return
    if features is not None:
        raise ValueError("features are kept with linear models; one with a kernel has none.")
    from safetensors.numpy import save as to_bytes

    from widemargin.calibration import has_tails
    from widemargin.kernel_model import as_kernel_model, misfit

    model = as_kernel_model(model)
    problem = misfit(model)
    if problem:
        raise ValueError(f"the model has {problem}, so it is not saved. Train it again.")
    tensors = tensors_of(model)
    version = 2 if has_tails(model.sigmoids) else 1
    text = json.dumps({"format": FORMAT, "version": version, **facts_of(model)}, ensure_ascii=False)
    metadata = {"widemargin": text, "digest": digest(text, tensors)}
    whole = to_bytes(tensors, metadata)
    with written_whole(path) as stream:
        stream.write(whole)


def tensors_of(model: Any) -> dict[str, Array]:
    coef, counts, intercept = model.machine
    support = model.support
    rows = {"X": support.X} if isinstance(support, Dense) else support._asdict()
    rows.pop("n_features", None)
    found = {"coef": coef, "counts": counts, "intercept": intercept, **rows}
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def facts_of(model: Any) -> dict[str, Any]:
    from widemargin.kernels import KERNELS

    own = ("kernel", "support", "machine")
    facts = {name: value for name, value in vars(model).items() if name not in own}
    name = next(name for name, kind in KERNELS.items() if type(model.kernel) is kind)
    kernel = {"name": name, **model.kernel._asdict()}
    if model.sigmoids is not None:
        from widemargin.calibration import spelt

        facts["sigmoids"] = spelt(model.sigmoids)
    return {**facts, "kernel": kernel, "n_features": model.n_features}


def digest(text: str, tensors: dict[str, Array]) -> str:
    h = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        h.update(name.encode())
        h.update(str(tensors[name].shape).encode())
        h.update(np.ascontiguousarray(tensors[name]).data)
    return f"sha256:{h.hexdigest()}"


def load(path: model_file.PathLike) -> Any:
    """The Model or KernelModel in a file. Raises ModelFileError for anything that is not a whole
    model file."""
    name = os.fspath(path)
    text, tensors, found = _peek(name)
    if FORMAT not in text:
        return model_file.load(path)
    if found != digest(text, tensors):
        raise _refused(name, "contents that do not match their digest")
    try:
        facts = json.loads(text)
        if facts.pop("format") != FORMAT:
            raise _refused(name, "metadata of another program")
        version = facts.pop("version")
        if version not in (1, VERSION):
            raise ModelFileError(
                f"{name}: found a model file of version {version!r}; this widemargin {__version__} "
                f"reads up to {VERSION}. Update widemargin, or train again."
            )
        model = _model(name, facts, tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _refused(name, f"metadata that do not describe a model ({error})") from None
    return model


def _model(name: str, facts: dict[str, Any], tensors: dict[str, Array]) -> Any:
    from widemargin.calibration import Sigmoid
    from widemargin.kernel_model import KernelModel, misfit
    from widemargin.kernel_scores import Machine
    from widemargin.kernels import KERNELS

    kernel = facts.pop("kernel")
    made = KERNELS[kernel.pop("name")](**kernel)
    machine = Machine(tensors["coef"], tensors["counts"], tensors["intercept"])
    support = _rows(name, tensors, facts.pop("n_features"))
    facts["labels"] = tuple(facts["labels"])
    if facts.get("sigmoids") is not None:
        facts["sigmoids"] = tuple(Sigmoid(*pair) for pair in facts["sigmoids"])
    model = KernelModel(made, support, machine, **facts)
    problem = misfit(model)
    if problem:
        raise _refused(name, problem)
    return model


def _rows(name: str, tensors: dict[str, Array], n_features: int) -> Rows:
    """The support vectors; kernels trust their indices, so they are looked at."""
    from widemargin.data.checks import look

    if "X" in tensors:
        if tensors["X"].ndim != 2 or tensors["X"].shape[1] != n_features:
            raise _refused(name, f"support vectors {tensors['X'].shape} of {n_features} features")
        return Dense(as_read_only(tensors["X"]))
    values, indices, indptr = (as_read_only(tensors[key]) for key in Sparse._fields[:3])
    rows = Sparse(values, indices, indptr, n_features)
    found = look(rows)
    if not found.ends or found.repeats or found.top >= n_features:
        raise _refused(name, "support vectors whose indices do not fit")
    return rows


def _peek(name: str) -> tuple[str, dict[str, Array], str | None]:
    """(metadata text, tensors, digest) if it is a file of this family; empty text if it is not."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(name, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            text = metadata.get("widemargin", "")
            if FORMAT not in text:
                return "", {}, None
            types = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            if any(TYPES.get(key) != kind for key, kind in types.items()):
                raise _refused(name, f"tensors {types}")
            return text, {key: file.get_tensor(key) for key in types}, metadata.get("digest")
    except ModelFileError:
        raise
    except (SafetensorError, OSError, ValueError, OverflowError, MemoryError, TypeError):
        return "", {}, None  # said in full by the reader of linear models


def _refused(name: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"{name}: found {found}; accepted: a model file that widemargin wrote. "
        "Copy it again, or train again."
    )
