"""The house rules, read from the source: layers, sizes, docstrings, cheap import."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "widemargin"
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = {  # an import may only point to a lower layer, or stay within its own folder
    "cli": 10,
    "reports": 9,
    "demo": 8,
    "demo_plot": 9,
    "demo_tour": 9,
    "explanation": 8,
    "kernel_model_file": 8,
    "model_file": 7,
    "kernel_model": 7,
    "bounded": 7,
    "fitted_model": 6.5,
    "model": 6,
    "estimators": 6,
    "nets": 6,
    "cluster": 5.5,
    "run": 5,
    "watching": 4.7,  # what the parameter server tells, read
    "opening": 5,
    "features": 4,  # words and tables to rows: reads `data`, is kept in models, fits nothing else
    "ps": 4.5,
    "solvers": 4,
    "scores": 2.5,
    "kernel_scores": 4.5,
    "kernels": 2,
    "objective": 3,
    "schedules": 2,
    "duals": 2,
    "penalties": 1,
    "losses": 1,
    "shared_arrays": 1.5,
    "data": 1,
    "_atomics": 0.5,
    "_jit": 0,
    "calibration": 0,
    "colours": 0,
    "files": 0,
    "threads": 0,
    "memory": 0,
    "errors": -1,
    "_version": 0,
}
HOMES = {
    "sklearn": ("estimators", "cli", "demo", "features"),  # features: its vectorisers and scalers
    "pyarrow": ("data/parquet",),
    "torch": ("nets",),
    "ray": ("run/cluster",),
}
LONGEST_FILE, LONGEST_BODY, LONGEST_KERNEL = 300, 40, 30


def name_of(path):
    return path.relative_to(ROOT).with_suffix("").as_posix()


def imports(path):
    """(module, line) of every import, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.module, node.lineno


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    home = name_of(path).split("/")[0]
    if home == "__init__":
        return
    for module, line in imports(path):
        parts = module.split(".")
        if parts[0] == "widemargin" and len(parts) > 1 and parts[1] != home:
            assert LAYERS[parts[1]] < LAYERS[home], (module, line)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_stay_in_their_rooms(path):
    for module, line in imports(path):
        rooms = HOMES.get(module.split(".")[0])
        assert rooms is None or name_of(path).startswith(rooms), f"{path}:{line} imports {module}"


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, widemargin; print(*{m.split('.')[0] for m in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT.parent)},
    )
    heavy = {"numpy", "numba", "scipy", "sklearn", "torch", "ray", "typer", "rich"}
    assert not heavy & set(result.stdout.split())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sizes(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST_FILE or any("# long:" in line for line in lines[:40])
    for node in functions(path):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        size = node.end_lineno - body[0].lineno + 1 if body else 0
        kernel = any("kernel" in ast.unparse(d) for d in node.decorator_list)
        excused = "# long:" in "\n".join(lines[max(node.lineno - 4, 0) : node.end_lineno])
        assert excused or size <= (LONGEST_KERNEL if kernel else LONGEST_BODY), (node.name, size)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_and_public_classes_say_what_they_are(path):
    tree = ast.parse(path.read_text())
    assert name_of(path) == "_version" or ast.get_docstring(tree), "the module"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or only_fields(node), node.name


def only_fields(node):
    """A NamedTuple whose fields explain themselves, each with its own comment."""
    return all(isinstance(part, ast.AnnAssign | ast.FunctionDef) for part in node.body)


@pytest.mark.parametrize(
    "name",
    ["LinearSVC", "LinearSVCCV", "SGDClassifier", "Perceptron", "SVC"]
    + ["explain", "open", "path", "report"],
)
@pytest.mark.filterwarnings("default")
def test_examples_of_public_names_run(name):
    import widemargin

    thing = getattr(widemargin, name)
    finder = doctest.DocTestFinder(recurse=False)
    tests = finder.find(thing, name, module=importlib.import_module(thing.__module__))
    for test in tests:
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
