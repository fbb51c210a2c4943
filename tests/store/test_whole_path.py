"""States in, states out: what the four operations do when all is well."""

from __future__ import annotations

import time

import numpy as np
import pytest
import redis

from modules_store import RedisAgentMemory, keys
from tests.store import toy_codec


# redis-py 4 leaves no choice of protocol.
@pytest.fixture(
    params=["URL", "queued"] if redis.VERSION < (5,) else ["URL", "RESP2", "RESP3", "queued RESP3"]
)
def store(request, server, toy):
    """A store with connections of its own, or those of a client that speaks RESP2 or RESP3; or queued."""
    mode = "queued" if "queued" in request.param else "auto"
    if "RESP" not in request.param:
        with RedisAgentMemory(server.url, codec="toy", mode=mode) as memory:
            yield memory
        return
    with redis.Redis.from_url(server.url, protocol=int(request.param[-1])) as client:
        yield RedisAgentMemory(client, codec="toy", mode=mode)


def test_a_state_comes_back_within_the_codecs_error(store):
    state = np.array([0.1, -2.34, 7.9, -8.0, 0.0, 3.33], np.float32)
    timestamp = store.store_agent_memory("drone-7", state, {"step": 1, "tags": ["a", None], "name": "Zoë"})
    memory = store.retrieve_agent_memory("drone-7", timestamp)
    assert memory.agent_id == "drone-7"
    assert memory.timestamp == timestamp
    assert memory.metadata == {"step": 1, "tags": ["a", None], "name": "Zoë"}
    assert memory.state.dtype == np.float32
    assert np.abs(memory.state - state).max() <= toy_codec.STEP / 2


def test_a_memory_is_its_header_and_codes(store, toy):
    timestamp = store.store_agent_memory("a", np.arange(6) * toy_codec.STEP)
    assert toy.get(keys.memory("a", timestamp)) == b"\x01" + b"\x01\x00" + bytes(range(6))


def test_the_server_gives_the_time_and_never_one_timestamp_twice(store):
    before = time.time_ns() // 1_000_000
    singles = [store.store_agent_memory("a", state) for state in toy_codec.states(50)]
    batch = store.store_agent_memories("a", toy_codec.states(50))
    assert before <= singles[0] <= time.time_ns() // 1_000_000
    assert singles == sorted(set(singles))
    assert batch == list(range(batch[0], batch[0] + 50))
    assert batch[0] > singles[-1]


def test_after_a_timestamp_of_the_future_the_server_counts_on_from_it(store):
    store.store_agent_memory("a", toy_codec.states(1)[0], timestamp=9_000_000_000_000)
    assert store.store_agent_memory("a", toy_codec.states(1)[0]) == 9_000_000_000_001


def test_timestamps_may_be_given_up_to_the_largest_exact_integer(store):
    rows = toy_codec.states(4)
    given = [3, 0, 2**53 - 1, 2**52 + 1]
    assert store.store_agent_memories("a", rows, timestamps=given) == given
    assert store.store_agent_memory("a", rows[0], timestamp=np.int64(7)) == 7
    recalled = {memory.timestamp: memory.state for memory in store.get_recent_memories("a")}
    assert list(recalled) == [2**53 - 1, 2**52 + 1, 7, 3, 0]
    for timestamp, row in zip(given, rows, strict=True):
        np.testing.assert_array_equal(recalled[timestamp], row)


def test_a_batch_keeps_each_states_own_metadata(store, toy):
    rows = toy_codec.states(3)
    timestamps = store.store_agent_memories("a", rows, [{"n": 0}, None, {"n": 2}])
    recent = store.get_recent_memories("a")
    assert [memory.metadata for memory in recent] == [{"n": 2}, None, {"n": 0}]
    np.testing.assert_array_equal([memory.state for memory in recent], rows[::-1])
    assert not toy.exists(keys.memory_metadata("a", timestamps[1]))


def test_recent_memories_are_the_newest_first_and_no_more_than_asked(store):
    timestamps = store.store_agent_memories("a", toy_codec.states(20))
    assert [memory.timestamp for memory in store.get_recent_memories("a", 3)] == timestamps[:-4:-1]
    assert len(store.get_recent_memories("a")) == 10
    assert len(store.get_recent_memories("a", 100)) == 20


def test_an_unknown_agent_has_no_recent_memories(store):
    assert store.get_recent_memories("nobody") == []


def test_recent_memories_pass_over_evicted_ones(store, toy):
    rows = toy_codec.states(6)
    timestamps = store.store_agent_memories("a", rows)
    toy.delete(keys.memory("a", timestamps[-1]), keys.memory("a", timestamps[-3]))
    recent = store.get_recent_memories("a", 3)
    assert [memory.timestamp for memory in recent] == [timestamps[i] for i in (4, 2, 1)]
    np.testing.assert_array_equal([memory.state for memory in recent], rows[[4, 2, 1]])


def test_agents_do_not_see_each_other(store):
    rows = toy_codec.states(2)
    for agent, row in zip(("a", "a:b"), rows, strict=True):
        store.store_agent_memory(agent, row, timestamp=5)
    for agent, row in zip(("a", "a:b"), rows, strict=True):
        np.testing.assert_array_equal(store.retrieve_agent_memory(agent, 5).state, row)


@pytest.mark.parametrize("agent_id", ['say "hi"\\', "Zoë 🤖", "a:memory:5", "x" * 256, "%s", "*"])
def test_any_legal_agent_id_works(store, agent_id):
    timestamp = store.store_agent_memory(agent_id, toy_codec.states(1)[0], {"a": 1})
    assert store.retrieve_agent_memory(agent_id, timestamp).metadata == {"a": 1}


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.float64,
        np.float16,
        lambda row: np.repeat(row, 2)[::2],
        lambda row: row.astype(">f8"),
        lambda row: [np.float32(x) for x in row],
    ],
)
def test_a_state_may_be_any_array_of_real_numbers(store, convert):
    row = toy_codec.states(1)[0]
    timestamp = store.store_agent_memory("a", convert(row))
    np.testing.assert_array_equal(store.retrieve_agent_memory("a", timestamp).state, row)


@pytest.mark.parametrize("convert", [list, tuple, lambda rows: [row.tolist() for row in rows]])
def test_a_batch_may_be_any_array_of_real_numbers(store, convert):
    rows = toy_codec.states(3)
    store.store_agent_memories("a", convert(rows))
    np.testing.assert_array_equal([memory.state for memory in store.get_recent_memories("a")], rows[::-1])


def test_integers_are_states_too(store):
    timestamp = store.store_agent_memory("a", [1, -2, 3, 0, 7, -8])
    assert store.retrieve_agent_memory("a", timestamp).state.tolist() == [1, -2, 3, 0, 7, -8]


def test_metadata_may_hold_numpy_values(store):
    metadata = {
        "reward": np.float32(0.5),
        "step": np.int64(3),
        "done": np.bool_(True),
        "action": np.array([1, 2]),
    }
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0], metadata)
    recalled = store.retrieve_agent_memory("a", timestamp).metadata
    assert recalled == {"reward": 0.5, "step": 3, "done": True, "action": [1, 2]}


def test_an_empty_batch_stores_nothing(store, toy):
    before = toy.dbsize()
    assert store.store_agent_memories("a", []) == []
    assert store.store_agent_memories("a", np.empty((0, toy_codec.INPUT_DIM))) == []
    assert toy.dbsize() == before


def test_a_batch_of_ten_thousand(server, toy):
    rows = toy_codec.states(10_000)
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=20_000) as store:
        timestamps = store.store_agent_memories("a", rows, [{"n": n} for n in range(10_000)])
        recent = store.get_recent_memories("a", 10_000)
    assert [memory.timestamp for memory in recent] == timestamps[::-1]
    assert [memory.metadata["n"] for memory in recent] == list(range(10_000))[::-1]
    np.testing.assert_array_equal([memory.state for memory in recent], rows[::-1])


def test_codes_of_another_dtype(server, redis_client):
    toy_codec.publish(redis_client, "half", half=True)
    state = np.array([0.1, 1e-3, 60000, -1.5, 3.14159, 0], np.float32)
    with RedisAgentMemory(server.url, codec="half") as store:
        timestamp = store.store_agent_memory("a", state)
        assert redis_client.strlen(keys.memory("a", timestamp)) == 3 + 2 * 6
        np.testing.assert_array_equal(
            store.retrieve_agent_memory("a", timestamp).state, state.astype(np.float16).astype(np.float32)
        )


def test_versions_of_a_codec_live_side_by_side(server, store, toy):
    rows = toy_codec.states(6)
    first = store.store_agent_memories("a", rows[:2])
    toy_codec.publish(toy, version=2, step=2 * toy_codec.STEP)
    second = store.store_agent_memories("a", rows[2:3])  # still the version that the client knows
    store.refresh_codec()
    third = store.store_agent_memories("a", 2 * rows[3:])
    headers = [toy.get(keys.memory("a", t))[:3] for t in (*first, *second, *third)]
    assert headers == [b"\x01\x01\x00"] * 3 + [b"\x01\x02\x00"] * 3
    recent = store.get_recent_memories("a")
    np.testing.assert_array_equal([m.state for m in recent], np.concatenate([rows[:3], 2 * rows[3:]])[::-1])
    with RedisAgentMemory(server.url, codec="toy", codec_version=1) as pinned:
        fourth = pinned.store_agent_memory("a", rows[0])
    assert toy.get(keys.memory("a", fourth))[:3] == b"\x01\x01\x00"


def test_a_client_that_is_given_is_used_and_left_open(server, toy):
    toy.json()  # gives this client callbacks that would parse JSON replies
    with RedisAgentMemory(toy, codec="toy") as store:
        timestamp = store.store_agent_memory("a", toy_codec.states(1)[0])
    assert toy.exists(keys.memory("a", timestamp))


def test_a_client_on_another_database_keeps_its_memories_there(server, redis_client):
    with redis.Redis.from_url(server.url, db=3) as other:
        other.flushdb()
        toy_codec.publish(other)
        with RedisAgentMemory(other, codec="toy") as store:
            store.store_agent_memory("a", toy_codec.states(1)[0])
            assert len(store.get_recent_memories("a")) == 1
        other.flushdb()
    assert redis_client.dbsize() == 0
