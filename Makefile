# make verify: sets up, runs the main job.   make test: sets up, passes the tests.
# Each target creates .venv when it is missing or when the pins have changed, and does nothing twice.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS := .venv/.docs
# Two processes of one thread each: more threads only get in each other's way on two cores.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: verify test tests test-oldest test-newest load theorem proofs figures docs browser lint format clean help

help:
	@sed -n '1,2p' Makefile
	@echo "make theorem | proofs | figures | docs | browser | lint | format | clean"

.venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

verify: $(STAMP)
	$(BIN)/python -m verify
	$(BIN)/python -m verify prove --recheck

# Linters and tests side by side: mypy is one process, and would leave the other core idle.
test: $(STAMP)
	$(MAKE) --no-print-directory -j 2 lint tests

tests: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

# The oldest versions that pyproject.toml admits, and the newest there are: each in an environment of its own.
# TESTS chooses what is run there, for example: make test-oldest TESTS=tests/verify/networks
TESTS ?=

test-oldest test-newest: test-%:
	$(PYTHON) -m venv .venv-$*
	$(PYTHON) -m verify.studies.oldest $* > .venv-$*/constraints.txt
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-$*/constraints.txt torch
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-$*/constraints.txt -e '.[dev]'
	.venv-$*/bin/python -m pytest -q -n 2 --dist worksteal $(TESTS)

load: $(STAMP)
	$(BIN)/python -m pytest -q -m load --busy 6

theorem: $(STAMP)
	$(BIN)/python -m pytest -q -m theorem -n 2

# Coq and MathComp check theory/proofs; where they are missing it says how to install them.
proofs: $(STAMP)
	$(BIN)/python -m verify.studies.formal_proofs

figures: $(STAMP)
	$(BIN)/python -m figures make --scale smoke

# The site: MkDocs and marimo from PyPI, MathJax from npm, both pinned. What it builds needs no network.
$(DOCS): $(STAMP) package-lock.json
	@command -v npm >/dev/null || { echo "make docs needs Node.js with npm, for MathJax"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	npm ci --silent --no-audit --no-fund
	touch $@

docs: $(DOCS)
	$(BIN)/python -m verify.studies.site

# The pages in a headless Chromium, with axe; where something is missing the tests say so and are skipped.
browser: docs
	$(BIN)/python -m pytest -q tests/browser

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-oldest .venv-newest build site node_modules *.egg-info reports
