# Two commands are all a new user needs: `make demo` and `make test`.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-real test-slow test-engines torture test-all bench judge lint clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo:  ## install into .venv, snapshot and verify the examples, leave archive and report in demo-out/
	@PYTHON='$(PYTHON)' sh examples/demo.sh

.venv/installed: pyproject.toml
	@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo 'Python has no venv module: apt install python3-venv' >&2; exit 1; }
	'$(PYTHON)' -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

lint: .venv/installed  ## ruff, mypy, import contracts
	$(BIN)/ruff check repro tests bench
	$(BIN)/ruff format --check repro tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## what every change must pass; installs what it needs
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m 'not real and not slow'

test-real: .venv/installed  ## against real engines, registries, foreign analyses, a browser (minutes)
	$(BIN)/python -m pytest -m 'real and not slow' tests

test-slow: .venv/installed  ## every language, every package manager, gigabytes of data (many minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r bench/judge.txt
	$(BIN)/python -m pytest -m slow tests

test-engines: .venv/installed  ## every engine: the whole contract, escape probes, examples (minutes; root for docker)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist load tests/contracts/test_runtime*.py \
	  tests/hostile/test_escape_probes.py tests/real/test_engines.py tests/real/test_engine_examples.py

SEED ?= 1
ROUNDS ?= 20
torture: .venv/installed  ## damage, kills, full disks, fuzzing, with figures; SEED=1 ROUNDS=20 (under 20 minutes)
	$(BIN)/python -m pytest -m torture tests/torture --seed $(SEED) --rounds $(ROUNDS)

test-all: lint  ## everything
	$(BIN)/python -m pytest tests

bench: .venv/installed  ## measure beside peers; `make bench WRITE=--write` updates bench/README.md
	$(BIN)/python bench/run.py $(WRITE)

judge: .venv/installed  ## judge 900 labelled pairs, print what came of it; WRITE=--write updates bench/judge.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r bench/judge.txt
	$(BIN)/python bench/judge.py $(WRITE)

clean:  ## remove what make made
	rm -rf .venv demo-out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
