# make demo | test | check | lint | lab-test | bench | build; every target sets up what it needs in .venv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help setup demo test check lint format bench bench-causes bench-matrix bench-screens bench-kubeflow build docs pictures clean lab-up lab-down lab-test lab-campaign

N ?= 3
LAB := tests/lab/lab/lab.sh

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kfinstall needs Python 3.11 or newer; run: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

setup: $(STAMP)  ## Make .venv with everything in it

demo: $(STAMP)  ## Install a three-node cluster on the embedded simulator
	$(BIN)/kfinstall demo

test: $(STAMP)  ## Run all tests
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST)

lint: $(STAMP)  ## Lint, types, layers, shell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck -x -P scripts $$(find scripts tests -name '*.sh')
	$(BIN)/yamllint -s assets examples

lab-up:  ## Start N real Debian nodes on this machine (root, Linux)
	$(LAB) up $(N)

lab-down:  ## Take them down; only the cache in .lab stays
	$(LAB) down

lab-test: $(STAMP)  ## Run the tests that need real nodes; starts and ends a lab unless one runs
	KFINSTALL_LAB=1 $(BIN)/python -m pytest tests/lab -m 'lab and not campaign' $(PYTEST)

lab-campaign: $(STAMP)  ## Kill and cut the power at thirty random instants, and resume each
	KFINSTALL_LAB=1 $(BIN)/python -m pytest tests/lab -m campaign $(PYTEST)

check: lint test  ## Exactly what CI runs

format: $(STAMP)  ## Format the code
	$(BIN)/ruff check --fix -q . || true
	$(BIN)/ruff format .

bench: $(STAMP)  ## Measure against peers, side by side (needs sshd)
	$(BIN)/python -m tests.bench

bench-causes: $(STAMP)  ## How often the right cause is named, over what clusters say
	$(BIN)/python -m tests.bench.bench_causes

bench-matrix: $(STAMP)  ## Measure a whole check with the ways between the servers, on 3 to 100 simulated ones
	$(BIN)/python -m tests.bench.bench_matrix $(BENCH)

bench-screens: $(STAMP)  ## Measure the screens under load: log lines by the million, first paint, keys in the middle of an install
	$(BIN)/python -m tests.bench.bench_screens $(BENCH)

bench-kubeflow: $(STAMP)  ## Measure waves against the guide's loop on a real API server (root, KUBEBUILDER_ASSETS; DOCUMENTS=rendered.yaml[.gz])
	$(BIN)/python -m tests.bench.bench_kubeflow --documents $(DOCUMENTS) $(BENCH)

build: $(STAMP)  ## Build wheel and sdist
	$(BIN)/python -m build --outdir dist .

pictures: $(STAMP)  ## Draw docs/tour: a walk through the wizard on the simulator, typed into a terminal (tmux)
	$(BIN)/python -m docs.tour

docs: $(STAMP)  ## Write the generated documents anew
	$(BIN)/python docs/generate.py

clean:  ## Remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
