# `make demo` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := kernels engine training serving
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench bench-quick proto clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(VENV)/.ready ## make .venv with the pinned versions of constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "ebbtide needs Python 3.11 or newer, found %d.%d: run make PYTHON=python3.11" % v[:2])'
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once; a minute or two) ..."
	@$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[demo,dev,train]'
	@touch $@

demo: setup ## the main job on real data, from the purchase log to answers over gRPC
	@$(BIN)/ebbtide demo --store ebbtide-store

test: setup ## all tests
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --no-loadscope-reorder

check: setup ## lint, types, layers, wire contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against tests/contract/ebbtide-v1.json
	$(BIN)/python -m serving.generate --check

bench: setup ## benchmarks beside their peers; results in benchmarks/results
	$(BIN)/python -m pytest benchmarks

bench-quick: setup ## one round of each benchmark, as CI runs them
	$(BIN)/python -m pytest benchmarks --quick

proto: setup ## write serving/pb anew from proto/
	$(BIN)/python -m serving.generate

clean: ## remove what make made
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .benchmarks .hypothesis
