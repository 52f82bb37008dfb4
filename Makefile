# Needs make and Python 3.11 or newer; everything else goes into .venv from the package registry.
# `make help` lists the targets. Your own interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?=
SUPPORTED := 3.11 3.12 3.13 3.14
RUN := .venv/bin/python
DEMO_DIR ?= demo
ARGS ?=
# Processes that share the tests, file by file. One, with everything a debugger wants: ARGS="-n 0".
JOBS ?= 2
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder

# OpenMP threads that spin at barriers starve each other as soon as anything else wants a core.
export OMP_WAIT_POLICY := PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test test-quick test-real lint format types bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# The first interpreter of a supported version makes .venv; pip then installs into it. A stamp
# appears only after pip succeeded, and goes stale when the dependencies change.
.venv/bin/python:
	@found=""; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3 $(addprefix python,$(SUPPORTED))); do \
	  version=$$("$$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
	    || continue; \
	  case " $(SUPPORTED) " in *" $$version "*) found="$$candidate"; break ;; esac; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "moonshelf needs Python $(firstword $(SUPPORTED)) to $(lastword $(SUPPORTED));" \
	    "$(if $(PYTHON),PYTHON=$(PYTHON) is not that,no python3 on PATH is that)." >&2; \
	  echo "Install one, or name it: make <target> PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "setting up .venv with $$("$$found" --version)"; \
	rm -rf .venv; \
	"$$found" -m venv .venv || { rm -rf .venv; \
	  echo "could not make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(RUN) -m pip install --quiet -e '.[demo]' -c constraints.txt
	@touch $@

.venv/dev.stamp: .venv/demo.stamp
	$(RUN) -m pip install --quiet -e '.[dev]' -c constraints.txt
	@touch $@

install: .venv/demo.stamp ## set up .venv with what the demo needs

install-dev: .venv/dev.stamp ## set up .venv with everything, test tools included

demo: .venv/demo.stamp ## the whole system on the drawn shop, ends with demo/report.html
	$(RUN) -m moonshelf demo --out $(DEMO_DIR)

test: .venv/dev.stamp ## every test that needs no real data, the slow ones too
	$(RUN) -m pytest $(PARALLEL) -m "not real_data" $(ARGS)

test-quick: .venv/dev.stamp ## the tests for between two edits
	$(RUN) -m pytest $(PARALLEL) -q -m "not real_data and not slow" $(ARGS)

test-real: .venv/dev.stamp ## the checks on the real sets (MOONSHELF_DATA or ../shared/data)
	$(RUN) -m pytest -m real_data $(ARGS)

lint: .venv/dev.stamp ## is it formatted, does the linter agree
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

format: .venv/dev.stamp ## format, and mend what the linter can mend
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: .venv/dev.stamp ## the type checker
	$(RUN) -m pyright --pythonpath $(RUN)

# The one benchmark that needs no data. The others train for hours: benchmarks/README.md.
bench: .venv/dev.stamp ## time and memory of the contrastive loss beside its peers
	$(RUN) -m benchmarks.contrastive_loss $(ARGS)

clean: ## remove .venv, caches and the demo
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis $(DEMO_DIR)
	find moonshelf tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
