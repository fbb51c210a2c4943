"""buffered: single stores gathered, flushed by size and age and at the end, nothing lost where that fails."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
import redis

import modules_store
from modules_store import AsyncRedisAgentMemory, FlushError, Policy, keys
from tests.store import toy_codec

ROWS = toy_codec.states(30)


def count(client: redis.Redis, agent: str = "a") -> int:
    return client.zcard(keys.index(agent))


def test_what_was_gathered_is_there_in_its_order(store):
    with store.buffered() as buffer:
        for n, row in enumerate(ROWS):
            assert buffer.store_agent_memory("ab"[n % 2], row, {"n": n} if n % 3 else None) is None
        assert len(buffer) == 30
    assert len(buffer) == 0
    for agent, rows in (("a", ROWS[::2]), ("b", ROWS[1::2])):
        recent = store.get_recent_memories(agent, 30)[::-1]
        np.testing.assert_array_equal([memory.state for memory in recent], rows)
        assert recent[-1].timestamp == recent[0].timestamp + 14  # those of one flush
    assert [m.metadata for m in store.get_recent_memories("b", 2)] == [{"n": 29}, None]


def test_given_and_other_timestamps_mix(store):
    with store.buffered() as buffer:
        for timestamp in (5, 3, None, None, 2**50, None):
            buffer.store_agent_memory("a", ROWS[len(buffer)], timestamp=timestamp)
    recent = store.get_recent_memories("a", 9)[::-1]
    assert [memory.timestamp for memory in recent[:2]] == [3, 5]
    assert [memory.timestamp for memory in recent[-2:]] == [2**50, 2**50 + 1]
    np.testing.assert_array_equal([memory.state for memory in recent], ROWS[[1, 0, 2, 3, 4, 5]])


def test_flushes_by_size(store, toy):
    with store.buffered(size=10, age_s=1e9) as buffer:
        seen = []
        for n in range(25):
            buffer.store_agent_memory("ab"[n % 2], ROWS[n])
            seen.append(count(toy) + count(toy, "b"))
    assert seen == [0] * 9 + [10] * 10 + [20] * 6
    assert count(toy) + count(toy, "b") == 25


def test_flushes_by_age(store, toy, wait_until):
    with store.buffered(age_s=0.05) as buffer:
        buffer.store_agent_memory("a", ROWS[0])
        began_s = time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > 0.05)
        assert count(toy) == 0  # nothing runs in between
        buffer.store_agent_memory("a", ROWS[1])
        assert (count(toy), len(buffer)) == (2, 0)
    with store.buffered(age_s=0) as buffer:
        buffer.store_agent_memory("a", ROWS[0])
        assert (count(toy), len(buffer)) == (3, 0)


def test_flushes_on_request_and_on_errors(store, toy):
    def fail_after_two() -> None:
        with store.buffered() as buffer:
            buffer.store_agent_memory("a", ROWS[0])
            buffer.flush()
            assert count(toy) == 1
            buffer.flush()
            buffer.store_agent_memory("a", ROWS[1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_two()
    assert count(toy) == 2


def test_a_state_is_copied(store):
    state = ROWS[0].copy()
    with store.buffered() as buffer:
        buffer.store_agent_memory("a", state)
        state[:] = 0
    np.testing.assert_array_equal(store.get_recent_memories("a")[0].state, ROWS[0])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("a{", ROWS[0]), modules_store.InvalidAgentIdError, "agent_id"),
        (("a", ROWS[0][:5]), modules_store.StateShapeError, "agent_state has shape"),
        (("a", [np.inf] * 6), modules_store.NonFiniteStateError, "agent_state"),
        (("a", ROWS[0], [1]), modules_store.InvalidMetadataError, "metadata is of type list"),
        (("a", ROWS[0], None, -1), modules_store.InvalidTimestampError, "timestamp is -1"),
        (("a", ROWS[0], None, 7), modules_store.InvalidTimestampError, "7 is given twice for agent a"),
        (("a", ROWS[0], None, 6), modules_store.InvalidTimestampError, "6 is not above 7"),
    ],
)
def test_bad_input_is_refused_at_once(open_store, toy, arguments, error, says):
    store = open_store(codec="toy", policy=Policy(stream_entries=100))
    with store.buffered() as buffer:
        buffer.store_agent_memory("a", ROWS[0], timestamp=7)
        with pytest.raises(error, match=says):
            buffer.store_agent_memory(*arguments)
        assert len(buffer) == 1
    assert count(toy) == 1


def test_states_of_another_length_are_refused_at_once(open_store, toy):
    with open_store().buffered() as buffer:
        buffer.store_agent_memory("a", [1, 2, 3])
        buffer.store_agent_memory("b", [1, 2])
        with pytest.raises(modules_store.StateShapeError, match="has 2 features, but agent a has 3"):
            buffer.store_agent_memory("a", [1, 2])


@pytest.mark.parametrize(
    ("options", "says"),
    [({"size": 0}, "size is 0"), ({"size": 16385}, "size is 16385"), ({"age_s": -1}, "age_s is -1")],
)
def test_options(store, options, says):
    with pytest.raises(modules_store.InvalidInputError, match=says):
        store.buffered(**options)


def test_an_agent_that_is_refused_holds_up_no_other(store, toy):
    store.store_agent_memory("b", ROWS[0], timestamp=5)
    buffer = store.buffered().__enter__()
    for agent, timestamp in (("a", 5), ("b", 4), ("b", 5), ("c", 5), ("c", None)):
        buffer.store_agent_memory(agent, ROWS[1], timestamp=timestamp)
    with pytest.raises(FlushError, match="not stored yet: 2; agent b already has a memory at 5") as failed:
        buffer.__exit__(None, None, None)
    assert failed.value.left == len(buffer) == 2
    assert isinstance(failed.value.__cause__, modules_store.TimestampExistsError)
    assert [count(toy, agent) for agent in "abc"] == [1, 1, 2]
    toy.delete(keys.memory("b", 5))
    toy.zrem(keys.index("b"), 5)
    buffer.flush()
    assert len(buffer) == 0
    assert [memory.timestamp for memory in store.get_recent_memories("b")] == [5, 4]


def test_what_a_full_server_refuses_waits(store, toy):
    buffer = store.buffered(size=2)
    with buffer as entered:
        entered.store_agent_memory("a", ROWS[0])
        toy.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(FlushError, match="not stored yet: 2; nothing was written") as failed:
                entered.store_agent_memory("b", ROWS[1])
            assert isinstance(failed.value.__cause__, modules_store.OutOfMemoryError)
            with pytest.raises(FlushError, match="not stored yet: 3"):
                entered.store_agent_memory("a", ROWS[2])
        finally:
            toy.config_set("maxmemory", "0")
        assert len(entered) == 3
    assert (count(toy), count(toy, "b")) == (2, 1)
    np.testing.assert_array_equal(
        [memory.state for memory in store.get_recent_memories("a")], [ROWS[2], ROWS[0]]
    )


def test_what_a_server_that_is_gone_did_not_get_waits(start_server, open_store, tmp_path):
    server = start_server(data_dir=tmp_path)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
        with open_store(server.url, codec="toy").buffered() as buffer:
            buffer.store_agent_memory("a", ROWS[0])
            server.stop()
            with pytest.raises(FlushError, match="not stored yet: 1; the Redis server cannot be reached"):
                buffer.flush()
            start_server(data_dir=tmp_path, port=server.port)
        assert count(client) == 1


def test_what_a_cancelled_flush_did_not_store_waits(server, toy):
    async def cancel_a_flush() -> int:
        async with AsyncRedisAgentMemory(server.url, codec="toy") as store:
            await store.store_agent_memory("a", ROWS[0])  # connects and learns the codec
            buffer = store.buffered()
            await buffer.store_agent_memory("a", ROWS[1])
            toy.execute_command("CLIENT PAUSE", 60_000, "WRITE")
            flush = asyncio.create_task(buffer.flush())
            while len(buffer):  # until it has taken out what waits
                await asyncio.sleep(0)
            flush.cancel()
            await asyncio.wait([flush])
            return len(buffer)

    try:
        assert asyncio.run(cancel_a_flush()) == 1
    finally:
        toy.execute_command("CLIENT UNPAUSE")
