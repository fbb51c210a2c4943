"""Clients of the run's server with the toy codec published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis

from modules_store import RedisAgentMemory
from tests.store import toy_codec
from tests.store.clients import RunToTheEnd


@pytest.fixture
def toy(redis_client: redis.Redis) -> redis.Redis:
    """The emptied server's client after the toy codec was published."""
    toy_codec.publish(redis_client)
    return redis_client


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked so with agents of each layout."""
    marked, alone = (metafunc.definition.get_closest_marker(name) for name in ("each_layout", "keys_alone"))
    if marked and not alone and "layout" in metafunc.fixturenames:
        metafunc.parametrize("layout", ["keys", "packed"], indirect=True)


@pytest.fixture
def layout(request: pytest.FixtureRequest) -> str | None:
    """The layout of the agents of stores that are opened; None for that of their policies."""
    return getattr(request, "param", None)


@pytest.fixture(params=[RedisAgentMemory, RunToTheEnd], ids=["blocking", "asyncio"])
def open_store(
    request: pytest.FixtureRequest, server, layout: str | None
) -> Iterator[Callable[..., RedisAgentMemory]]:
    """`open_store(url=that of the run's server, **options)`: a client, blocking or not, closed at the end."""
    with ExitStack() as stack:

        def open_one(url=None, **options):
            options = options if layout is None else {"layout": layout, **options}
            return stack.enter_context(request.param(server.url if url is None else url, **options))

        yield open_one


@pytest.fixture
def store(open_store, toy: redis.Redis) -> RedisAgentMemory:
    """A store with the toy codec, as users make one."""
    return open_store(codec="toy")
