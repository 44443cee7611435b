# Everything runs in environments of its own: .venv and, for the peers, .venv-bench.
# Needs Python >= 3.11 with pip and venv, nothing else.

PYTHON ?= python3
VENV := .venv
BENCH := .venv-bench
RUN := $(VENV)/bin/python
JOBS ?= 2
PYTEST := $(RUN) -m pytest
TOGETHER := -n $(JOBS) --dist loadgroup --no-loadscope-reorder

.PHONY: demo test test-all check fuzz bench clean

demo: $(VENV)/ready  ## train on the RCV1-shaped corpus and print the table
	$(VENV)/bin/widemargin demo --plot demo.png

test: $(VENV)/ready check  ## style, types and the test suite
	$(PYTEST) $(TOGETHER) -m "not slow and not ray"
	$(PYTEST) -m "not slow and ray"

test-all: $(VENV)/ready check  ## also the long tests
	$(PYTEST) $(TOGETHER) -m "not ray"
	$(PYTEST) -m ray

check: $(VENV)/ready  ## style and types
	$(VENV)/bin/ruff check src tests benchmarks
	$(VENV)/bin/ruff format --check src tests benchmarks
	$(VENV)/bin/mypy

fuzz: $(VENV)/ready  ## 100,000 inputs to the reader, then as many with bounds checking
	$(RUN) tests/fuzz_reader.py --runs 100000 --seed 0
	NUMBA_BOUNDSCHECK=1 $(RUN) tests/fuzz_reader.py --runs 100000 --seed 1

bench: $(BENCH)/ready  ## against scikit-learn, LIBLINEAR, Snap ML and Vowpal Wabbit
	$(BENCH)/bin/python benchmarks/run.py --repeat 3 --out bench-results

$(VENV)/ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

$(BENCH)/ready: requirements/bench.txt pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) $(BENCH) build dist *.egg-info src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
