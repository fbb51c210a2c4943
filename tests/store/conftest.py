"""A client of the run's server with the toy codec published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from modules_store import RedisAgentMemory
from tests.store import toy_codec


@pytest.fixture
def toy(redis_client: redis.Redis) -> redis.Redis:
    """The emptied server's client after the toy codec was published."""
    toy_codec.publish(redis_client)
    return redis_client


@pytest.fixture
def store(server, toy: redis.Redis) -> Iterator[RedisAgentMemory]:
    """A store on that server, as users make one."""
    with RedisAgentMemory(server.url, codec="toy") as memory:
        yield memory
