"""Clients with the toy codec, and two agents' memories for datasets and buffers to find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
import torch

from modules_store import KeepAll, Policy, RedisAgentMemory
from modules_store.policy import LAYOUTS
from tests.replay.material import ROWS, TIMES, metadata
from tests.store import toy_codec


@pytest.fixture(params=LAYOUTS)
def memory(server, redis_client: redis.Redis, request) -> Iterator[RedisAgentMemory]:
    """A client of the emptied server, whose policy keeps all, has priorities and each layout in turn."""
    toy_codec.publish(redis_client)
    policy = Policy(KeepAll(), priorities=True, layout=request.param)
    with RedisAgentMemory(server.url, codec="toy", policy=policy) as client:
        yield client


@pytest.fixture
def filled(memory: RedisAgentMemory) -> RedisAgentMemory:
    """The client after a and b have 30 memories each."""
    for agent, rows in ROWS.items():
        memory.store_agent_memories(agent, rows, [metadata(t) for t in TIMES[agent]], TIMES[agent])
    return memory


@pytest.fixture
def seeded() -> Iterator[None]:
    """Torch's random numbers start from a seed, and afterwards are as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        yield
