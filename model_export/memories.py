"""Recordings from the memories that agents already have in Redis, as their codec restores them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import redis

from model_export.errors import ConfigError
from model_export.recording import Recording, number_episodes
from modules_store import RedisAgentMemory, keys
from modules_store.errors import from_redis_error

SCHEMES = ("redis://", "rediss://", "unix://")

MOST_RECENT = 16_384
"""Memories read of each agent, its newest: as many as one recall returns."""


def read_memories(redis_url: str, agents: str | Sequence[str] = "*") -> Recording:
    """Read the newest `MOST_RECENT` memories of agents of one kind, agent by agent, oldest first.

    An agent is an episode of its own, unless the memory's metadata has an `episode`, an integer or text:
    memories that share it belong to one.

    Args:
        redis_url: of the server, as redis-py reads it. Of a cluster only the node it names is searched.
        agents: their ids, or a glob pattern of ids, say `drone-*`.

    Raises:
        ConfigError: there are no such memories, or their states differ in length.
        MemoryStoreError: of `modules_store`, what the server answered.
    """
    with RedisAgentMemory(redis_url) as memory, redis.Redis.from_url(redis_url) as client:
        found = _matching(client, agents) if isinstance(agents, str) else list(agents)
        recalled = [m for agent in found for m in memory.get_recent_memories(agent, MOST_RECENT)[::-1]]
    silent = set() if isinstance(agents, str) else set(found) - {m.agent_id for m in recalled}
    if silent or not recalled:
        raise ConfigError(f"agents: no memories of {', '.join(sorted(silent)) or repr(agents)}")
    for one in recalled:
        if len(one.state) != len(recalled[0].state):
            raise ConfigError(
                f"agents must be of one kind, but states of {one.agent_id!r} have {len(one.state)} features "
                f"and those of {recalled[0].agent_id!r} {len(recalled[0].state)}"
            )
    episodes = [_episode(one.agent_id, one.metadata) for one in recalled]
    return Recording(np.stack([one.state for one in recalled]), number_episodes(episodes))


def _episode(agent: str, metadata: Mapping[str, Any] | None) -> Hashable:
    """Return a memory's episode; an agent's own is a tuple, which no episode in metadata can be."""
    found: Hashable = (metadata or {}).get("episode", (agent,))
    if not isinstance(found, int | str | tuple):
        raise ConfigError(f"a memory of {agent!r} has an episode that is neither integer nor text: {found!r}")
    return found


def _matching(client: redis.Redis, pattern: str) -> list[str]:
    """Return the ids that match, in alphabetical order."""
    before, after = keys.index("*").split("*")
    try:
        found = set(client.scan_iter(match=keys.index(pattern), count=1000))
    except redis.RedisError as error:
        raise from_redis_error(error) from error
    return sorted(key.decode().removeprefix(before).removesuffix(after) for key in found)
