"""find_similar.lua and find_memories.lua by themselves, on one server and in a cluster."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import RedisAgentMemory, UnsupportedServerError, keys, scripts, torchscript
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)


def find_similar(node: redis.Redis, state, k=2, newest=100, agent="a"):
    """Run find_similar; return timestamps, states, metadata, distances, gone."""
    text, blob = scripts.load("find_similar").text, np.asarray(state, "<f4").tobytes()
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    return node.execute_command("EVAL_RO", text, 2, *agent_keys, blob, k, newest)


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def test_the_nearest(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    with refused("NOFUNCTION there is no script at memory_system:nearest"):
        find_similar(node, ROWS[2])
    node.execute_command(*torchscript.publication().arguments)
    before = calls.contents(node)
    ids, states, metadata, distances, gone = find_similar(node, ROWS[2], k=1)
    assert (ids, metadata, distances, gone) == ([b"3"], [None], bytes(4), [])
    assert states == ROWS[2].tobytes()
    assert calls.contents(node) == before
    node.set(keys.memory("a", 3), b"\x00")
    with refused("CORRUPT the memory at 3 "):
        find_similar(node, ROWS[2])
    node.delete(keys.memory("a", 3))
    node.delete(keys.decoder("toy", 1))
    with refused("NOCODEC there is no model at memory_system:toy:v1:decoder"):
        find_similar(node, ROWS[2])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 0}, "BADARG k is 0"),
        ({"newest": 16385}, "BADARG newest is 16385"),
        ({"state": [1.0]}, "BADSHAPE state has 4 bytes"),
    ],
)
def test_what_is_refused(node, options, match):
    calls.store(node, ROWS)
    with refused(match):
        find_similar(node, **{"state": ROWS[0], **options})


def test_a_key_of_another_type(node):
    node.rpush(keys.index("a"), "x")
    with refused("WRONGTYPE"):
        find_similar(node, ROWS[0])


def test_queries_are_refused_in_a_cluster(cluster_url):
    with RedisAgentMemory(cluster_url, codec="toy") as memory, redis.Redis.from_url(cluster_url) as client:
        client.flushall()
        toy_codec.publish(client)
        memory.store_agent_memory("a", ROWS[0], {"x": 1})
        memory.create_search_index({"x": "numeric"})
        with pytest.raises(UnsupportedServerError, match="cluster"):
            memory.find_memories()
        assert memory.drop_search_index()
