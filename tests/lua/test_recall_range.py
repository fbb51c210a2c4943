"""recall_range.lua and count_memories.lua by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
GIVEN = [10, 20, 30, 40, 50]
LARGEST = 2**53 - 1


@pytest.fixture
def stored(node):
    """A node with five memories of an agent, of which the second has metadata."""
    calls.store(node, ROWS, timestamps=GIVEN, metadata=["", '{"n":1}', "", "", ""])
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


@pytest.mark.parametrize(
    ("bounds", "limit", "order", "found", "after"),
    [
        ((0, LARGEST), 10, "oldest", [10, 20, 30, 40, 50], None),
        ((0, LARGEST), 5, "oldest", [10, 20, 30, 40, 50], 50),
        ((20, 40), 2, "oldest", [20, 30], 30),
        ((20, 40), 2, "newest", [40, 30], 30),
        ((21, 39), 2, "newest", [30], None),
        ((40, 20), 2, "oldest", [], None),
        ((51, 60), 2, "newest", [], None),
    ],
)
def test_a_page_says_where_to_go_on(stored, *, bounds, limit, order, found, after):
    timestamps, states, metadata, following = calls.recall_range(stored, *bounds, limit, order)
    assert timestamps == found
    np.testing.assert_array_equal(states, ROWS[[GIVEN.index(t) for t in found]])
    assert metadata == [b'{"n":1}' if t == 20 else None for t in found]
    assert following == after


def test_evicted_memories_are_passed_over_and_counted(stored):
    stored.delete(keys.memory("a", 20), keys.memory("a", 30))
    assert calls.recall_range(stored, 15, 45, 2)[0] == []
    assert calls.recall_range(stored, 15, 45, 2)[3] == 30
    assert calls.recall_range(stored, 15, 45, 3)[0] == [40]
    assert calls.count_memories(stored, 15, 45) == 3


@pytest.mark.parametrize(
    ("bounds", "count"),
    [
        ((0, LARGEST), 5),
        ((10, 50), 5),
        ((11, 50), 4),
        ((10, 49), 4),
        ((30, 30), 1),
        ((31, 39), 0),
        ((5, 1), 0),
    ],
)
def test_both_bounds_count(stored, bounds, count):
    assert calls.count_memories(stored, *bounds) == count


def test_fields(stored):
    assert calls.recall_range(stored, 20, 30, 9, fields="states")[2] == []
    timestamps, states, metadata, _ = calls.recall_range(stored, 20, 30, 9, fields="metadata")
    assert (timestamps, len(states), metadata) == ([20, 30], 0, [b'{"n":1}', None])
    with refused("BADARG fields is all, not both, states or metadata"):
        calls.recall_range(stored, 20, 30, 9, fields="all")


def test_nothing_there(node):
    assert calls.recall_range(node, 0, LARGEST, 10)[0] == []
    assert calls.count_memories(node, 0, LARGEST) == 0
    assert calls.contents(node) == {}


@pytest.mark.parametrize("bad", [-1, 1.5, "x", LARGEST + 1])
@pytest.mark.parametrize("which", ["start", "end"])
def test_bounds_that_are_refused(stored, which, bad):
    bounds = (bad, 50) if which == "start" else (0, bad)
    for operation in (calls.count_memories, lambda *b: calls.recall_range(*b, 5)):
        with refused(f"BADARG {which} is "):
            operation(stored, *bounds)


@pytest.mark.parametrize("limit", [0, 16385, "x"])
def test_limits_that_are_refused(stored, limit):
    with refused(f"BADARG limit is {limit}"):
        calls.recall_range(stored, 0, 50, limit)
    with refused("BADARG order is any, not oldest or newest"):
        calls.recall_range(stored, 0, 50, 5, "any")


def test_keys_of_another_type(stored):
    for key in (keys.index("a"), keys.agent_memory_system("a")):
        stored.delete(key)
        stored.rpush(key, "x")
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            calls.recall_range(stored, 0, 50, 5)
        if key == keys.index("a"):
            with refused(f"WRONGTYPE key {key} holds a value of type list"):
                calls.count_memories(stored, 0, 50)
            stored.delete(key)


def test_maxmemory_does_not_stop_them(stored):
    stored.config_set("maxmemory", "1mb")
    try:
        assert calls.recall_range(stored, 0, 50, 5)[0] == GIVEN
        assert calls.count_memories(stored, 0, 50) == 5
    finally:
        stored.config_set("maxmemory", "0")
