# Two commands do it all on a fresh machine: `make demo` and `make test`. Each sets up what it needs in .venv.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
ENGINE_SOURCES := $(shell find engine -name '*.cc' -o -name '*.h' -o -name CMakeLists.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.tools: constraints.txt
	@echo "==> Creating $(VENV), installing torch and the build tools (a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch setuptools scikit-build-core cmake ninja
	@touch $@

$(VENV)/.installed: $(VENV)/.tools pyproject.toml $(ENGINE_SOURCES)
	@echo "==> Installing the packages and building the engine (another minute or two)"
	@$(PIP) --no-build-isolation --editable '.[dev,export,embedded,demo]'
	@touch $@

setup: $(VENV)/.installed ## Create .venv, build the engine, install both packages in it

demo: setup ## Train codecs on a multi-agent simulation, store and recall its states (KEEP=1 leaves the server up)
	@$(BIN)/python -m benchmarks.demo $(if $(KEEP),--keep)

test: setup ## Run the test suite against real servers (ARGS=… goes to pytest)
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## Check formatting, types and style of Python, C++ and Lua
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@git ls-files 'engine/*.cc' 'engine/*.h' | xargs -r $(BIN)/clang-format --dry-run --Werror
	@if command -v luacheck >/dev/null; then luacheck --quiet lua; \
	elif [ -n "$$CI" ]; then echo "luacheck is missing: apt-get install lua-check" >&2; exit 1; \
	else echo "luacheck is not installed (Debian: lua-check); the Lua scripts were not checked"; fi

format: setup ## Rewrite Python and C++ in the project's format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@git ls-files 'engine/*.cc' 'engine/*.h' | xargs -r $(BIN)/clang-format -i

bench: setup ## Measure stores and recalls a second
	@$(BIN)/python -m benchmarks.run $(ARGS)

clean: ## Remove the virtual environment and the build
	rm -rf $(VENV) build dist
