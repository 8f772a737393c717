# `make demo` and `make test` need Debian's python3 (3.11 or newer) and make, nothing else. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3
# Installed first and by itself. PyPI's torch for Linux brings gigabytes of CUDA; for another build name its index, too:
# TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet --quiet
OUT ?= demo-output
# Arguments for pytest, as in: make unit PYTEST="-k video -x"
PYTEST ?=
# So many processes share the tests out among them, a file each.
JOBS ?= 2
SHARED_OUT := -n $(JOBS) --dist loadfile
# Small tensors on two threads of a busy machine take ten times as long as on one.
unit widget-tests async-tests: export OMP_NUM_THREADS = 1
HERE := not gpu and not official_weights
# Only xcb draws the canvas; Qt's offscreen platform leaves it blank. pytest-xvfb starts a display for each process:
# on one that they share, they share the mouse pointer, too.
DISPLAYED := PYTHONFAULTHANDLER=1 NAPARI_STRICT_QT=raise QT_QPA_PLATFORM=xcb
# What scripts/system_libraries.sh does about a library that it cannot install: `advise` warns, `require` fails.
LIBRARIES := advise
test widget-tests async-tests: LIBRARIES := require

.PHONY: help venv system-libraries demo test lint types contracts unit widget-tests async-tests gpu-tests parity format clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## make .venv with everything installed in it

system-libraries:
	@PYTHON="$(PYTHON)" scripts/system_libraries.sh $(LIBRARIES)

$(STAMP): pyproject.toml | system-libraries
	@echo "Installing into $(VENV) (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable ".[all]" --group dev
	@touch $@

demo: $(STAMP) system-libraries  ## track the sample movie and write the results to demo-output
	@$(BIN)/napari-sam2 demo --out $(OUT)

test: lint types contracts unit widget-tests async-tests  ## everything that needs neither a GPU nor a download

lint: $(STAMP)  ## ruff, the linter and the formatter
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; exit 1; }

types: $(STAMP)  ## mypy, strict
	@$(BIN)/mypy

contracts: $(STAMP)  ## import-linter: imports point down only
	@$(BIN)/lint-imports --no-logo

unit: $(STAMP)  ## the tests that need no display, with the Qt plugins of pytest off
	@$(BIN)/pytest --no-xvfb -p no:napari -p no:pytest-qt $(SHARED_OUT) -m "not widget and $(HERE)" $(PYTEST)

widget-tests: $(STAMP) system-libraries  ## the tests that open napari, on a virtual display
	@$(DISPLAYED) $(BIN)/pytest $(SHARED_OUT) -m "widget and $(HERE)" $(PYTEST)

# All widget tests pass like that, but take as long once more: make async-tests ASYNC=widget
ASYNC ?= async_slicing
async-tests: $(STAMP) system-libraries  ## some tests of the widget again, while napari slices in another thread
	@NAPARI_ASYNC=1 $(DISPLAYED) $(BIN)/pytest $(SHARED_OUT) -m "$(ASYNC) and $(HERE)" $(PYTEST)

gpu-tests: $(STAMP)  ## the tests that need a CUDA device
	@$(BIN)/pytest -m gpu $(PYTEST)

parity: $(STAMP)  ## the tests that need the official SAM 2 checkpoints
	@$(BIN)/pytest -m official_weights $(PYTEST)

format: $(STAMP)  ## let ruff format and fix what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:  ## remove what was built and cached
	@rm -rf build dist $(OUT) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src model tests scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove .venv as well
	@rm -rf $(VENV)
