from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine import models, scripts


@pytest.fixture
def ai(redis_client) -> Callable:
    """`ai("TENSORSET", …)` sends AI.TENSORSET to the run's server, emptied."""
    return lambda command, *arguments: redis_client.execute_command(f"AI.{command}", *arguments)


@pytest.fixture
def store(ai) -> Callable:
    """`store(key, module)` stores a module of models.py on the CPU."""
    return lambda key, module: ai("MODELSTORE", key, "TORCH", "CPU", "BLOB", models.blob(module))


@pytest.fixture
def store_script(ai) -> Callable:
    """`store_script(key)` stores scripts.SOURCE on the CPU, or what `scripts.arguments(…)` gives."""
    return lambda key, arguments=None: ai("SCRIPTSTORE", key, "CPU", *(arguments or scripts.arguments()))
