"""Redis may evict any key: recalls pass over what is lost and drop it, codecs and documents are restored."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import redis

from modules_store import (
    CodecNotFoundError,
    InvalidInputError,
    KeepAll,
    MemoryNotFoundError,
    OutOfMemoryError,
    Policy,
    RedisAgentMemory,
    keys,
)
from tests.store import toy_codec
from tests.store.monitoring import commands_of

ROWS = toy_codec.states(20)
STAMPS = list(range(1, 21))
DAMAGE = [2, 3, 20]


def counters(client: redis.Redis, agent: str = "a") -> dict[str, int]:
    return json.loads(client.execute_command("JSON.GET", keys.agent_metadata(agent), "$.counters"))[0]


@pytest.fixture
def filled(store):
    store.store_agent_memories("a", ROWS, [{"n": t} for t in STAMPS], STAMPS)
    return store


@pytest.fixture
def copy(tmp_path):
    """A folder as model_export writes one, with the toy codec."""
    encoder, decoder, latents = toy_codec.torchscript(toy_codec.STEP, toy_codec.INPUT_DIM, "INT8", work=0)
    files = {"encoder.pt": encoder, "decoder.pt": decoder, "latents.pt": latents}
    for name, blob in files.items():
        (tmp_path / name).write_bytes(blob)
    hashes = {name: hashlib.sha256(blob).hexdigest() for name, blob in files.items()}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": hashes}))
    return tmp_path


def enter_hashes(client: redis.Redis, folder, version: int = 1) -> None:
    """Enter the hashes in the codec's document, as publishing an export does."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    hashes = {"encoder": files["encoder.pt"], "decoder": files["decoder.pt"]}
    path = f'$.versions["{version}"].sha256'
    client.execute_command("JSON.SET", keys.codec("toy"), path, json.dumps(hashes))


@pytest.mark.parametrize(
    "recall",
    [
        lambda s: s.get_recent_memories("a", 20),
        lambda s: s.get_memories_between("a"),
        lambda s: list(s.iterate_memories("a", page=7)),
        lambda s: s.retrieve_agent_memories("a", STAMPS, missing="skip"),
        lambda s: [found.memory for found in s.find_similar_memories("a", ROWS[0], 20)],
    ],
)
def test_recalls_drop_what_is_lost_and_count_it(filled, toy, recall):
    toy.delete(*(keys.memory("a", t) for t in DAMAGE))
    kept = {t: row.tolist() for t, row in zip(STAMPS, ROWS, strict=True) if t not in DAMAGE}
    assert {m.timestamp: m.state.tolist() for m in recall(filled)} == kept
    assert filled.count_memories("a") == len(kept)
    assert counters(toy) == {"stored": 20, "trimmed": 0, "lost": 3}
    assert not toy.exists(*(keys.memory_metadata("a", t) for t in DAMAGE))
    assert filled.verify_agent("a").ok
    assert {m.timestamp: m.state.tolist() for m in recall(filled)} == kept
    assert counters(toy)["lost"] == 3


def test_a_single_memory_that_is_lost(filled, toy):
    toy.delete(keys.memory("a", 5))
    with pytest.raises(MemoryNotFoundError, match="no memory at 5: Redis evicted it, or it expired"):
        filled.retrieve_agent_memory("a", 5)
    with pytest.raises(MemoryNotFoundError, match="no memory at 5$"):
        filled.retrieve_agent_memory("a", 5)
    assert (filled.count_memories("a"), counters(toy)["lost"]) == (19, 1)


def test_what_has_expired_counts_as_trimmed(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll(), ttl_ms=10**9))
    store.store_agent_memories("a", ROWS, timestamps=STAMPS)
    toy.delete(keys.memory("a", 5))
    assert len(store.get_recent_memories("a", 20)) == 19
    assert counters(toy) == {"stored": 20, "trimmed": 1}


def test_another_round_trip_only_where_something_was_lost(filled, toy):
    filled.get_recent_memories("a")
    toy.delete(keys.memory("a", 18))
    filled.get_recent_memories("a")
    assert commands_of(toy, lambda: filled.get_recent_memories("a")) == ["FCALL_RO"]
    toy.delete(keys.memory("a", 19))
    assert commands_of(toy, lambda: filled.get_recent_memories("a")) == ["FCALL_RO", "FCALL"]


def test_queries_drop_what_is_lost(filled, toy, wait_until):
    filled.create_search_index({"n": "numeric"})
    wait_until(lambda: filled.find_memories("*").total == 20)
    toy.delete(keys.memory("a", 4))
    assert filled.find_memories("@n:[1 5]").gone == 1
    assert filled.find_memories("@n:[1 5]").gone == 0
    assert counters(toy)["lost"] == 1


def test_a_replica_passes_over_them_and_is_silent(start_server, wait_until):
    primary = start_server()
    replica = start_server(config={"replicaof": f"127.0.0.1 {primary.port}"})
    with redis.Redis.from_url(primary.url) as a, redis.Redis.from_url(replica.url) as b:
        toy_codec.publish(a)
        with RedisAgentMemory(primary.url, codec="toy") as store:
            store.store_agent_memories("a", ROWS, timestamps=STAMPS)
        a.delete(keys.memory("a", 20))
        wait_until(lambda: b.info("replication")["master_link_status"] == "up")
        assert a.wait(1, 10_000) == 1
    with RedisAgentMemory(replica.url) as reader:
        assert [m.timestamp for m in reader.get_recent_memories("a", 2)] == [19, 18]
        assert reader.count_memories("a") == 20


@pytest.mark.parametrize("mode", ["inline", "queued"])
@pytest.mark.parametrize("lost", [["encoder"], ["decoder"], ["encoder", "decoder"], ["codec", "encoder"]])
def test_the_built_in_codec_is_published_again(open_store, redis_client, lost, mode):
    store = open_store(mode=mode)
    store.store_agent_memories("a", ROWS, timestamps=STAMPS)
    names = {
        "encoder": keys.encoder("float16", 1),
        "decoder": keys.decoder("float16", 1),
        "codec": keys.codec("float16"),
    }
    redis_client.delete(*(names[one] for one in lost))
    np.testing.assert_array_equal([m.state for m in store.get_recent_memories("a", 20)], ROWS[::-1])
    store.store_agent_memory("a", ROWS[0])
    assert len(open_store().get_recent_memories("a", 30)) == 21


@pytest.mark.parametrize("mode", ["inline", "queued"])
def test_a_codec_is_published_again_from_files(open_store, toy, copy, mode):
    enter_hashes(toy, copy)
    store = open_store(codec="toy", codec_files=copy, mode=mode)
    store.store_agent_memories("a", ROWS, timestamps=STAMPS)
    toy.delete(keys.encoder("toy", 1), keys.decoder("toy", 1))
    np.testing.assert_array_equal([m.state for m in store.get_recent_memories("a", 20)], ROWS[::-1])
    toy.delete(keys.encoder("toy", 1))
    assert store.store_agent_memory("a", ROWS[0]) > 20
    toy.delete(keys.codec("toy"))
    store.refresh_codec()
    assert toy.exists(keys.codec("toy"))


def test_never_another_codec_takes_the_place(open_store, toy, copy):
    store = open_store(codec="toy", codec_files=[copy])
    store.store_agent_memories("a", ROWS, timestamps=STAMPS)
    decoder = keys.decoder("toy", 1)
    toy.delete(decoder)
    with pytest.raises(CodecNotFoundError, match="version 1 of codec toy is lost here and no document has"):
        store.get_recent_memories("a")
    enter_hashes(toy, copy)
    toy.execute_command("JSON.SET", keys.codec("toy"), '$.versions["1"].sha256.decoder', '"00"')
    with pytest.raises(CodecNotFoundError, match="codec_files has no copy of it; publish this version again"):
        store.get_recent_memories("a")
    assert not toy.exists(decoder)
    manifest = (copy / "manifest.json").read_text()
    toy.execute_command("JSON.DEL", keys.codec("toy"), '$.versions["1"].sha256')
    toy.execute_command("JSON.SET", keys.manifest("toy", 1), "$", manifest)
    assert len(store.get_recent_memories("a", 20)) == 20


def test_files_that_are_refused(open_store, copy, tmp_path_factory):
    with pytest.raises(InvalidInputError, match="codec_files: .* holds no exported codec"):
        open_store(codec_files=tmp_path_factory.mktemp("empty"))
    (copy / "decoder.pt").write_bytes(b"another")
    with pytest.raises(InvalidInputError, match="content hashes differ"):
        open_store(codec_files=copy)
    with pytest.raises(InvalidInputError, match="codec_files is of type int"):
        open_store(codec_files=7)


@pytest.mark.parametrize("codec", ["toy", None])
def test_the_memory_system_of_an_agent_is_written_again(open_store, toy, codec):
    store = open_store(codec=codec)
    store.store_agent_memories("a", ROWS, timestamps=STAMPS)
    before = toy.execute_command("JSON.GET", keys.agent_memory_system("a"))
    toy.delete(keys.agent_memory_system("a"))
    np.testing.assert_array_equal([m.state for m in open_store().get_recent_memories("a", 20)], ROWS[::-1])
    assert toy.execute_command("JSON.GET", keys.agent_memory_system("a")) == before


def test_an_agent_that_nobody_bound_gets_both_documents_again(open_store, redis_client):
    open_store(codec=None).store_agent_memories("a", ROWS, timestamps=STAMPS)
    redis_client.delete(keys.agent_memory_system("a"), keys.agent_metadata("a"), keys.memory("a", STAMPS[-1]))
    store = open_store(codec=None)
    recalled = store.get_recent_memories("a", 20)
    np.testing.assert_array_equal([memory.state for memory in recalled], ROWS[-2::-1])
    assert store.verify_agent("a").ok


def test_documents_that_nothing_tells_are_named(open_store, toy):
    open_store(codec="toy").store_agent_memories("a", ROWS, timestamps=STAMPS)
    toy.delete(keys.agent_memory_system("a"), keys.agent_metadata("a"))
    with pytest.raises(
        CodecNotFoundError, match="not of version 1 of codec float16; bind agent a to its codec"
    ):
        open_store().get_recent_memories("a")
    toy_codec.publish(toy, "half", half=True)
    with pytest.raises(CodecNotFoundError, match="newest memories of agent a are not of version 1"):
        open_store(codec="half").get_recent_memories("a")
    assert len(open_store(codec="toy").get_recent_memories("a")) == 10
    assert open_store(codec="toy").verify_agent("a").ok


def test_tiny_maxmemory_with_eviction(start_server):
    server = start_server()
    policy = Policy(KeepAll())
    agents = [f"agent-{n}" for n in range(8)]
    truth: dict[tuple[str, int], list[float]] = {}
    with redis.Redis.from_url(server.url) as client, RedisAgentMemory(server.url, policy=policy) as store:
        store.store_agent_memory("first", ROWS[0])
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 2 * 2**20)
        rng = np.random.default_rng(0)
        for step in range(1, 241):
            agent = agents[step % len(agents)]
            states = rng.integers(-100, 100, (40, 50)).astype(np.float32)
            stamps = [step * 1000 + n for n in range(40)]
            try:
                store.store_agent_memories(agent, states, [{"t": t} for t in stamps], stamps)
            except OutOfMemoryError:
                continue
            truth.update({(agent, t): row.tolist() for t, row in zip(stamps, states, strict=True)})
            for memory in store.get_recent_memories(agents[(step * 3) % len(agents)], 60):
                assert truth[memory.agent_id, memory.timestamp] == memory.state.tolist()
                assert memory.metadata in ({"t": memory.timestamp}, None)
        assert client.info("stats")["evicted_keys"] > 100
        client.config_set("maxmemory", 0)
        lost = 0
        for agent in agents:
            store.repair_agent(agent)
            assert store.verify_agent(agent).ok
            for memory in store.iterate_memories(agent):
                assert truth[agent, memory.timestamp] == memory.state.tolist()
            lost += store.agent_stats(agent).counters["lost"]
        assert lost > 0
