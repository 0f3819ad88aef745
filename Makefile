# Works with GNU make 3.81 (macOS) and later, and any POSIX shell.
# A target that needs Python makes .venv first, from requirements/dev.lock, and again when that changes.

PYTHON ?= python3
JOBS ?= 3
ARGS ?=
CLOUDS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PYTEST := $(BIN)/pytest -n $(JOBS) --dist worksteal
UV := .venv-lock/bin/uv
SERVERS := $(patsubst %,.servers/%/.stamp,dynamodb ministack microburst engine checkov terraform_providers)

# Only what is installed here is used: pyright and its Node come as wheels.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Each worker would compile each test anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: venv
venv: $(STAMP) ## make .venv from requirements/dev.lock

.PHONY: demo
demo: $(STAMP) ## see it work, on this machine alone
	$(BIN)/python examples/demo.py $(ARGS)

.PHONY: servers
servers: $(SERVERS) ## install the servers and emulators that tests talk to, into .servers

.PHONY: test
test: $(STAMP) $(SERVERS) ## every test: unit, conformance, golden, faults, deploy, e2e (ARGS='-k queue')
	$(PYTEST) $(ARGS)

.PHONY: test-unit
test-unit: $(STAMP) ## the unit tests alone
	$(PYTEST) tests/unit $(ARGS)

.PHONY: check
check: static test-unit ## what every commit passes: static checks and unit tests

.PHONY: static
static: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

.PHONY: fmt
fmt: $(STAMP) ## format, and repair what ruff can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: cov
cov: $(STAMP) ## every test with branch coverage, page by page in htmlcov/
	$(PYTEST) --cov --cov-report=term --cov-report=html $(ARGS)

.PHONY: prove
prove: $(STAMP) $(SERVERS) ## kill dispatchers at every step on every store and cloud, and check the five promises (an hour)
	$(BIN)/python -m dispatcher.testing.proof $(ARGS)

.PHONY: bench
bench: $(STAMP) ## measure it against the numbers it is held to
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-aws
bench-aws: package-aws $(SERVERS) ## the same for AWS: units, cold starts, the rate of ECS
	$(BIN)/python -m benchmarks.aws $(ARGS)

.PHONY: bench-gcp
bench-gcp: package-gcp ## the same for Google Cloud: reads and writes, cold starts, transports
	$(BIN)/python -m benchmarks.gcp $(ARGS)

.PHONY: bench-azure-modal
bench-azure-modal: $(STAMP) ## the same for pools on Azure and Modal: loading them, their calls, Azure's quota
	$(BIN)/python -m benchmarks.azure_modal $(ARGS)

.PHONY: bench-prefect
bench-prefect: $(STAMP) $(SERVERS) .servers/prefect/.stamp ## side by side with Prefect, which is installed into .servers (ARGS=--quick)
	$(BIN)/python -m benchmarks.prefect $(ARGS)

.PHONY: wheel
wheel: $(STAMP) ## build dist/pushpool-*.whl
	rm -f dist/pushpool-*.whl
	$(BIN)/python -m build --no-isolation --wheel

.PHONY: package-aws
package-aws: $(STAMP) wheel ## build dist/pushpool-aws-*.zip for Lambda (CLOUDS='aws aci cloud-run modal' for pools there)
	$(BIN)/python infra/aws/package.py $(or $(CLOUDS),aws)

.PHONY: package-gcp
package-gcp: $(STAMP) wheel ## build dist/pushpool-gcp-*.zip for Google Cloud (CLOUDS='gcp aci aws modal' for pools there)
	$(BIN)/python infra/gcp/archive.py $(or $(CLOUDS),gcp)

.PHONY: lock
lock: $(UV) ## refresh every *.lock from pyproject.toml and *.in (ARGS=--upgrade for newer versions)
	$(call compile,dev,--extra dev)
	$(call compile,runtime,--constraints requirements/dev.lock)
	$(call compile,aws,--extra aws --constraints requirements/dev.lock)
	$(call compile,aci,--extra aci --constraints requirements/dev.lock)
	$(call compile,cloud-run,--extra cloud-run --constraints requirements/dev.lock)
	$(call compile,gcp,--extra gcp --constraints requirements/dev.lock)
	$(call compile,modal,--extra modal --constraints requirements/dev.lock)
	$(call pin,benchmarks/prefect/requirements.in,benchmarks/prefect/requirements.lock)
	$(call pin,tests/servers/ministack.in,tests/servers/ministack.lock)
	$(call pin,tests/servers/microburst.in,tests/servers/microburst.lock)
	$(call pin,tests/servers/checkov.in,tests/servers/checkov.lock)
	$(call pin,tests/servers/terraform_providers.in,tests/servers/terraform_providers.lock)

.PHONY: clean
clean: ## remove what was built and cached; .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* coverage.xml .venv-lock .venv-wheel
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

# No index address goes into a lock: each machine uses the one its pip is set to.
compile = $(call pin,pyproject.toml $(2),requirements/$(1).lock)
pin = $(UV) pip compile $(1) $(ARGS) --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' --output-file $(2)

# Prints a Python that can make the virtual environment, or says on stderr what to install.
find_python = too_old=; no_venv=; \
	for py in '$(PYTHON)' python3.13 python3.12 python3.11; do \
	  version=$$("$$py" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	  if ! "$$py" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    too_old="$$py is $$version"; \
	  elif ! "$$py" -c 'import ensurepip, venv' 2>/dev/null; then \
	    no_venv=$${no_venv:-$$version}; \
	  else \
	    echo "$$py"; exit 0; \
	  fi; \
	done; \
	if [ -n "$$no_venv" ]; then \
	  echo "Python $$no_venv is here, but its venv and ensurepip modules are not. Install them:" >&2; \
	  echo "  Debian, Ubuntu:  sudo apt-get install python$$no_venv-venv" >&2; \
	  echo "  macOS:           brew install python@$$no_venv" >&2; \
	else \
	  echo "Python 3.11 or later is needed; $${too_old:-there is no $(PYTHON) on PATH}. Install one:" >&2; \
	  echo "  Debian, Ubuntu:  sudo apt-get install python3 python3-venv   (Debian 12, Ubuntu 24.04 or later)" >&2; \
	  echo "  macOS:           brew install python@3.13" >&2; \
	  echo "or name one: make PYTHON=/path/to/python3 ..." >&2; \
	fi; \
	exit 1

$(STAMP): requirements/dev.lock pyproject.toml
	@if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  py=$$($(find_python)) && echo "Making $(VENV) with $$py" && "$$py" -m venv --clear $(VENV); \
	fi
	@echo "Installing requirements/dev.lock into $(VENV) (half a minute the first time)"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

# On a laptop a server that cannot be installed costs its tests, which say so; under CI it fails.
.servers/%/.stamp: tests/servers/%.sh
	@echo "Installing $* into .servers"
	@if tests/servers/$*.sh .servers/$*; then touch $@; elif [ "$(CI)" = true ]; then exit 1; fi

.servers/ministack/.stamp: tests/servers/ministack.lock tests/servers/virtual_environment.sh
.servers/microburst/.stamp: tests/servers/microburst.lock tests/servers/virtual_environment.sh
.servers/checkov/.stamp: tests/servers/checkov.lock tests/servers/virtual_environment.sh
.servers/terraform_providers/.stamp: tests/servers/terraform_providers.lock tests/servers/virtual_environment.sh

# The lock is whole, and pip 23 trips over its extras: nothing is resolved.
.servers/prefect/.stamp: benchmarks/prefect/requirements.lock | $(STAMP)
	@echo "Installing prefect into .servers"
	@rm -rf .servers/prefect
	@$(BIN)/python -m venv .servers/prefect
	@.servers/prefect/bin/python -m pip install -qq --no-deps --require-hashes -r $<
	@touch $@

$(UV): $(STAMP)
	$(BIN)/python -m venv .venv-lock
	.venv-lock/bin/python -m pip install -qq 'uv>=0.8,<1'
	@touch $@
