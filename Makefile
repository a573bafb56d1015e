# make run | sweep | frontier | diagnose | ui;   make run ARGS="-P data=mnist -P train.epochs=3"
# make test | test-slow | lint | types | hooks | docs | bench | claims | sbom | clean;   make test ARGS="tests/cli -k help"
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
unexport PYTHONDONTWRITEBYTECODE  # without byte-code every start of a process takes seconds more
ARGS ?=

.PHONY: run sweep frontier diagnose test test-slow lint types hooks docs ui bench claims sbom clean
.DEFAULT_GOAL := run

.venv/.installed: requirements.txt requirements-gpu.txt tools/install
	tools/install
	touch $@

.venv/.installed-dev: requirements-dev.txt requirements-gpu.txt tools/install
	tools/install dev
	touch .venv/.installed $@

# The rivals stay out of the product's environment.
.venv-bench/.installed: .venv/.installed requirements-bench.txt
	[ -x .venv-bench/bin/python ] || .venv/bin/python -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@# A CUDA build of torch brings it: its LLVM and TensorFlow's in one process end it, and no CPU kernel needs it.
	.venv-bench/bin/python -m pip uninstall --quiet --yes triton
	.venv-bench/bin/python -m compileall -q -j 0 .venv-bench/lib >/dev/null || true
	touch $@

# The store exists before MLflow opens a run in it: artifacts then go to mlartifacts/ in the checkout.
run: .venv/.installed
	@python -m pipeline ui --prepare
	@mlflow run . --env-manager local --experiment-name fulcrum $(ARGS)

sweep diagnose: .venv/.installed
	@python -m pipeline ui --prepare
	@mlflow run . -e $@ --env-manager local --experiment-name fulcrum $(ARGS)

# Some four minutes on two quiet cores; pytest prints the ten slowest tests at its end.
test: .venv/.installed-dev
	python -m pytest -m "not slow" $(ARGS)

# Kills, browsers, notebooks, servers, environments that MLflow builds, whole commands as a user types them: some ten
# minutes; four at a time, as they wait for processes half of it, and the longest first (tests/conftest.py).
test-slow: .venv/.installed-dev
	python -m pytest -m slow --numprocesses=4 --dist=loadscope --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-dev
	ruff check .
	ruff format --check .

types: .venv/.installed-dev
	mypy

# The documentation site, into site/: open site/index.html.
docs: .venv/.installed-dev
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

# The bill of materials of what is pinned, CycloneDX, with the licences of what is installed.
sbom: .venv/.installed
	@python -m tools.sbom --output sbom.json

# Lint and types before every commit from now on.
hooks: .venv/.installed-dev
	pre-commit install

# The newest study: make frontier ARGS="--at-least 90%"
frontier: .venv/.installed
	@python -m pipeline frontier $(ARGS)

ui: .venv/.installed
	@python -m pipeline ui $(ARGS)

bench: .venv-bench/.installed
	@.venv-bench/bin/python -m benchmarks.engine $(ARGS)
	@.venv-bench/bin/python -m benchmarks.networks
	@.venv-bench/bin/python -m benchmarks.clock
	@.venv-bench/bin/python -m benchmarks.seeds
	@.venv-bench/bin/python -m benchmarks.overhead

# Each figure that README and docs claim against its record; ARGS=--measure measures anew what is cheap.
claims: .venv/.installed
	@python -m benchmarks.claims $(ARGS)

clean:
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis outputs multirun
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
