"""find_similar.lua by itself, on one server and in a cluster."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys, torchscript
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)


def find_similar(
    node: redis.Redis, state, k=2, *, space="state", weights=(), bounds=(0, 2**53 - 1), newest=100
):
    """Run find_similar; return timestamps, states, metadata, distances, where to go on, gone."""
    agent_keys = (keys.index("a"), keys.agent_memory_system("a"))
    state, weights = (np.asarray(values, "<f4").tobytes() for values in (state, weights))
    arguments = (state, k, space, weights, *bounds, newest)
    return calls.call(node, "find_similar", agent_keys, *arguments)


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def test_the_nearest(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    with refused("NOFUNCTION there is no script at memory_systems:nearest:v1"):
        find_similar(node, ROWS[2])
    node.execute_command(*torchscript.publication().arguments)
    before = calls.contents(node)
    ids, states, metadata, distances, oldest, gone = find_similar(node, ROWS[2], k=1)
    assert (ids, metadata, distances, oldest, gone) == ([b"3"], [None], bytes(4), None, [])
    assert states == ROWS[2].tobytes()
    ids, *_, oldest, _ = find_similar(node, ROWS[2], k=9, bounds=(2, 4), newest=2)
    assert (sorted(ids), oldest) == ([b"3", b"4"], b"3")
    assert calls.contents(node) == before
    node.set(keys.memory("a", 3), b"\x00")
    with refused("CORRUPT the memory at 3 "):
        find_similar(node, ROWS[2])
    node.delete(keys.memory("a", 3))
    node.delete(keys.decoder("toy", 1))
    with refused("NOCODEC there is no model at memory_system:toy:v1:decoder"):
        find_similar(node, ROWS[2])


def test_the_nearest_in_the_space_of_the_codec(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    node.execute_command(*torchscript.publication().arguments)
    with refused("NOCODEC there is no model at memory_system:toy:v1:latents "):
        find_similar(node, ROWS[2], space="codec")
    toy_codec.store_latents(node)
    ids, states, metadata, distances, oldest, gone = find_similar(node, ROWS[2], k=1, space="codec")
    assert (ids, metadata, distances, oldest, gone) == ([b"3"], [None], bytes(4), None, [])
    assert states == ROWS[2].tobytes()
    with refused("BADSTATE memory_system:toy:v1:encoder: "):
        find_similar(node, [np.nan] * 6, space="codec")
    node.set(keys.memory("a", 2), b"\x01\x02\x00" + bytes(6))
    with refused("OTHERCODEC the memory at 2 is not of toy v1"):
        find_similar(node, ROWS[2], space="codec")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 0}, "BADARG k is 0"),
        ({"newest": 16385}, "BADARG newest is 16385"),
        ({"bounds": (-1, 5)}, "BADARG start is -1"),
        ({"space": "x"}, "BADARG space is x, not state or codec"),
        ({"state": [1.0]}, "BADSHAPE state has 4 bytes"),
        ({"weights": [1.0]}, "BADSHAPE weights have 4 bytes, not 24"),
        ({"weights": [1.0] * 6, "space": "codec"}, "BADARG weights are those of features"),
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
