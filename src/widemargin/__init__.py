"""Large-scale learning with margins and gradients; every fit ends with a certificate."""

from importlib import import_module as _import_module
from typing import Any as _Any

from widemargin._version import __version__ as __version__

_HOMES = {  # public name → the module that holds it, imported on first use
    "Async": "widemargin.cluster",
    "Certificate": "widemargin.objective",
    "Cluster": "widemargin.cluster",
    "Dataset": "widemargin.data.dataset",
    "KernelModel": "widemargin.kernel_model",
    "LinearSVC": "widemargin.estimators.linear_svc",
    "LinearSVCCV": "widemargin.estimators.linear_svc_cv",
    "Model": "widemargin.model",
    "OneVsRestClassifier": "widemargin.estimators.one_vs_rest",
    "Perceptron": "widemargin.estimators.perceptron",
    "RoundRobin": "widemargin.cluster",
    "SGDClassifier": "widemargin.estimators.sgd",
    "SVC": "widemargin.estimators.svc",
    "Sync": "widemargin.cluster",
    "explain": "widemargin.explanation",
    "fit_store": "widemargin.bounded",
    "load": "widemargin.kernel_model_file",
    "open": "widemargin.opening",
    "path": "widemargin.estimators.path",
    "report": "widemargin.reports.api",
    "save": "widemargin.kernel_model_file",
}


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'widemargin' has no attribute {name!r}")
    return getattr(_import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
