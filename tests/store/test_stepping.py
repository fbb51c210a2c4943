"""store_step: one state of each of many agents, all or none."""

from __future__ import annotations

import numpy as np
import pytest
import redis

import modules_store
from modules_store import Oldest, Policy, RedisAgentMemory, keys
from tests.store import toy_codec

ROWS = toy_codec.states(6)
STEP = dict(zip("abcdef", ROWS, strict=True))


def contents(client: redis.Redis) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.scan_iter("agent:*", count=10_000)}


def test_stores_one_state_of_each_agent(store, toy):
    stored = store.store_step(STEP, {"b": {"n": 1}, "c": None})
    assert list(stored) == list(STEP)
    for agent, row in STEP.items():
        (memory,) = store.get_recent_memories(agent)
        assert memory.timestamp == stored[agent]
        assert memory.metadata == ({"n": 1} if agent == "b" else None)
        np.testing.assert_array_equal(memory.state, row)
    assert len(list(toy.scan_iter("*:meta"))) == 1


def test_a_given_timestamp_is_that_of_all(store):
    assert store.store_step(STEP, timestamp=7) == dict.fromkeys(STEP, 7)
    assert store.retrieve_agent_memory("c", 7).state.tolist() == ROWS[2].tolist()


def test_nobody(store, toy):
    assert store.store_step({}) == {}
    assert contents(toy) == {}


def test_a_thousand_agents(store):
    rows = toy_codec.states(1000)
    agents = [f"agent-{n}" for n in range(1000)]
    stored = store.store_step(dict(zip(agents, rows, strict=True)), {agents[500]: {"n": 500}})
    assert len(stored) == 1000
    for n in (0, 500, 999):
        memory = store.retrieve_agent_memory(agents[n], stored[agents[n]])
        np.testing.assert_array_equal(memory.state, rows[n])
        assert memory.metadata == ({"n": 500} if n == 500 else None)


def test_agents_of_several_codecs_policies_and_lengths(open_store, toy):
    toy_codec.publish(toy, "coarse", step=1 / 2)
    store = open_store(policy=Policy(Oldest(5), stream_entries=10))
    store.bind("fine-*", "toy")
    store.bind("coarse-*", "coarse")
    step = {
        "coarse-1": ROWS[0],
        "fine-1": ROWS[1],
        "free-1": np.arange(3, dtype=np.float64),
        "fine-2": ROWS[2],
        "free-2": [1.5, 2.5],
        "coarse-2": ROWS[3],
        "free-3": [-1, 0, 1],
    }
    for _ in range(6):
        stored = store.store_step(step)
    assert list(stored) == list(step)
    for agent in ("fine-1", "fine-2", "free-1", "free-2", "free-3"):
        newest = store.get_recent_memories(agent, 1)[0]
        assert (newest.timestamp, newest.state.tolist()) == (stored[agent], list(step[agent]))
        assert toy.zcard(keys.index(agent)) == toy.xlen(keys.stream(agent)) == 5


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"states": {**STEP, "d": ROWS[0][:5]}}, modules_store.StateShapeError, r"states\['d'\] has shape"),
        (
            {"states": {**STEP, "d": [np.nan] * 6}},
            modules_store.NonFiniteStateError,
            r"states\['d'\]\[0\] is nan",
        ),
        ({"states": {**STEP, "d{": ROWS[0]}}, modules_store.InvalidAgentIdError, "an id in states"),
        ({"states": {**STEP, 7: ROWS[0]}}, modules_store.InvalidAgentIdError, "an id in states"),
        ({"states": [ROWS[0]]}, modules_store.InvalidInputError, "states is of type list"),
        (
            {"states": dict.fromkeys(map(str, range(16385)))},
            modules_store.InvalidInputError,
            "states has 16385 agents",
        ),
        ({"metadata": [{}]}, modules_store.InvalidMetadataError, "metadata is of type list"),
        (
            {"metadata": {"z": {}}},
            modules_store.InvalidMetadataError,
            "metadata has 'z', which is not in states",
        ),
        ({"metadata": {"c": {"x": np.nan}}}, modules_store.InvalidMetadataError, r"metadata\['c'\]\['x'\]"),
        ({"metadata": {"c": 3}}, modules_store.InvalidMetadataError, r"metadata\['c'\] is of type int"),
        ({"timestamp": -1}, modules_store.InvalidTimestampError, "timestamp is -1"),
        ({"timestamp": 5}, modules_store.TimestampExistsError, "agent e already has a memory at 5"),
    ],
)
def test_what_is_refused_stores_nothing_of_any_agent(store, toy, arguments, error, says):
    store.store_agent_memory("e", ROWS[0], timestamp=5)
    before = contents(toy)
    with pytest.raises(error, match=says):
        store.store_step(**{"states": STEP, **arguments})
    assert contents(toy) == before


def test_a_state_that_only_the_codec_can_refuse(open_store, toy):
    store = open_store()
    with pytest.raises(modules_store.StateRangeError, match="out of range"):
        store.store_step({"a": [1.0], "b": [65520.0], "c": [2.0]})
    assert contents(toy) == {}


class TestCluster:
    @pytest.fixture
    def cluster(self, start_server, open_store) -> tuple[RedisAgentMemory, redis.Redis]:
        server = start_server(cluster_enabled=True)
        client = redis.Redis.from_url(server.url)
        toy_codec.publish(client)
        return open_store(server.url, codec="toy"), client

    def test_one_call_for_each_slot(self, cluster):
        store, client = cluster
        step = {**STEP, "exj": ROWS[0]}  # in the slot of agent a
        assert list(store.store_step(step, {"b": {"n": 1}})) == list(step)
        client.config_resetstat()
        stored = store.store_step(step)
        assert client.info("commandstats")["cmdstat_fcall"]["calls"] == 6
        for agent, row in step.items():
            np.testing.assert_array_equal(store.retrieve_agent_memory(agent, stored[agent]).state, row)
        # All or none holds for agents of one slot.
        store.store_agent_memory("exj", ROWS[0], timestamp=9)
        with pytest.raises(modules_store.TimestampExistsError):
            store.store_step({"exj": ROWS[0], "a": ROWS[0]}, timestamp=9)
        with pytest.raises(modules_store.MemoryNotFoundError):
            store.retrieve_agent_memory("a", 9)
        client.close()

    def test_a_buffer_says_what_other_slots_did_not_store(self, cluster):
        store, client = cluster
        store.store_agent_memory("b", ROWS[0], timestamp=9)
        buffer = store.buffered().__enter__()
        for agent in ("a", "b", "c"):
            buffer.store_agent_memory(agent, ROWS[1], timestamp=9)
        with pytest.raises(modules_store.FlushError, match="not stored yet: 1; agent b already") as failed:
            buffer.flush()
        assert failed.value.left == len(buffer) == 1
        assert [client.zcard(keys.index(agent)) for agent in "abc"] == [1, 1, 1]
        client.close()
