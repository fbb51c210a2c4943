"""Which agents there are."""

import numpy as np
import pytest

from modules_store import InvalidAgentIdError
from tests.store import toy_codec


def test_agent_ids_gives_each_agent_with_memories_once(store, redis_client):
    state = np.zeros(toy_codec.INPUT_DIM, np.float32)
    agents = [f"drone-{n}" for n in range(1500)] + ["rover:é"]
    for agent in agents:
        redis_client.zadd(f"agent:{{{agent}}}:memories", {"1": 1})
    store.store_agent_memory("ant", state, {"n": 1})
    store.store_agent_memory("packed", state, {"n": 1})
    store.convert_agent("packed", "packed")
    assert sorted(store.agent_ids()) == sorted([*agents, "ant", "packed"])
    assert sorted(store.agent_ids("drone-1?")) == [f"drone-1{n}" for n in range(10)]
    assert list(store.agent_ids("nobody")) == []


def test_a_bad_pattern_is_refused(store):
    with pytest.raises(InvalidAgentIdError, match="pattern"):
        list(store.agent_ids("{*}"))
