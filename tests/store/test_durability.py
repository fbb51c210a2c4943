"""Memories outlive a restart, reach replicas, work in a cluster and stand several writers at once."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
import redis

from modules_store import CodecNotFoundError, RedisAgentMemory, ServerError, keys
from tests.store import toy_codec
from tests.store.indexed import indexed
from tests.store.writers import store_some

DIGEST = {"enable-debug-command": "yes"}


LAYOUTS = pytest.mark.parametrize("layout", ["keys", "packed"], ids=["keys", "packed"])


def _fill(server, layout: str = "keys") -> tuple[list[int], np.ndarray]:
    rows = toy_codec.states(30)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=25, layout=layout) as store:
        timestamps = store.store_agent_memories("a", rows, [{"n": n} for n in range(30)])
    return timestamps[-25:], rows[-25:]


def _check(server, timestamps: list[int], rows: np.ndarray) -> None:
    with RedisAgentMemory(server.url, codec="toy") as store:
        recent = store.get_recent_memories("a", 100)
    kept = len(recent)
    assert kept >= 20
    assert [memory.timestamp for memory in recent] == timestamps[: -kept - 1 : -1]
    assert [memory.metadata["n"] for memory in recent] == list(range(30))[: -kept - 1 : -1]
    np.testing.assert_array_equal([memory.state for memory in recent], rows[: -kept - 1 : -1])


@LAYOUTS
@pytest.mark.parametrize("appendonly", [False, True], ids=["RDB", "AOF"])
def test_restart(start_server, tmp_path, appendonly, layout):
    server = start_server(data_dir=tmp_path, appendonly=appendonly, config=DIGEST)
    filled = _fill(server, layout)
    with redis.Redis.from_url(server.url) as client, RedisAgentMemory(server.url, codec="toy") as store:
        assert len(store.get_recent_memories("a")) == 10
        digest = client.execute_command("DEBUG", "DIGEST")
        server.restart()
        assert client.execute_command("DEBUG", "DIGEST") == digest
        _check(server, *filled)
        assert store.store_agent_memory("a", filled[1][0]) > filled[0][-1]  # the client from before


def test_a_replica_serves_recalls(start_server, wait_until):
    primary = start_server(config=DIGEST)
    replica = start_server(config={**DIGEST, "replicaof": f"127.0.0.1 {primary.port}"})
    filled = _fill(primary)
    with redis.Redis.from_url(primary.url) as a, redis.Redis.from_url(replica.url) as b:
        wait_until(lambda: b.info("replication")["master_link_status"] == "up")
        # WAIT would wait for the writes of its own connection alone.
        wait_until(lambda: a.execute_command("DEBUG", "DIGEST") == b.execute_command("DEBUG", "DIGEST"))
    _check(replica, *filled)
    with (
        RedisAgentMemory(replica.url, codec="toy") as store,
        pytest.raises(ServerError, match="read only replica"),
    ):
        store.store_agent_memory("a", filled[1][0])


@LAYOUTS
def test_a_cluster_of_one_node(start_server, layout):
    server = start_server(cluster_enabled=True)
    _check(server, *_fill(server, layout))
    with RedisAgentMemory(server.url, codec="toy", layout=layout) as store:
        for n in range(20):  # any slot can use the one copy of the codec
            timestamp = store.store_agent_memory(f"agent-{n}", toy_codec.states(1)[0], {"n": n})
            assert store.retrieve_agent_memory(f"agent-{n}", timestamp).metadata == {"n": n}


def test_a_shard_that_has_no_copy_of_the_codec_says_so(start_server, wait_until):
    shard, other = (start_server(cluster_enabled=True) for _ in range(2))
    with redis.Redis.from_url(shard.url) as a, redis.Redis.from_url(other.url) as b:
        toy_codec.publish_document(a)
        slot = a.execute_command("CLUSTER KEYSLOT", keys.encoder("toy", 1))
        a.execute_command("CLUSTER DELSLOTS", slot)
        b.execute_command("CLUSTER DELSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
        a.execute_command(
            "CLUSTER MEET", "127.0.0.1", other.port, b.config_get("cluster-port")["cluster-port"]
        )
        wait_until(lambda: a.execute_command("CLUSTER INFO")["cluster_slots_ok"] == "16384", 20)
    with (
        RedisAgentMemory(shard.url, codec="toy") as store,
        pytest.raises(CodecNotFoundError, match="no model at memory_system:toy:v1:encoder on this server"),
    ):
        store.store_agent_memory("a", toy_codec.states(1)[0])


@LAYOUTS
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_several_writers_of_one_agent_lose_nothing(server, toy, kind, layout):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    make = threading.Thread if kind == "threads" else context.Process
    writers = [make(target=store_some, args=(server.url, writer, results, layout)) for writer in range(3)]
    for writer in writers:
        writer.start()
    written = {
        timestamp: row.tolist()
        for own, timestamps in (results.get(timeout=60) for _ in writers)
        for row, timestamp in zip(own, timestamps, strict=True)
    }
    for writer in writers:
        writer.join()
    assert len(written) == 3 * 160
    assert len(indexed(toy, "shared")) == 3 * 160
    with RedisAgentMemory(server.url, codec="toy") as store:
        recalled = {m.timestamp: m.state.tolist() for m in store.get_recent_memories("shared", 1000)}
    assert recalled == written


@pytest.mark.each_layout
def test_one_client_may_be_shared_by_threads(store, toy):
    timestamps: list[int] = []
    rows = toy_codec.states(50)

    def work() -> None:
        timestamps.extend(store.store_agent_memory("a", row) for row in rows)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(timestamps)) == 200 == len(indexed(toy))
