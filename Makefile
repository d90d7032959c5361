# `make run` starts everything; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= config/recursive.yaml
# Processes that the tests run in: most wait for programs that they started. Each has
# whole files, so what a module shares is made once. 0 for one, as a debugger wants it.
WORKERS ?= 4
NODE_WORKERS ?= 2

# What is in Node, and its packages. Without npm it is skipped.
NPM := $(shell command -v npm)
NODE_STAMPS = $(if $(NPM),node/node_modules/.stamp tests/node/node_modules/.stamp)
NODE_TESTS = $(if $(NPM),$(shell find node tests -name node_modules -prune -o \
	\( -name '*.test.js' -o -name '*.test.mjs' \) -print 2>/dev/null))

# Debian packages that tests use. A test whose package is absent is skipped by name, and
# fails where CI=true (tests/conftest.py, requires_tool).
TEST_PACKAGES := strace faketime rsyslog rsyslog-czmq iproute2 iptables \
	e2fsprogs util-linux lnav openssl prometheus-alertmanager

# A thousand processes start in a test run: compiling 130 modules anew takes each 0.4 s.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test types-and-node python-tests lint ruff types faults bench config test-tools check-node

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: $(VENV)/run.stamp ## install what is missing, then start the whole pipeline
	@exec $(BIN)/pipeline up --config $(CONFIG)

# Types and the tests of Node are done while those of Python wait for their processes.
test: $(VENV)/test.stamp check-node ruff $(NODE_STAMPS) ## lint, and the tests of Node and Python
	$(MAKE) --no-print-directory --jobs=2 types-and-node python-tests
	$(BIN)/pytest -q -rs -m alone

# What Node's tests print comes when they have ended, in one piece.
types-and-node: types
	$(if $(NODE_TESTS),node --test --test-concurrency=$(NODE_WORKERS) $(NODE_TESTS) \
		> $(VENV)/node-tests.log 2>&1; code=$$?; cat $(VENV)/node-tests.log; exit $$code)

python-tests: $(VENV)/test.stamp
	$(BIN)/pytest -q -rs -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone"

lint: ruff types ## ruff and mypy; eslint, prettier and tsc

ruff: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/test.stamp $(NODE_STAMPS)
	$(BIN)/mypy
	$(if $(NPM),npm run --silent --prefix node lint)

faults: $(VENV)/test.stamp ## the long forms of the faults (FAULTS="names" for some)
	$(BIN)/python -m tests.faults $(FAULTS)

bench: $(VENV)/bench.stamp ## measure, and write the table of the README
	$(BIN)/python -m bench.report

config: $(VENV)/run.stamp ## make the schema, default.yaml and the copies of node/ anew
	$(BIN)/python -m pipeline.settings > config/schema.json
	$(BIN)/python -m pipeline.settings --defaults > config/default.yaml
	$(BIN)/python -m pipeline.tools > node/src/tools.json
	cp pipeline/redaction.json node/src/collectors/
	cp config/default.yaml config/recursive.yaml config/schema.json node/config/

test-tools: ## install the Debian packages that tests use (as root)
	@for package in $(TEST_PACKAGES); do \
		dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy $$missing; }

# What is installed is reused until pyproject.toml changes.
$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV), with the tools of the tests"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV), with what it is measured against"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	@touch $@ $(VENV)/run.stamp

# Their binaries are in the packages: no script has to run to build them.
%/node_modules/.stamp: %/package-lock.json
	@echo "installing into $*/node_modules"
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) is missing: sudo apt-get install -y python3 python3-venv" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) --version) is too old; 3.11 or newer is needed:" \
			"sudo apt-get install -y python3.11 python3.11-venv," \
			"then: make PYTHON=python3.11" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) can't make virtual environments:" \
			"sudo apt-get install -y python3-venv" >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Debian 12 has Node 18; the tests in JavaScript need node:test as of 20.
check-node:
	@version=$$(node --version 2>/dev/null | sed 's/^v//; s/\..*//'); \
	[ "$${version:-0}" -ge 20 ] || { \
		echo "Node 20 or newer is needed, here is $${version:-none}:" \
			"curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash -" \
			"&& sudo apt-get install -y nodejs" >&2; \
		$(if $(NODE_TESTS),exit 1,true); }
