# One command each; `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
EMULATOR := .venv-emulator
DATA ?= data
.DEFAULT_GOAL := help
.PHONY: help setup run demo test check bench docs clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The first Python that really runs and is new enough: a name on PATH may be a shim that fails.
$(VENV)/.made:
	@set -e; for python in python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    $$python -m venv $(VENV); touch $@; echo "using $$($(BIN)/python -V) in $(VENV)"; exit 0; fi; \
	done; echo "mcp-responder needs Python 3.11 or later with the venv module"; exit 1

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/.made
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# An emulator of AWS, which some tests talk to; its packages are none of ours.
$(EMULATOR)/.made: requirements/emulator.txt | $(VENV)/.made
	@test -x $(EMULATOR)/bin/python || $(BIN)/python -m venv $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

setup: $(VENV)/.run ## make .venv with everything that the service needs

run: setup ## serve on 127.0.0.1:8080 with the data in ./data
	@exec $(BIN)/mcp-responder serve

demo: setup ## replay an incident through a throw-away service and show the report
	@exec $(BIN)/mcp-responder demo

test: $(VENV)/.dev $(EMULATOR)/.made ## run the tests
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, types, import rules, and that generated docs are fresh
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m docs.generate --check

bench: $(VENV)/.dev ## measure, side by side with peers where they are installed
	@$(BIN)/python -m bench

docs: $(VENV)/.dev ## write the generated reference pages
	@$(BIN)/python -m docs.generate

clean: ## remove what was made; the data folder stays
	rm -rf $(VENV) $(EMULATOR) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
