"""A pytest plugin: scikit-learn's own tests, as installed, run against our classes.

Before a test module is imported, SGDClassifier, Perceptron and LinearSVC in `sklearn.linear_model`
and `sklearn.svm` become ours, so that what the module builds on them (subclasses, wrappers,
parameter lists) is built on ours. Nothing of scikit-learn's files is changed or copied.

In scope are the cases that run one of the three: by a parameter that is the class, an instance,
or the module's wrapper of it; where no parameter is an estimator, by naming it in their source.
Out of scope are cases that look inside the estimator: whose code reads or writes an attribute
that begins with one underscore, spells such a name in a string, or uses a private module.

`--conformance-report FILE` writes the outcome of each case as JSON.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import textwrap
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from sklearn.base import BaseEstimator

OURS = {
    "SGDClassifier": ("sklearn.linear_model", "widemargin.estimators.sgd"),
    "Perceptron": ("sklearn.linear_model", "widemargin.estimators.perceptron"),
    "LinearSVC": ("sklearn.svm", "widemargin.estimators.linear_svc"),
    "SVC": ("sklearn.svm", "widemargin.estimators.svc"),
}
NAMED = re.compile(rf"\b_?(Sparse)?({'|'.join(OURS)})\b")
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def pytest_addoption(parser):
    parser.addoption("--conformance-report", default=None)


def pytest_configure(config):
    config.conformance = {}
    for name, (theirs, ours) in OURS.items():
        if find_spec(ours) is not None:
            setattr(importlib.import_module(theirs), name, swapped(ours, name))


def swapped(module, name):
    return getattr(importlib.import_module(module), name)


def estimator_name(value, module):
    """The name of the estimator that a parameter is or makes; None if it is something else."""
    if isinstance(value, type) and issubclass(value, BaseEstimator):
        return value.__name__
    if isinstance(value, BaseEstimator):
        return type(value).__name__
    if inspect.isfunction(value) and value.__module__ == module:
        return value.__name__
    return None


def runs_ours(item):
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = [estimator_name(value, item.module.__name__) for value in params]
    names = [name for name in names if name is not None]
    if names:
        return any(NAMED.fullmatch(name) for name in names)
    return NAMED.search(inspect.getsource(item.function)) is not None


def looks_inside(function):
    """Read from the source: pytest rewrites the asserts of the compiled function."""
    return any(
        private(node, function)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))
    )


def private(node, function):
    match node:
        case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return PRIVATE.fullmatch(name) is not None
        case ast.Name(id=name):
            value = function.__globals__.get(name)
            return isinstance(value, ModuleType) and "._" in value.__name__
    return False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    kept = [item for item in items if runs_ours(item) and not looks_inside(item.function)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    outcomes = item.config.conformance
    if report.when == "call" or report.outcome != "passed":
        outcomes[f"{item.module.__name__.rpartition('.')[2]}::{item.name}"] = report.outcome
    return report


def pytest_sessionfinish(session):
    target = session.config.getoption("--conformance-report")
    if target:
        Path(target).write_text(json.dumps(session.config.conformance, indent=1))
