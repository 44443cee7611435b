"""Deep nets through the parameter server: any torch module, any map-style dataset.

    trainer      Trainer: fit, evaluate, model, save, load
    optimizers   SGD, Adagrad, Adam, AdamW under torch's names, as rules of the server
    job          NetJob, NetTask: what a run computes
    local        LocalSGD, Downpour: several batches to a push
    flat         the parameters of a module as one vector
    samples      a dataset as blocks of one permutation an epoch
    forward      batches through a module: outputs, loss, precision
    engines      where it runs: in this process, in virtual time, on a cluster
    partitions   Partitions: a net cut among processes; partitioned, the job and its tasks
    layers       a net drawn without memory, filled layer by layer; balance, pieces, slicing
    pipeline     micro-batches through partitions; sliced: wide layers; links, gang: processes
    segments     a cut net evaluated without ever being whole
    evaluation   loss and metrics of a model; batch-norm statistics
    progress     a line on the terminal; tensorboard, mlflow: logs through their own writers

Only this folder imports torch.
"""

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import Any as _Any

_HOMES = {
    "Downpour": "widemargin.nets.local",
    "LocalSGD": "widemargin.nets.local",
    "NetJob": "widemargin.nets.job",
    "Partitions": "widemargin.nets.partitions",
    "Serial": "widemargin.nets.engines",
    "Trainer": "widemargin.nets.trainer",
    "Virtual": "widemargin.nets.virtual",
    "optimizers": "widemargin.nets.optimizers",
}


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'widemargin.nets' has no attribute {name!r}")
    if _find_spec("torch") is None:
        raise ImportError(
            "widemargin.nets needs torch, which is not installed. "
            "Install it with: pip install 'widemargin[nets]'"
        )
    home = _import_module(_HOMES[name])
    return home if name == "optimizers" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
