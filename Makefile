# make demo | test | check | lint | bench | build; every target sets up what it needs in .venv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help setup demo test check lint format bench build docs clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

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
	$(BIN)/python -m pytest -n auto $(PYTEST)

lint: $(STAMP)  ## Lint, types, layers, shell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck -x -P scripts $$(find scripts -name '*.sh')
	$(BIN)/yamllint -s assets examples

check: lint test  ## Exactly what CI runs

format: $(STAMP)  ## Format the code
	$(BIN)/ruff check --fix -q . || true
	$(BIN)/ruff format .

bench: $(STAMP)  ## Measure against peers, side by side (needs sshd)
	$(BIN)/python -m tests.bench

build: $(STAMP)  ## Build wheel and sdist
	$(BIN)/python -m build --outdir dist .

docs: $(STAMP)  ## Write the generated documents anew
	$(BIN)/python docs/generate.py

clean:  ## Remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
