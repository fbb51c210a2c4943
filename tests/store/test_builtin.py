"""The codec that comes with the client: published by it, for states of any length, without torch."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import modules_store
from modules_store import Policy, RedisAgentMemory, builtin, keys
from modules_store.flows.systems import MemorySystems
from tests.store import toy_codec

PUBLISHED = {keys.codec("float16")} | {
    key("float16", 1) for key in (keys.encoder, keys.decoder, keys.latents)
}
in_range = st.floats(-65504, 65504, width=32)


def as_float16(states) -> np.ndarray:
    return np.asarray(states, np.float32).astype(np.float16).astype(np.float32)


def agents_keys(client: redis.Redis) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.scan_iter("agent:*")}


@pytest.fixture
def store(server, redis_client):
    """A store as a newcomer makes it, on an empty server."""
    with RedisAgentMemory(server.url) as memory:
        yield memory


def test_a_first_program_needs_no_training(store, redis_client):
    state = np.array([0.1, -2.34, 65504, 6e-8, 0.0, 3.33, 1e-3], np.float32)
    timestamp = store.store_agent_memory("a", state, {"step": 1})
    memory = store.retrieve_agent_memory("a", timestamp)
    assert memory.metadata == {"step": 1}
    np.testing.assert_array_equal(memory.state, as_float16(state))
    value = redis_client.get(keys.memory("a", timestamp))
    assert value[:3] == b"\x04\x01\x00"
    assert value[3:] == state.astype("<f2").tobytes()
    assert {key.decode() for key in redis_client.scan_iter("memory_system:*")} == PUBLISHED


@pytest.mark.parametrize("features", [1, 7, 350])
def test_a_batch_of_states_of_any_length(store, redis_client, features):
    states = np.random.default_rng(0).normal(0, 100, (20, features)).astype(np.float32)
    store.store_agent_memories("a", states)
    recent = store.get_recent_memories("a", 20)
    np.testing.assert_array_equal([memory.state for memory in recent], as_float16(states)[::-1])
    document = json.loads(redis_client.execute_command("JSON.GET", keys.agent_memory_system("a")))
    assert (document["input_dim"], document["codes"]) == (features, features)
    compression = json.loads(redis_client.execute_command("JSON.GET", keys.agent_metadata("a")))[
        "compression"
    ]
    assert compression["groups"] == {
        "state": {"raw_bytes": 4 * features, "stored_bytes": 2 * features, "rate": 0.5}
    }
    assert compression["total"]["stored_bytes"] == 3 + 2 * features


def test_one_client_stores_agents_of_several_lengths(store):
    states = {f"agent {features}": np.arange(features, dtype=np.float32) for features in (1, 5, 2, 5)}
    for agent_id, state in states.items():
        store.store_agent_memory(agent_id, state)
        store.store_agent_memory(agent_id, state)
    for agent_id, state in states.items():
        assert [memory.state.tolist() for memory in store.get_recent_memories(agent_id)] == 2 * [
            state.tolist()
        ]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=in_range))
def test_any_states_come_back_as_float16(server, states):
    with redis.Redis.from_url(server.url) as client, RedisAgentMemory(client) as store:
        client.flushall()
        store.store_agent_memories("a", states)
        recalled = [memory.state for memory in store.get_recent_memories("a", len(states))]
    np.testing.assert_array_equal(recalled[::-1], as_float16(states))


def test_the_document_says_what_was_published(store, redis_client):
    store.store_agent_memory("a", [1.0])
    document = json.loads(redis_client.execute_command("JSON.GET", keys.codec("float16")))
    assert (document["name"], document["latest"], document["input_dim"]) == ("float16", 1, None)
    assert list(document["versions"]) == ["1"]
    entry = document["versions"]["1"]
    assert (entry["version"], entry["codes"], entry["code_dtype"]) == (1, None, "HALF")
    folder = Path(builtin.__file__).parent / "codecs" / "float16"
    for part, digest in entry["sha256"].items():
        blob = redis_client.execute_command("AI.MODELGET", entry[part], "BLOB")
        assert blob == (folder / f"{part}.pt").read_bytes()
        assert hashlib.sha256(blob).hexdigest() == digest
    assert list(entry["sha256"]) == ["encoder", "decoder"]


def test_clients_that_publish_at_once_agree(server, redis_client):
    together = Barrier(8)

    def first_store(writer: int) -> None:
        with RedisAgentMemory(server.url) as store:
            together.wait()
            store.store_agent_memories("a", np.full((5, 3), writer))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(first_store, range(8)))
    with RedisAgentMemory(server.url) as store:
        recalled = np.array([memory.state for memory in store.get_recent_memories("a", 100)])
    assert sorted(recalled[:, 0].tolist()) == sorted(5 * list(range(8)))
    assert {key.decode() for key in redis_client.scan_iter("memory_system:*")} == PUBLISHED


def test_publications_in_step_make_one_codec(redis_client):
    refreshes = [MemorySystems("float16", None, Policy()).refresh() for _ in range(2)]
    commands = [next(refresh) for refresh in refreshes]
    codecs, sent = [], []
    while len(codecs) < 2:
        for i, refresh in enumerate(refreshes):
            sent.append(commands[i].arguments[0])
            try:
                commands[i] = refresh.send(redis_client.execute_command(*commands[i].arguments))
            except StopIteration as end:
                codecs.append(end.value)
    steps = ["JSON.GET", *3 * ["AI.MODELSTORE"], "JSON.SET", "JSON.GET"]
    assert sent == [step for step in steps for _ in range(2)]
    assert codecs[0] == codecs[1]


def test_what_is_published_already_is_left_as_it_is(server, redis_client):
    toy_codec.publish(redis_client, "float16")  # somebody's own, of six features
    before = redis_client.execute_command("JSON.GET", keys.codec("float16"))
    with RedisAgentMemory(server.url) as store:
        store.store_agent_memory("a", toy_codec.states(1)[0])
        with pytest.raises(modules_store.StateShapeError, match="'float16' takes states of 6 features"):
            store.store_agent_memory("b", [1.0, 2.0])
    for command in builtin.publication("float16")[-1:]:  # of a client that found nothing, a moment too late
        assert redis_client.execute_command(*command.arguments) is None
    assert redis_client.execute_command("JSON.GET", keys.codec("float16")) == before


def test_a_client_that_knows_the_codec_publishes_no_more(store, redis_client):
    store.store_agent_memory("a", [1.0])
    redis_client.config_resetstat()
    store.refresh_codec()
    store.store_agent_memory("a", [2.0])
    calls = {name.lower() for name in redis_client.info("commandstats")}
    assert not calls & {"cmdstat_ai.modelstore", "cmdstat_json.set"}


def test_only_built_in_codecs_are_published(server, redis_client):
    with (
        RedisAgentMemory(server.url, codec="float32") as store,
        pytest.raises(modules_store.CodecNotFoundError, match="memory_system:float32"),
    ):
        store.store_agent_memory("a", [1.0])
    with (
        RedisAgentMemory(server.url, codec="float16", codec_version=2) as store,
        pytest.raises(modules_store.CodecNotFoundError, match="no version 2; published: 1"),
    ):
        store.store_agent_memory("a", [1.0])
    assert agents_keys(redis_client) == {}


@pytest.mark.parametrize("metadata", [None, {"step": 1}])
def test_another_length_is_refused(store, redis_client, metadata):
    store.store_agent_memory("a", [1.0, 2.0, 3.0])
    before = agents_keys(redis_client)
    says = "agent_states have {} features, but the memories of agent a have 3"
    for features in (1, 2, 4, 350):
        with pytest.raises(modules_store.StateShapeError, match=says.format(features)):
            store.store_agent_memory("a", np.zeros(features), metadata)
        with pytest.raises(modules_store.StateShapeError, match=says.format(features)):
            store.store_agent_memories("a", np.zeros((2, features)))
    assert agents_keys(redis_client) == before
    store.store_agent_memory("a", [4.0, 5.0, 6.0])


@pytest.mark.parametrize("bad", [65520.0, -65520.0, 1e6, 3e38, -3e38])
def test_values_beyond_float16_are_refused(store, redis_client, bad):
    store.store_agent_memory("a", [1.0, 2.0])
    before = agents_keys(redis_client)
    says = r"v1:encoder: a state is out of range: float16 takes values from -65504 to 65504, not -?[\d.e+]+$"
    for agent_id in ("a", "new"):
        with pytest.raises(modules_store.StateRangeError, match=says):
            store.store_agent_memory(agent_id, [1.0, bad], {"step": 1})
        with pytest.raises(modules_store.StateRangeError, match=says):
            store.store_agent_memories(agent_id, [[0.0, 0.0], [bad, 0.0]], timestamps=[1, 2])
    assert agents_keys(redis_client) == before


def test_a_value_that_rounds_to_the_largest_is_kept(store):
    timestamp = store.store_agent_memory("a", [65519.99, -65519.99])
    assert store.retrieve_agent_memory("a", timestamp).state.tolist() == [65504.0, -65504.0]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ([], r"agent_state has shape \[0\], not \[1\]: .* states of one or more features"),
        (3.0, r"agent_state has shape \[\], not \[1\]"),
        ([[1.0, 2.0]], r"agent_state has shape \[1, 2\], not \[2\]"),
    ],
)
def test_shapes_of_a_state(store, redis_client, state, says):
    with pytest.raises(modules_store.StateShapeError, match=says):
        store.store_agent_memory("a", state)
    assert agents_keys(redis_client) == {}


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([1.0, 2.0], r"agent_states has shape \[2\], not \[2, 2\]"),
        (3.0, r"agent_states has shape \[\], not \[0, 1\]"),
        (np.zeros((2, 3, 4)), r"agent_states has shape \[2, 3, 4\], not \[2, 4\]"),
        ([[], []], r"agent_states has shape \[2, 0\], not \[2, 1\]"),
        ([[1.0], [1.0, 2.0]], "not an array"),
    ],
)
def test_shapes_of_a_batch(store, redis_client, states, says):
    with pytest.raises(modules_store.StateShapeError, match=says):
        store.store_agent_memories("a", states)
    assert agents_keys(redis_client) == {}


def test_an_empty_batch_stores_nothing(store, redis_client):
    assert store.store_agent_memories("a", []) == []
    assert store.store_agent_memories("a", np.empty((0, 9))) == []
    assert agents_keys(redis_client) == {}


def test_a_user_who_may_not_store_models(server, redis_client):
    redis_client.execute_command("ACL SETUSER", "guest", "on", "nopass", "~*", "+@all", "-ai.modelstore")
    try:
        with (
            redis.Redis(unix_socket_path=str(server.unix_socket), username="guest", password="any") as guest,
            RedisAgentMemory(guest) as store,
            RedisAgentMemory(server.url, codec="float16") as operator,
        ):
            with pytest.raises(modules_store.ServerError, match="no permissions to run the 'ai.modelstore'"):
                store.store_agent_memory("a", [1.0])
            assert redis_client.keys() == []
            operator.refresh_codec()
            store.store_agent_memory("a", [1.0])
    finally:
        redis_client.acl_deluser("guest")


def test_a_server_without_the_engine(start_server):
    server = start_server(modules=("json",))
    with (
        redis.Redis.from_url(server.url) as client,
        RedisAgentMemory(server.url) as store,
    ):
        with pytest.raises(modules_store.MissingModuleError, match=r"redisai\.so"):
            store.store_agent_memory("a", [1.0])
        assert client.keys() == []


def test_a_cluster_of_one_node(start_server):
    server = start_server(cluster_enabled=True)
    states = np.random.default_rng(0).normal(size=(10, 350)).astype(np.float32)
    with RedisAgentMemory(server.url) as store:
        store.store_agent_memories("a", states, [{"n": n} for n in range(10)])
        recent = store.get_recent_memories("a", 10)
        np.testing.assert_array_equal([memory.state for memory in recent], as_float16(states)[::-1])
        with pytest.raises(modules_store.StateShapeError, match="agent_states have 2 features"):
            store.store_agent_memory("a", [1.0, 2.0])


def test_memories_outlive_a_restart(start_server, tmp_path):
    server = start_server(data_dir=tmp_path, appendonly=True)
    with RedisAgentMemory(server.url) as store:
        timestamp = store.store_agent_memory("a", [0.1, 0.2])
    server.stop()
    again = start_server(data_dir=tmp_path, appendonly=True)
    with RedisAgentMemory(again.url) as store:
        assert store.retrieve_agent_memory("a", timestamp).state.tolist() == as_float16([0.1, 0.2]).tolist()
        store.store_agent_memory("a", [0.3, 0.4])
