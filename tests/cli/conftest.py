"""The command line run against the run's server, which has some agents."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from typer.testing import CliRunner

from modules_store import RedisAgentMemory
from modules_store.cli import app
from tests.store import toy_codec

FIRST = 1_700_000_000_000
"""The timestamp of each agent's first memory, in November 2023."""


@pytest.fixture
def run(server) -> Callable[..., str]:
    """`run(*arguments, code=0)`: run a subcommand against the server; return what it printed.

    Where it fails, what it printed on standard error.
    """

    def call(*arguments: object, code: int = 0) -> str:
        options = [*map(str, arguments), "--redis-url", server.url]
        result = CliRunner().invoke(app, options)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.stderr if code else result.stdout

    return call


@pytest.fixture
def filled(redis_client: redis.Redis) -> RedisAgentMemory:
    """A store with memories of three agents: metadata says the number of each, `n`, for the drones."""
    toy_codec.publish(redis_client)
    memory = RedisAgentMemory(redis_client, codec="toy")
    for agent in ("drone-1", "drone-2"):
        memory.store_agent_memories(
            agent,
            toy_codec.states(5),
            [{"n": i, "note": "[bold]é"} for i in range(5)],
            list(range(FIRST, FIRST + 5)),
        )
    memory.store_agent_memories("rover", toy_codec.states(3, seed=1), timestamps=[1, 2, 3])
    return memory
