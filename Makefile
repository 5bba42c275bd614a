# Each target makes .venv when it is missing, or when the dependencies have changed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready.stamp
# A process for each core; the tests of a file, which share what they prepare, in one of them.
PYTEST := $(BIN)/pytest -n logical --dist loadfile
BENCHMARKS := $(filter-out benchmarks/__init__.py benchmarks/_%.py,$(wildcard benchmarks/*.py))

.PHONY: demo test slow lint bench

demo: $(READY)
	$(BIN)/cloudtrainer demo

test: $(READY)
	$(PYTEST) -m "not slow"

slow: $(READY)
	$(PYTEST) -m slow

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	set -e; for benchmark in $(BENCHMARKS); do \
		echo "== $$benchmark"; $(BIN)/python $$benchmark; \
	done

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "cloudtrainer needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
			"name another, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	@# Its metadata also name a package under the GPL, which it never imports.
	$(BIN)/pip install --no-deps -c constraints.txt deeptrack
	@touch $@
