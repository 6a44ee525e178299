# The daily verbs. Everything works on a fresh machine with Python >= 3.11 and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell getconf _NPROCESSORS_ONLN)
# Each worker starts servers of its own, so more than four cost more memory than they save time. Servers that run already
# are shared, and the tests of roles would meet on them: then there is one process.
WORKERS ?= $(if $(METERING_TEST_STACK),0,$(shell echo $$(( $(CORES) < 4 ? $(CORES) : 4 ))))
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n $(WORKERS) --dist loadgroup
SERVERS := .local/servers.json

.DEFAULT_GOAL := help
.PHONY: help demo dev servers test check lint types imports unit coverage matrix bench faults simulation containers image lock captures screenshot schemas dashboards strimzi sbom client native clean

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

# --no-deps: the lock names everything. Else an older pip that meets an extra (coverage[toml]) takes the newest release for it,
# which is not in the lock, from the day on which one appears.
$(BIN)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(BIN)/.installed  ## play the whole story on embedded servers, in about a minute
	$(BIN)/python -m deploy.local.demo

dev: $(BIN)/.installed  ## leave the same stack running; KAFKA=apache NAME=second
	$(BIN)/python -m deploy.local.dev $(if $(KAFKA),--kafka $(KAFKA)) $(if $(NAME),--name $(NAME))

test: $(BIN)/.installed  ## run every test on the best real servers found
	$(PYTEST) $(PARALLEL)

check: $(BIN)/.installed  ## lint, types, import rules and unit tests, side by side
	@.ci/side-by-side lint types imports unit

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy

imports: $(BIN)/.installed
	$(BIN)/lint-imports

unit: $(BIN)/.installed
	$(PYTEST) -q $(PARALLEL) tests/unit tests/architecture

servers: $(BIN)/.installed  ## keep test servers running, so that one test starts at once
	@mkdir -p $(dir $(SERVERS))
	@echo "in another shell: export METERING_TEST_STACK=$(SERVERS)"
	$(BIN)/python -m deploy.local.stack --write $(SERVERS)

coverage: $(BIN)/.installed  ## show what the unit tests run, and fail where it became less
	$(PYTEST) -q $(PARALLEL) --cov --cov-report=term:skip-covered tests/unit tests/architecture

matrix: $(BIN)/.installed  ## unit tests on every Python, and the store's tests on every Postgres found here
	.ci/matrix

bench: $(BIN)/.installed  ## measure rates, latencies and limits on real servers
	$(BIN)/python -m tests.bench

faults: $(BIN)/.installed  ## the fault campaign: kills, stops, cut connections; the oracle decides
	$(BIN)/python -m tests.faults

simulation: $(BIN)/.installed  ## play histories with faults in virtual time, without servers; SEEDS=1000000 MINUTES=60
	$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MINUTES),--minutes $(MINUTES))

containers: $(BIN)/.installed  ## build the image and check the compose stack, with stand-ins where no registry is
	@$(BIN)/python -m tests.containers

image:  ## build the image for production; BASE=python:3.12-slim@sha256:…
	@deploy/make-image "$(BASE)"

dashboards: $(BIN)/.installed  ## write Grafana's dashboards again
	$(BIN)/python -m deploy.grafana.dashboards

strimzi: $(BIN)/.installed  ## write Kafka's topics and users for Kubernetes again
	$(BIN)/python -m deploy.strimzi

captures: $(BIN)/.installed  ## write what commands print to tests/golden again; look at it
	$(PYTEST) -q -n 0 --write-captures tests/e2e/test_terminal.py

screenshot: $(BIN)/.installed  ## take the README's picture of the console again; look at it
	$(PYTEST) -q -n 0 tests/integration/console/test_pictures.py -k readme
	cp .local/console/readme.png projections/console/usage.png

schemas: $(BIN)/.installed  ## write the JSON Schema files and the AsyncAPI document again
	$(BIN)/python -m schemas.generate

sbom: $(BIN)/.installed  ## write what the image holds to stdout, as CycloneDX
	@$(BIN)/python -m deploy.sbom

client: $(BIN)/.installed  ## build the wheel for services that send events
	$(BIN)/python -m deploy.client.build

lock: $(BIN)/.installed  ## pin the dependencies again, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev \
	    --custom-compile-command 'make lock' -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra traces \
	    --constraint requirements.lock --custom-compile-command 'make lock' -o deploy/requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --constraint requirements.lock --custom-compile-command 'make lock' -o deploy/client/requirements.lock \
	    deploy/client/pyproject.toml

native: $(BIN)/.installed  ## compile what the meter does with every event, where cargo is: three quarters less work
	CARGO_TARGET_DIR=$(CURDIR)/.local/native $(BIN)/pip install --quiet --disable-pip-version-check --no-deps \
	    --no-build-isolation --force-reinstall ./schemas/native

clean:  ## remove the environment and local data
	rm -rf $(VENV) .local build dist *.egg-info .coverage
