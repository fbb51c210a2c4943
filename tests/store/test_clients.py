"""The blocking and the asyncio client have the same methods, with the same arguments and documentation."""

from __future__ import annotations

import inspect

import pytest

from modules_store import AsyncRedisAgentMemory, RedisAgentMemory


def _methods(client: type) -> dict[str, object]:
    return {name: method for name, method in inspect.getmembers(client, callable) if not name.startswith("_")}


def test_both_have_the_same_methods():
    assert _methods(AsyncRedisAgentMemory).keys() == _methods(RedisAgentMemory).keys()


@pytest.mark.parametrize("name", sorted(_methods(RedisAgentMemory)))
def test_a_method_is_the_same_awaited(name):
    blocking, awaited = getattr(RedisAgentMemory, name), getattr(AsyncRedisAgentMemory, name)
    assert inspect.signature(blocking).parameters == inspect.signature(awaited).parameters
    assert inspect.iscoroutinefunction(awaited) or inspect.isasyncgenfunction(awaited) or name == "buffered"
    if name != "close":
        assert awaited.__doc__ == blocking.__doc__
