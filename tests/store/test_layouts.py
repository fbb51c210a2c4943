"""Packed agents in use: what is promised of stores, recalls and servers holds whatever the layout is."""

from __future__ import annotations

import os
import random
import signal
import threading

import numpy as np
import pytest
import redis

from modules_store import (
    ByteBudget,
    KeepAll,
    MaxCount,
    MemoryStoreError,
    OutOfMemoryError,
    Policy,
    RedisAgentMemory,
    errors,
    keys,
)
from tests.store import toy_codec
from tests.store.proxy import proxy_of

ROWS = toy_codec.states(64)
PACKED = Policy(KeepAll(), layout="packed")


def contents(client: redis.Redis) -> dict[bytes, bytes]:
    """Return all that there is of agents."""
    return {key: client.dump(key) for key in client.scan_iter("agent:*", count=1000)}


@pytest.fixture
def packed(open_store, toy) -> RedisAgentMemory:
    """A store whose agent a has 64 memories in a segment, some with metadata."""
    store = open_store(codec="toy", policy=PACKED)
    metadata = [{"n": n} if n % 3 else None for n in range(64)]
    store.store_agent_memories("a", ROWS, metadata, list(range(64)))
    assert toy.type(keys.index("a")) == b"string"
    return store


@pytest.mark.parametrize(
    "text", ["x", "x" * 72, "\x02\0\0\0" + "\0" * 68, "\x02\0\0\0" + "\0" * (64 * 100 + 4)], ids=len
)
def test_a_string_that_is_no_directory_stays(packed, toy, text):
    toy.set(keys.index("b"), text)
    before = contents(toy)
    for operation in (
        lambda: packed.store_agent_memory("b", ROWS[0]),
        lambda: packed.get_recent_memories("b"),
        lambda: packed.count_memories("b"),
        lambda: packed.delete_agent("b"),
        lambda: packed.convert_agent("b", "keys"),
    ):
        with pytest.raises(errors.ServerError, match="type string that is no directory"):
            operation()
    assert packed.verify_agent("b").keys == (keys.index("b"),)
    assert contents(toy) == before


def test_metadata_that_cannot_be_kept_refuse_the_whole_store(packed, toy):
    before = contents(toy)
    deep: dict = {}
    for _ in range(1200):
        deep = {"deeper": deep}
    for policy in (PACKED, Policy(KeepAll(), layout="packed", documents=True)):
        packed.bind("a", "toy", policy=policy)
        with pytest.raises(errors.InvalidMetadataError):
            packed.store_agent_memories("a", ROWS[:3], [{"n": 1}, deep, {"n": 2}], [100, 101, 50_000])
        assert contents(toy) == before


def test_a_full_server_refuses_a_store_as_a_whole(packed, toy):
    before = contents(toy)
    toy.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(OutOfMemoryError, match="nothing was written"):
            packed.store_agent_memories("a", ROWS, [{"n": 1}] * 64)
        assert contents(toy) == before
        assert packed.delete_memories("a", list(range(10))) == 10
        assert len(packed.get_recent_memories("a", 100)) == 54
    finally:
        toy.config_set("maxmemory", "0")


def test_a_repeated_store_is_known_by_its_token(open_store, server, toy):
    with proxy_of(server.url) as proxy:
        store = open_store(proxy.url, codec="toy", policy=PACKED)
        store.store_agent_memories("a", ROWS)
        proxy.lose(keys.index("a"))
        store.store_agent_memories("a", ROWS)
        assert proxy.lost == 1
        assert store.count_memories("a") == 128


@pytest.mark.parametrize("documents", [False, True])
def test_queries_find_packed_memories_that_have_documents(open_store, toy, documents):
    store = open_store(codec="toy", policy=Policy(KeepAll(), layout="packed", documents=documents))
    store.create_search_index({"n": "numeric"}, wait_s=10)
    store.store_agent_memories("a", ROWS, [{"n": n} for n in range(64)], list(range(64)))
    found = store.find_memories("@n:[10 19]", limit=100)
    assert sorted(m.timestamp for m in found.memories) == (list(range(10, 20)) if documents else [])
    for memory in found.memories:
        assert memory.metadata == {"n": memory.timestamp}
        np.testing.assert_array_equal(memory.state, ROWS[memory.timestamp])
    store.convert_agent("a", "keys")
    assert len(store.find_memories("@n:[10 19]", limit=100).memories) == 10
    store.convert_agent("a", "packed")
    assert len(store.find_memories("@n:[10 19]", limit=100).memories) == (10 if documents else 0)
    assert [m.metadata for m in store.iterate_memories("a")] == [{"n": n} for n in range(64)]
    assert store.delete_agent("a") == 64
    assert list(toy.scan_iter("agent:*")) == []


@pytest.mark.parametrize("column", ["codes", "rows"])
def test_a_lost_column_is_counted_and_mended(packed, toy, column):
    later = [2**40 + n for n in range(5)]  # a segment of its own
    packed.store_agent_memories("a", ROWS[:5], timestamps=later)
    toy.delete(getattr(keys, f"segment_{column}")("a", 1))
    found = packed.verify_agent("a")
    assert (found.memories, found.without_value.count) == (69, 64)
    assert found.without_value.first == ((0,) if column == "rows" else tuple(range(10)))
    assert packed.repair_agent("a").lost == 64
    assert packed.verify_agent("a").ok
    assert packed.agent_stats("a").counters["lost"] == 64
    assert packed.count_memories("a") == 5


def test_numbers_of_server_given_timestamps_come_after_a_segment_without_timestamps(packed, toy):
    far = 2**50
    packed.store_agent_memories("a", ROWS[:5], timestamps=[far + n for n in range(5)])
    toy.delete(keys.segment_rows("a", 2))
    assert packed.store_agent_memory("a", ROWS[0]) > far + 4
    packed.repair_agent("a")
    assert packed.verify_agent("a").ok


def test_a_lost_directory_is_made_again(packed, toy):
    packed.store_agent_memories("a", ROWS[:5], timestamps=[2**40 + n for n in range(5)])
    toy.set(keys.segment_codes("a", 7), "a column alone")
    expected = [(m.timestamp, m.state.tolist(), m.metadata) for m in packed.iterate_memories("a")]
    toy.delete(keys.index("a"))
    found = packed.verify_agent("a")
    assert (found.not_indexed.count, found.keys) == (69, (keys.segment_codes("a", 7),))
    done = packed.repair_agent("a")
    assert (done.indexed, done.removed) == (69, 1)
    assert packed.verify_agent("a").ok
    assert [(m.timestamp, m.state.tolist(), m.metadata) for m in packed.iterate_memories("a")] == expected


def test_a_deleted_agent_leaves_no_segment(packed, toy):
    toy.delete(keys.index("a"))
    toy.set(keys.segment_metadata("a", 9), "a column alone")
    packed.store_agent_memory("b", ROWS[0])
    packed.delete_agent("a")
    assert {key.split(b":")[1] for key in toy.scan_iter("agent:*")} == {b"{b}"}


def test_a_replica_has_the_same_and_serves_recalls(start_server, wait_until):
    digest = {"enable-debug-command": "yes"}
    primary = start_server(config=digest)
    replica = start_server(config={**digest, "replicaof": f"127.0.0.1 {primary.port}"})
    policy = Policy(MaxCount(150), ttl_ms=10**8, layout="packed", stream_entries=1000, priorities=True)
    with (
        redis.Redis.from_url(primary.url) as a,
        redis.Redis.from_url(replica.url) as b,
        RedisAgentMemory(primary.url, codec="toy", policy=policy) as store,
        RedisAgentMemory(replica.url, codec="toy") as reader,
    ):
        toy_codec.publish(a)
        wait_until(lambda: b.info("replication")["master_link_status"] == "up")
        for _ in range(5):
            store.store_agent_memories("a", ROWS, [{"n": n} for n in range(64)])
            store.store_agent_memory("b", ROWS[0], {"n": 1})
        store.delete_memories("a", [m.timestamp for m in store.get_recent_memories("a", 50)[::3]])
        store.convert_agent("b", "keys")
        store.store_agent_memories("c", ROWS, timestamps=list(range(1, 65)))
        with pytest.raises(_Stopped):
            store.convert_agent("c", "keys", step=10, on_progress=_stop)
        assert a.wait(1, 10_000) == 1
        assert a.execute_command("DEBUG", "DIGEST") == b.execute_command("DEBUG", "DIGEST")
        for agent in "abc":
            there, here = (
                [(m.timestamp, m.state.tolist(), m.metadata) for m in one.iterate_memories(agent)]
                for one in (store, reader)
            )
            assert here == there != []


class _Stopped(Exception):
    pass


def _stop(done) -> None:
    raise _Stopped


class Writer(threading.Thread):
    """Stores for an agent until the server is gone and converts it meanwhile; knows what was acknowledged."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self.url, self.random = url, random.Random(seed)
        self.acknowledged: dict[int, int] = {}

    def run(self) -> None:
        policy = Policy(ByteBudget(10**9), layout="packed")
        with RedisAgentMemory(self.url, codec="toy", policy=policy, retries=0) as store:
            while True:
                picked = [self.random.randrange(len(ROWS)) for _ in range(self.random.choice((1, 1, 5, 60)))]
                metadata = [{"n": one} for one in picked]
                try:
                    stamps = store.store_agent_memories("a", ROWS[picked], metadata)
                except MemoryStoreError:
                    return
                self.acknowledged.update(zip(stamps, picked, strict=True))


class Converter(threading.Thread):
    """Converts an agent from one layout to the other and back until the server is gone."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def run(self) -> None:
        with RedisAgentMemory(self.url, codec="toy", retries=0) as store:
            while True:
                for layout in ("keys", "packed"):
                    try:
                        store.convert_agent("a", layout, step=37)
                    except MemoryStoreError:
                        return


@pytest.mark.parametrize("converted", [False, True], ids=["packed", "converted"])
def test_kill_9_at_random_moments(start_server, tmp_path, wait_until, converted):
    server = start_server(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    acknowledged: dict[int, int] = {}
    for turn in range(4):
        writers = [Writer(server.url, 10 * turn + n) for n in range(2)]
        threads = [*writers, *([Converter(server.url)] if converted else [])]
        for thread in threads:
            thread.start()
        wait_until(lambda w=writers, n=50 * turn + 1: sum(len(one.acknowledged) for one in w) >= n, 30)
        os.kill(server.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        for writer in writers:
            assert not acknowledged.keys() & writer.acknowledged.keys()
            acknowledged |= writer.acknowledged
        server.restart()
        with RedisAgentMemory(server.url, codec="toy") as store:
            recalled = {m.timestamp: m for m in store.iterate_memories("a")}
            assert acknowledged.keys() <= recalled.keys()
            for timestamp, one in acknowledged.items():
                np.testing.assert_array_equal(recalled[timestamp].state, ROWS[one])
                assert recalled[timestamp].metadata == {"n": one}
            assert store.verify_agent("a").ok
