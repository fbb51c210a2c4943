"""The keys of design.md, all of them and no others, and documents that say what is true."""

from __future__ import annotations

import json

import pytest

from modules_store import RedisAgentMemory, keys
from tests.store import toy_codec


def _json(client, key):
    return json.loads(client.execute_command("JSON.GET", key))


def test_exactly_the_keys_of_the_schema(store, toy):
    timestamps = store.store_agent_memories("a", toy_codec.states(3), [{"n": 0}, None, {}])
    expected = {
        keys.index("a"),
        keys.agent_metadata("a"),
        keys.agent_memory_system("a"),
        keys.tokens("a"),
        keys.state("a"),
        *(keys.memory("a", timestamp) for timestamp in timestamps),
        keys.memory_metadata("a", timestamps[0]),
        keys.memory_metadata("a", timestamps[2]),
    }
    assert {key.decode() for key in toy.scan_iter("agent:*")} == expected
    assert {key.decode() for key in toy.scan_iter()} - expected == {
        keys.codec("toy"),
        keys.encoder("toy", 1),
        keys.decoder("toy", 1),
    }


def test_the_index_has_each_timestamp_as_member_and_score(store, toy):
    timestamps = store.store_agent_memories("a", toy_codec.states(3))
    assert toy.zrange(keys.index("a"), 0, -1, withscores=True) == [(b"%d" % t, t) for t in timestamps]


def test_a_memorys_document(store, toy):
    timestamp = store.store_agent_memory('say "a"', toy_codec.states(1)[0], {"step": 1, "who": "Zoë"})
    assert _json(toy, keys.memory_metadata('say "a"', timestamp)) == {
        "agent": 'say "a"',
        "timestamp": timestamp,
        "metadata": {"step": 1, "who": "Zoë"},
    }


def test_the_agents_codec_document(store, toy):
    store.store_agent_memory("a", toy_codec.states(1)[0])
    expected = {
        "name": "toy",
        "version": 1,
        "input_dim": 6,
        "codes": 6,
        "code_dtype": "INT8",
        "encoder": "memory_system:toy:v1:encoder",
        "decoder": "memory_system:toy:v1:decoder",
    }
    assert _json(toy, keys.agent_memory_system("a")) == expected
    toy_codec.publish(toy, version=2)
    store.refresh_codec()
    store.store_agent_memory("a", toy_codec.states(1)[0])
    document = _json(toy, keys.agent_memory_system("a"))
    assert (document["version"], document["encoder"]) == (2, "memory_system:toy:v2:encoder")


def test_the_agents_metadata_is_true_after_every_store(server, toy):
    rows = toy_codec.states(50)
    kept = 0
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=30) as store:
        for n in range(50):
            store.store_agent_memory("a", rows[n])
            document = _json(toy, keys.agent_metadata("a"))
            kept = toy.zcard(keys.index("a"))
            assert document["counters"] == {"stored": n + 1, "trimmed": n + 1 - kept}
    assert document == {
        "agent": "a",
        "codec": {"name": "toy", "version": 1},
        "compression": {
            "groups": {
                "near": {"raw_bytes": 8, "stored_bytes": 2, "rate": 0.25},
                "far": {"raw_bytes": 16, "stored_bytes": 4, "rate": 0.25},
            },
            "total": {"raw_bytes": 24, "stored_bytes": 9, "rate": 0.375},
        },
        "policy": {"retention": {"policy": "oldest", "threshold": 30, "sample": 100, "fraction": 0.2}},
        "counters": {"stored": 50, "trimmed": 50 - kept},
    }
    assert list(document["compression"]["groups"]) == ["near", "far"]


def test_the_total_rate_is_what_the_values_take(store, toy):
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0])
    total = _json(toy, keys.agent_metadata("a"))["compression"]["total"]
    assert total["stored_bytes"] == toy.strlen(keys.memory("a", timestamp))


def test_the_agents_metadata_follows_threshold_and_version_and_keeps_its_counters(server, store, toy):
    store.store_agent_memories("a", toy_codec.states(5))
    toy_codec.publish(toy, version=2)
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=50) as other:
        other.store_agent_memory("a", toy_codec.states(1)[0])
    document = _json(toy, keys.agent_metadata("a"))
    assert document["policy"]["retention"]["threshold"] == 50
    assert document["codec"] == {"name": "toy", "version": 2}
    assert document["counters"] == {"stored": 6, "trimmed": 0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda client: client.delete(keys.agent_metadata("a"), keys.agent_memory_system("a")),
        lambda client: client.execute_command("JSON.DEL", keys.agent_metadata("a"), "$.counters"),
        lambda client: client.execute_command("JSON.SET", keys.agent_metadata("a"), "$", "[]"),
        lambda client: client.execute_command(
            "JSON.SET", keys.agent_metadata("a"), "$.counters.stored", '"x"'
        ),
    ],
)
def test_a_document_that_was_lost_or_damaged_is_written_anew(store, toy, damage):
    store.store_agent_memories("a", toy_codec.states(5))
    sound = _json(toy, keys.agent_metadata("a"))
    damage(toy)
    store.store_agent_memory("a", toy_codec.states(1)[0])
    assert _json(toy, keys.agent_metadata("a")) == {**sound, "counters": {"stored": 6, "trimmed": 0}}
    assert _json(toy, keys.agent_memory_system("a"))["name"] == "toy"


def test_an_unchanged_agent_has_its_documents_written_once(store, toy):
    store.store_agent_memory("a", toy_codec.states(1)[0])
    toy.config_resetstat()
    for row in toy_codec.states(10):
        store.store_agent_memory("a", row)
    calls = {name: stats["calls"] for name, stats in toy.info("commandstats").items()}
    assert "cmdstat_json.set" not in {name.lower() for name in calls}
    assert (
        calls["cmdstat_JSON.NUMINCRBY" if "cmdstat_JSON.NUMINCRBY" in calls else "cmdstat_json.numincrby"]
        == 10
    )
