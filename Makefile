# The daily verbs. Everything works on a fresh machine with Python >= 3.11 and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo dev test check lint types imports unit bench faults lock schemas clean

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

$(BIN)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(BIN)/.installed  ## play the whole story on embedded servers, in about a minute
	$(BIN)/python -m deploy.local.demo

dev: $(BIN)/.installed  ## start the same stack, leave it running and print the addresses
	$(BIN)/python -m deploy.local.dev

test: $(BIN)/.installed  ## run every test on the best real servers found
	$(BIN)/python -m pytest

check: lint types imports unit  ## lint, types, import rules and unit tests

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy

imports: $(BIN)/.installed
	$(BIN)/lint-imports

unit: $(BIN)/.installed
	$(BIN)/python -m pytest -q tests/unit tests/architecture

bench: $(BIN)/.installed  ## measure rates, latencies and limits on real servers
	$(BIN)/python -m tests.bench

faults: $(BIN)/.installed  ## the fault campaign: kills, stops, cut connections; the oracle decides
	$(BIN)/python -m tests.faults

schemas: $(BIN)/.installed  ## write the JSON Schema files and the AsyncAPI document again
	$(BIN)/python -m schemas.generate

lock: $(BIN)/.installed  ## pin the dependencies again, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev \
	    --custom-compile-command 'make lock' -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --constraint requirements.lock --custom-compile-command 'make lock' -o deploy/requirements.lock pyproject.toml

clean:  ## remove the environment and local data
	rm -rf $(VENV) .local build *.egg-info
