"""recall_memories.lua and recall_recent.lua by themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
GIVEN = [10, 20, 30, 40, 50]


@pytest.fixture
def stored(node):
    """A node with five memories of an agent, of which the second has metadata."""
    calls.store(node, ROWS, timestamps=GIVEN, metadata=["", '{"n":1}', "", "", ""])
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def test_memories_come_in_the_order_asked(stored):
    timestamps, states, metadata = calls.recall_memories(stored, [40, 10, 20, 40])
    assert timestamps == [40, 10, 20, 40]
    np.testing.assert_array_equal(states, ROWS[[3, 0, 1, 3]])
    assert metadata == [None, None, b'{"n":1}', None]


def test_recent_memories_come_newest_first(stored):
    timestamps, states, metadata = calls.recall_recent(stored, 4)
    assert timestamps == [50, 40, 30, 20]
    np.testing.assert_array_equal(states, ROWS[:0:-1])
    assert metadata == [None, None, None, b'{"n":1}']


def test_no_memories(node):
    assert calls.recall_recent(node, 5)[0] == []
    with refused("NOTFOUND agent a has no memory at 10"):
        calls.recall_memories(node, [10])


def test_recent_memories_pass_over_those_that_are_gone(stored):
    stored.delete(keys.memory("a", 50), keys.memory("a", 30))
    timestamps, states, _ = calls.recall_recent(stored, 2)
    assert timestamps == [40, 20]
    np.testing.assert_array_equal(states, ROWS[[3, 1]])
    stored.delete(*(keys.memory("a", timestamp) for timestamp in (10, 20, 40)))
    assert calls.recall_recent(stored, 2)[0] == []


@pytest.mark.parametrize(
    ("timestamps", "match"),
    [
        ([], "BADARG the number of timestamps is 0"),
        ("nope", "BADARG timestamps is not a JSON array"),
        ([1.5], "BADARG timestamps is 1.5"),
        (["x"], "BADARG timestamps is x"),
        ([10, 15], "NOTFOUND agent a has no memory at 15"),
        ([10] * 16385, "BADARG the number of timestamps is 16385"),
    ],
)
def test_timestamps_that_are_refused(stored, timestamps, match):
    with refused(match):
        calls.recall_memories(stored, timestamps)


@pytest.mark.parametrize("count", [0, -1, "x", 1.5, 16385])
def test_counts_that_are_refused(stored, count):
    with refused(f"BADARG count is {count}"):
        calls.recall_recent(stored, count)


def test_the_largest_recall(stored):
    assert calls.recall_memories(stored, [10] * 16384)[1].shape == (16384, 6)
    assert len(calls.recall_recent(stored, 16384)[0]) == 5


@pytest.mark.parametrize(
    "recall", [lambda n: calls.recall_memories(n, [10]), lambda n: calls.recall_recent(n, 1)]
)
class TestBoth:
    @pytest.mark.parametrize("key", [keys.index("a"), keys.agent_memory_system("a")])
    def test_a_key_of_another_type(self, stored, recall, key):
        stored.delete(key)
        stored.rpush(key, "x")
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            recall(stored)

    def test_maxmemory_does_not_stop_them(self, stored, recall):
        stored.config_set("maxmemory", "1mb")
        try:
            assert len(recall(stored)[0]) == 1
        finally:
            stored.config_set("maxmemory", "0")

    def test_a_decoder_or_configuration_that_is_missing(self, stored, recall):
        stored.delete(keys.decoder("toy", 1))
        with refused("NOCODEC there is no model at memory_system:toy:v1:decoder"):
            recall(stored)
        stored.delete(keys.agent_memory_system("a"))
        with refused(r"NOCODEC there is no agent:\{a\}:memory_system"):
            recall(stored)

    @pytest.mark.parametrize(
        "value", [b"", b"\x01\x01\x00", b"\x00\x01\x00" + bytes(6), b"\x01\x01\x00" + bytes(7)]
    )
    def test_a_value_that_is_no_memory(self, stored, recall, value):
        for timestamp in (10, 50):
            stored.set(keys.memory("a", timestamp), value)
        with refused("CORRUPT the memory at [15]0 "):
            recall(stored)

    def test_they_are_refused_nothing_by_a_read_only_call(self, stored, recall):
        before = calls.contents(stored)
        recall(stored)
        assert calls.contents(stored) == before


def test_a_decoder_that_makes_other_than_states(stored):
    toy_codec.store_models(stored, "toy", 1, input_dim=7)
    with refused("CORRUPT memory_system:toy:v1:decoder cannot read the memories: .*wrong number of codes"):
        calls.recall_recent(stored, 1)
    halves = {**calls.CONFIGURATION, "name": "other", "codes": 3, "code_dtype": "HALF"}
    toy_codec.store_models(stored, "other", 1, input_dim=3, half=True)
    stored.execute_command("JSON.SET", keys.agent_memory_system("a"), "$", json.dumps(halves))
    stored.set(keys.memory("a", 50), b"\x04\x01\x00" + bytes(6))
    with refused("BADCODEC memory_system:other:v1:decoder made 12 bytes of 1 memories, not 24 each"):
        calls.recall_recent(stored, 1)
