"""Deleting memories by their timestamps."""

import numpy as np
import pytest
import redis

from modules_store import InvalidTimestampError, keys
from tests.store import toy_codec

pytestmark = pytest.mark.each_layout


@pytest.mark.keys_alone
def test_deleted_memories_are_gone_with_all_that_is_theirs(store, redis_client: redis.Redis):
    states = np.zeros((5, toy_codec.INPUT_DIM), np.float32)
    store.store_agent_memories("a", states, [{"n": n} for n in range(5)], [1, 2, 3, 4, 5])
    assert store.delete_memories("a", [2, 4, 9]) == 2
    assert [m.timestamp for m in store.get_recent_memories("a")] == [5, 3, 1]
    left = {f"agent:{{a}}:memory:{t}{part}".encode() for t in (1, 3, 5) for part in ("", ":meta")}
    assert set(redis_client.scan_iter(match="agent:{a}:memory:*")) == left
    assert store.delete_memories("a", [2, 4, 9]) == 0


def test_a_value_without_an_index_entry_is_deleted_too(store, redis_client: redis.Redis):
    store.store_agent_memory("a", np.zeros(toy_codec.INPUT_DIM), timestamp=7)
    redis_client.delete(keys.index("a"))
    assert store.delete_memories("a", [7]) == 0
    assert not redis_client.exists("agent:{a}:memory:7")


def test_more_than_one_step_deletes_all(store, redis_client: redis.Redis):
    redis_client.zadd(keys.index("a"), {str(t): t for t in range(20_000)})
    assert store.delete_memories("a", range(20_000)) == 20_000
    assert not redis_client.exists(keys.index("a"))


def test_bad_timestamps_are_refused(store):
    with pytest.raises(InvalidTimestampError, match="timestamps"):
        store.delete_memories("a", [1, 1])


@pytest.mark.keys_alone
def test_a_deleted_agent_leaves_nothing_and_others_stay(store, redis_client: redis.Redis):
    states = np.zeros((3, toy_codec.INPUT_DIM), np.float32)
    for agent in ("a*[b]?\\", "a!b"):
        store.store_agent_memories(agent, states, [{"n": n} for n in range(3)], [1, 2, 3])
    redis_client.zrem(keys.index("a*[b]?\\"), "2")
    assert store.delete_agent("a*[b]?\\") == 2
    assert [key for key in redis_client.scan_iter() if key.startswith(b"agent:{a*")] == []
    assert len(store.get_recent_memories("a!b")) == 3
    assert store.delete_agent("a*[b]?\\") == 0
