# On a fresh machine with Python >= 3.11 and make, `make demo` and `make test` each do all the set-up they need.
# Set-up talks on standard error, so that `make demo DEMO_ARGS=--json` prints one JSON object and nothing else.

PYTHON ?= python3
VENV ?= .venv
DEMO_ARGS ?=
TEST_ARGS ?=
# Files of tests that run side by side, and processes that check types.
TEST_JOBS ?= 2
BENCH_ARGS ?=
# The lock pins this one by hand: its CPU build installs without the CUDA packages.
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
TESTED := $(addprefix $(VENV)/.has-,test browser docs neural languages photographs privacy tensorboard watch)
PACKAGES := agents games runners topology
SOURCES := $(sort $(shell find $(PACKAGES) -name '*.py' -o -name '*.pyi' -o -name '*.yaml' -o -name py.typed -o -name '*.css' -o -name '*.html' -o -name '*.js'))

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow test-all lint format types bench docs install install-dev lock clean FORCE

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22
	@echo 'Variables: PYTHON, VENV, DEMO_ARGS, TEST_ARGS, BENCH_ARGS, TEST_JOBS; NASHGOSSIP_DATA is a folder to look for data in first.'

demo: $(VENV)/.package ## ten players gossip their way to the equilibrium on real digits
	@$(BIN)/nashgossip run digits $(DEMO_ARGS)

test: $(TESTED) $(VENV)/.package ## the tests but the slow ones
	@$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile -m "not slow" $(TEST_ARGS)

test-slow: $(TESTED) $(VENV)/.package ## the slow tests
	@$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile -m slow $(TEST_ARGS)

test-all: $(TESTED) $(VENV)/.package ## all tests
	@$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile $(TEST_ARGS)

lint: $(VENV)/.has-lint types ## ruff, and mypy --strict on the installed package
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.has-lint $(VENV)/.has-neural $(VENV)/.has-watch $(VENV)/.package ## mypy --strict alone
	@MYPY_NUM_WORKERS=$(TEST_JOBS) $(BIN)/mypy --strict $(PACKAGES:%=-p nashgossip.%)

format: $(VENV)/.has-lint ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.package ## speed, beside a raw limit measured in the same run
	@$(BIN)/python benchmarks/foundation.py $(BENCH_ARGS)

docs: $(VENV)/.has-docs $(VENV)/.has-neural $(VENV)/.package ## the documentation site, into site/; a warning is an error
	@$(BIN)/python -m sphinx -W --keep-going -q -j auto -b html -d site/.doctrees docs site/html
	@echo 'Open site/html/index.html' >&2

install: $(VENV)/.package ## the package and what it needs to run, into .venv

install-dev: $(VENV)/.has-dev $(VENV)/.package ## the same with all extras

lock: ## write constraints.txt anew from the newest versions that fit together
	@rm -rf build nashgossip.egg-info
	@set -e; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(PYTHON) -m venv "$$fresh/venv"; \
	"$$fresh/venv/bin/python" -m pip install '$(TORCH)' '.[dev,mlflow,wandb]' >&2; \
	"$$fresh/venv/bin/python" -m pip freeze --all --exclude pip --exclude nashgossip >"$$fresh/all"; \
	{ echo '# Exact versions, tested together: pip install -c constraints.txt ".[dev]". Written by `make lock`.'; \
	  sed -E 's/\+[A-Za-z0-9.]+$$//' "$$fresh/all" | grep -viE '^(cuda|nvidia|triton)'; } >"$$fresh/lock"; \
	cp "$$fresh/lock" constraints.txt
	@rm -rf build nashgossip.egg-info

clean: ## remove the environment, builds and caches; runs/ stays
	rm -rf $(VENV) build dist site docs/gallery docs/reference/packages nashgossip.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +

# Set-up. Stamps in $(VENV) say what is there already, so that a second call has nothing to do.

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { \
	echo "no $(PYTHON) here; nashgossip needs Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "nashgossip needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	"name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >&2 || { \
	echo "$(PYTHON) could not make $(VENV); Debian and Ubuntu keep what is missing in the package python3-venv" >&2; exit 1; }

# $(call install,WHAT): pip install, held to the lock. The folders are removed because setuptools would pack what an
# earlier build left in them, deleted modules too.
define install
@rm -rf build nashgossip.egg-info
@$(BIN)/python -m pip install --no-build-isolation --constraint constraints.txt $(1) >&2
@rm -rf build nashgossip.egg-info
endef

$(VENV)/.has-core: pyproject.toml constraints.txt | $(BIN)/pip
	@echo 'Installing nashgossip and what it needs into $(VENV): a minute or two' >&2
	$(call install,--quiet setuptools wheel)
	$(call install,.)
	@touch $@

$(VENV)/.has-%: $(VENV)/.has-core
	@echo 'Installing the extra "$*" into $(VENV)' >&2
	$(call install,'.[$*]')
	@touch $@

# Changes when a source file comes or goes, which no time stamp of the files that remain would tell.
$(VENV)/.sources: FORCE | $(BIN)/pip
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' >$@

$(VENV)/.package: $(VENV)/.has-core $(VENV)/.sources $(SOURCES)
	$(call install,--quiet --no-deps .)
	@touch $@
