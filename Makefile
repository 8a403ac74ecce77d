# `make study` and `make test` set themselves up; everything else assumes one of them has run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Python compiles what is imported, when it is; compiling all that is installed takes a minute more.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Takes three seconds, and installs in two thirds of the time of what Python 3.11 brings.
NEW_PIP := pip==26.3
ROOT ?= studies
# Ray, MLflow and torch are imported by every process that is started here: compiling them takes longer than most tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test test-all check suite fault-test cluster-test bench reference lock clean

study: $(READY)  ## Install, then run the digits study: search, confirmation, report, export.
	$(BIN)/study launch study/examples/digits.yaml --root $(ROOT)

test: $(READY)  ## Install, then run everything that continuous integration runs.
	$(MAKE) --no-print-directory --jobs 2 check suite

test-all: $(READY)  ## The same with every combination of components, the tutorial, the notebook and what else takes long.
	STUDY_COMBINATIONS=all $(MAKE) --no-print-directory test

check: $(READY)  ## Formatting, lint, types and the import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread each: processes with more threads than cores wait for each other. In the order of the folders: by itself xdist
# begins with the files of most tests, and ends with one of few and long.
suite: $(READY)  ## Run the tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

fault-test: $(READY)  ## Inject every fault, and print what each has left.
	STUDY_FAULTS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults --numprocesses 2 --dist load --durations 0

cluster-test: $(READY)  ## As root: build hosts, and run cluster.yaml on them from `ray up` to `ray down`.
	STUDY_CLUSTER=1 $(BIN)/python -m pytest --capture no --exitfirst tests/cluster -m cluster

bench: $(READY)  ## Compare with the usual ways, side by side.
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/shares.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/control_plane.py
	$(BIN)/python benchmarks/search_history.py
	$(BIN)/python benchmarks/scaling.py
	test -z "$(OMNIGLOT)" || $(BIN)/python benchmarks/losses.py $(OMNIGLOT)
	test -z "$(OMNIGLOT)" || $(BIN)/python benchmarks/quality.py $(OMNIGLOT)

reference: $(READY)  ## Write docs/reference.md and the component tables of the README anew.
	$(BIN)/python -m study.manual > docs/reference.md
	mkdir -p build && $(BIN)/study components --markdown > build/components.md
	sed -i -e '/<!-- components -->/,/<!-- end -->/{//!d}' -e '/<!-- components -->/r build/components.md' README.md

lock:  ## Resolve the newest allowed versions and pin them.
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0 -e ".[dev]"
	build/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

clean:  ## Remove the virtual environment; studies stay.
	rm -rf $(VENV) build

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(NEW_PIP)
	$(PIP) -r requirements.lock
	$(PIP) --no-deps -e .
	touch $(READY)
