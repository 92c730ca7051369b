# Heed needs Python >= 3.11 with venv, and make. Everything else is set up here, in .venv.
#
#   make run      sets everything up, then runs the whole loop on the sandbox: prints the ladder and the report's path
#   make test     sets everything up, then runs all checks and tests
#   make bench    sets everything up, then measures Heed beside TRL, vLLM and transformers
#
#   make run SEED=1 WORKSPACE=another       another run beside the first
#   make run TORCH_INDEX=URL                take PyTorch from another index (its CPU build is ten times smaller)
#   make test PYTHON=python3.12 JOBS=4      another Python; more test processes

SHELL       := /bin/bash
PYTHON      ?=
TORCH_INDEX ?=
WORKSPACE   ?= workspace
SEED        ?= 0
JOBS        ?= 2
ARGS        ?=

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/ready-to-run
TOOLS := $(VENV)/ready-to-test
PIP   := $(BIN)/python -m pip --disable-pip-version-check
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help run test bench check format coverage docs lock clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(READY) ## set up, then the whole loop on the sandbox
	@$(BIN)/heed run sandbox --workspace $(WORKSPACE) --seed $(SEED) $(ARGS)

test: check ## set up, then all checks and tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS)

bench: $(READY) ## speed and memory beside TRL, vLLM and transformers (ARGS=--quick)
	@$(BIN)/python -m benchmarks.speed $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX)) $(ARGS)

check: $(TOOLS) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src

format: $(TOOLS) ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(TOOLS) ## which lines the tests reach
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --cov --cov-report=term

docs: $(TOOLS) ## write the tables of docs/configuration.md anew
	$(BIN)/python tests/test_docs.py

clean: ## remove what was set up; a workspace stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# The second call finds these files newer than what they were made from, and does nothing.

$(READY): requirements.lock pyproject.toml
	@$(make_venv)
	@echo "Installing PyTorch and the rest into $(VENV): once, a few minutes."
	$(PIP) install $(INDEX) -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(TOOLS): $(READY) requirements-dev.lock
	$(PIP) install -r requirements-dev.lock
	@touch $@

lock: ## resolve pyproject.toml anew and pin what comes out
	@rm -rf build/lock && mkdir -p build
	$(BIN)/python -m venv build/lock
	build/lock/bin/pip install --quiet $(INDEX) . 'hatchling>=1.27' editables
	$(call freeze,requirements.lock)
	build/lock/bin/pip install --quiet $(INDEX) '.[dev]'
	$(call freeze,build/all.lock)
	{ echo "# What the checks and tests need besides requirements.lock. Made by: make lock"; \
	  grep -vxFf requirements.lock build/all.lock; } > requirements-dev.lock

define freeze
{ echo "# What Heed needs to run, in exact versions. Made by: make lock"; \
  build/lock/bin/pip freeze --all --exclude pip --exclude heed | sed -E 's/\+[a-z0-9.]+$$//'; } > $(1)
endef

# The newest suitable Python that is installed, or PYTHON=... if given.
define make_venv
for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found=$$python && break; \
done; \
if [ -z "$$found" ]; then \
  echo "Heed needs Python 3.11 or newer; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) -V 2>&1 | tail -n 1)." >&2; \
  echo "Install one (https://www.python.org/downloads), or name it: make run PYTHON=/path/to/python3.12" >&2; exit 2; \
fi; \
if ! "$$found" -m venv $(VENV); then \
  echo "$$found has no working venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 2; \
fi
endef
