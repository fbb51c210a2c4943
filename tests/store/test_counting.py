"""Which agents there are."""

import numpy as np
import pytest
import redis

from modules_store import AgentSummary, InvalidAgentIdError, RedisAgentMemory, ServerError, keys
from tests.store import toy_codec


def test_agent_ids_gives_each_agent_with_memories_once(store, redis_client):
    state = np.zeros(toy_codec.INPUT_DIM, np.float32)
    agents = [f"drone-{n}" for n in range(1500)] + ["rover:é"]
    for agent in agents:
        redis_client.zadd(f"agent:{{{agent}}}:memories", {"1": 1})
    store.store_agent_memory("ant", state, {"n": 1})
    redis_client.set("agent:{other}:memories:not", "no index")
    redis_client.set("agent:{other}:memory", "no index")
    assert sorted(store.agent_ids()) == sorted([*agents, "ant"])
    assert sorted(store.agent_ids("drone-1?")) == [f"drone-1{n}" for n in range(10)]
    assert list(store.agent_ids("nobody")) == []


@pytest.fixture
def of_each_layout(redis_client):
    """The names of agents with ten memories each, by how they are kept."""
    toy_codec.publish(redis_client)
    memory = RedisAgentMemory(redis_client, codec="toy")
    for agent in ("keys", "packed", "mixed", "older"):
        memory.store_agent_memories(agent, toy_codec.states(10), timestamps=range(100, 110))
    memory.convert_agent("packed", "packed")

    def interrupt(done):
        raise InterruptedError

    for agent in ("mixed", "older"):
        with pytest.raises(InterruptedError):
            memory.convert_agent(agent, "packed", step=4, on_progress=interrupt)
    return memory


def test_agents_of_each_layout_are_found_once(store, redis_client, of_each_layout):
    redis_client.delete(keys.index("older"))  # as where Redis evicts it
    assert sorted(store.agent_ids()) == ["keys", "mixed", "older", "packed"]
    assert list(store.agent_ids("pack?d")) == ["packed"]


def test_summaries(store, redis_client, of_each_layout):
    redis_client.delete(keys.index("older"))
    assert store.agent_summaries(["packed", "nobody", "mixed", "keys", "older"]) == [
        AgentSummary("packed", 10, 100, 109, "packed"),
        AgentSummary("nobody", 0, None, None, "keys"),
        AgentSummary("mixed", 10, 100, 109, "mixed"),
        AgentSummary("keys", 10, 100, 109, "keys"),
        AgentSummary("older", 4, 100, 103, "packed"),
    ]
    many = [f"agent-{n}" for n in range(1001)]
    store.store_step({agent: np.zeros(toy_codec.INPUT_DIM, np.float32) for agent in many})
    summaries = store.agent_summaries(iter(many))
    assert [(one.agent_id, one.memories) for one in summaries] == [(agent, 1) for agent in many]
    assert store.agent_summaries([]) == []


def test_summaries_of_agents_in_several_slots(start_server, open_store):
    server = start_server(cluster_enabled=True)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    store = open_store(server.url, codec="toy", layout="packed")
    agents = ["a", "b", "exj"]
    store.store_step({agent: np.zeros(toy_codec.INPUT_DIM, np.float32) for agent in agents}, timestamp=7)
    assert store.agent_summaries(agents) == [AgentSummary(agent, 1, 7, 7, "packed") for agent in agents]


def test_what_summaries_refuse(store, redis_client):
    with pytest.raises(InvalidAgentIdError, match=r"agent_ids\[1\]"):
        store.agent_summaries(["a", "{b}"])
    redis_client.lpush(keys.index("a"), "no index")
    with pytest.raises(ServerError, match=r"agent:\{a\}:memories holds a value of type list"):
        store.agent_summaries(["a"])


def test_a_bad_pattern_is_refused(store):
    with pytest.raises(InvalidAgentIdError, match="pattern"):
        list(store.agent_ids("{*}"))
