# The targets that a newcomer needs; `make help` lists them.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# How long `make soak` enqueues and kills.
SOAK_MINUTES ?= 10
STAMP   = $(VENV)/.installed
LINKS   = build/typing/wsup
# More than there are cores: most of the tests wait for something to happen.
PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help demo test lint types layers links suite model test-matrix test-http bench bench-long bench-model bench-floor bench-reload soak clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## Install into .venv and run a real job for every file of the standard library
	$(BIN)/wsup demo

test: lint types layers suite ## Everything that must be green: lint, format, types, layers, tests

suite: $(STAMP) ## The tests alone; ARGS="-k ring" to choose
	$(BIN)/pytest -n $(PROCESSES) --dist worksteal $(ARGS)

test-matrix: $(STAMP) ## The suite on PostgreSQL 15, 16, 17 and 18
	$(BIN)/python tests/matrix.py -n $(PROCESSES) --dist worksteal $(ARGS)

test-http: $(STAMP) ## The tests of features, with supervisors that are served over HTTP
	WSUP_TEST_OVER=http $(BIN)/pytest -n $(PROCESSES) --dist worksteal tests/features $(ARGS)
	$(BIN)/pytest -n $(PROCESSES) --dist worksteal -m "slow or not slow" tests/http $(ARGS)

model: $(STAMP) ## The protocol against its model, for longer and with new steps, and all planted bugs; MODEL_RUNS=5000
	WSUP_MODEL_RUNS=$(or $(MODEL_RUNS),5000) $(BIN)/pytest -q tests/model -k interleaves
	$(BIN)/pytest -q tests/model -m slow

lint: $(STAMP) ## ruff check and ruff format --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) links ## mypy, strict
	$(BIN)/mypy -p wsup
	$(BIN)/mypy bench soak examples tests/unit/typing_cases.py

layers: $(STAMP) links ## Which package may import which
	cd build/typing && $(abspath $(BIN))/lint-imports --config ../../setup.cfg --no-cache

bench: $(STAMP) ## wsup and its peers side by side; ONLY=noop,keys PEERS=wsup,pgqueuer ROUNDS=1
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.peers $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY)$(PEERS)$(ROUNDS)$(ARGS),,--write) $(ARGS)

bench-long: $(STAMP) ## Hours: steady states, obstacles, features, scale-out; ONLY=keys ARGS=--write: that piece anew
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.peers --long $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY)$(PEERS)$(ROUNDS)$(ARGS),,--write) $(ARGS)

bench-model: $(STAMP) ## The law of throughput, fitted to the scale-out of bench-long (docs/scale.md)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.model $(ARGS)

bench-floor: $(STAMP) ## wsup against PostgreSQL's own speed, in one run (docs/floor.md)
	$(BIN)/python -m bench

bench-reload: $(STAMP) ## 20 reloads during a run at full speed (docs/reliability.md)
	$(BIN)/python -m bench.reload

soak: $(STAMP) ## wsup at work while all under it is killed; SOAK_MINUTES=10, HTTP=1: over servers, ARGS="--tls --seed 2"
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m soak $(if $(HTTP),--http) $(ARGS)

clean: ## Remove what the other targets made here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "wsup needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Type checkers don't see setup.cfg's package_dir: this gives them the installed layout.
links:
	@rm -rf $(LINKS) && mkdir -p $(LINKS)
	@for part in wsup/*.* wsup/cli wsup/demo supervisor subworkers sql config remote server; do \
		ln -s ../../../$$part $(LINKS)/$$(basename $$part); done
