"""sample_sequences.lua by itself."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(8)
GIVEN = [10, 20, 30, 40, 50, 60, 70, 80]


@pytest.fixture
def stored(node):
    """A node with eight memories of an agent, of which the second has metadata."""
    calls.store(node, ROWS, timestamps=GIVEN, metadata=["", '{"n":1}', *[""] * 6])
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


@pytest.mark.parametrize("length", [1, 3, 8])
def test_sequences_begin_wherever_they_fit(stored, length):
    numbers, timestamps, states, metadata = calls.sample_sequences(stored, "a", 100, length)
    assert numbers == [1] * 100
    sequences = {tuple(timestamps[i : i + length]) for i in range(0, 100 * length, length)}
    assert sequences == {tuple(GIVEN[i : i + length]) for i in range(9 - length)}
    np.testing.assert_array_equal(states, ROWS[[GIVEN.index(t) for t in timestamps]])
    assert metadata == [b'{"n":1}' if t == 20 else None for t in timestamps]


def test_the_seed_decides(stored):
    first, again, other = (calls.sample_sequences(stored, "a", 40, 2, seed)[1] for seed in (7, 7, 8))
    assert first == again != other


def test_sequences_with_a_gap_are_drawn_again(stored):
    stored.delete(keys.memory("a", 30))
    numbers, timestamps, *_ = calls.sample_sequences(stored, "a", 50, 3)
    assert len(numbers) == 50
    assert {tuple(timestamps[i : i + 3]) for i in range(0, 150, 3)} == {
        (40, 50, 60),
        (50, 60, 70),
        (60, 70, 80),
    }
    stored.delete(keys.memory("a", 60))
    with refused("NOTFOUND in each sequence drawn a value is gone among the memories of agent a"):
        calls.sample_sequences(stored, "a", 50, 3)


def test_the_largest_sample(stored):
    assert calls.sample_sequences(stored, "a", 2048, 8)[2].shape == (16384, 6)


@pytest.mark.parametrize("length", [9, 16384])
def test_too_few_memories(stored, length):
    with refused(f"NOTFOUND there are no {length} memories in a row of agent a"):
        calls.sample_sequences(stored, "a", 1, length)


def test_nothing_there(node):
    with refused("NOTFOUND there are no 1 memories in a row of agent a"):
        calls.sample_sequences(node, "a", 1, 1)
    assert calls.contents(node) == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"count": 0}, "count is 0"),
        ({"length": 0}, "length is 0"),
        ({"length": "x"}, "length is x"),
        ({"count": 8193}, "count \\* length is 16386"),
        ({"fields": "all"}, "fields is all"),
        ({"agents": []}, "the number of agents is 0"),
    ],
)
def test_arguments_that_are_refused(stored, arguments, says):
    with refused(f"BADARG {says}"):
        calls.sample_sequences(stored, **{"agents": "a", "count": 5, "length": 2, **arguments})


def test_fields(stored):
    assert calls.sample_sequences(stored, "a", 9, 2, fields="states")[3] == []
    stored.delete(keys.decoder("toy", 1))
    _, timestamps, states, metadata = calls.sample_sequences(stored, "a", 9, 2, fields="metadata")
    assert (len(timestamps), len(states), len(metadata)) == (18, 0, 18)
    with refused("NOCODEC there is no model at memory_system:toy:v1:decoder"):
        calls.sample_sequences(stored, "a", 9, 2)


@pytest.mark.parametrize("key", [keys.index("a"), keys.agent_memory_system("a")])
def test_a_key_of_another_type(stored, key):
    stored.delete(key)
    stored.rpush(key, "x")
    with refused(f"WRONGTYPE key {key} holds a value of type list"):
        calls.sample_sequences(stored, "a", 1, 1)


def test_it_only_reads_also_at_maxmemory(stored):
    before = calls.contents(stored)
    stored.config_set("maxmemory", "1mb")
    try:
        assert len(calls.sample_sequences(stored, "a", 3, 2)[0]) == 3
    finally:
        stored.config_set("maxmemory", "0")
    assert calls.contents(stored) == before


def test_several_agents(redis_client):
    """Those that have too few contribute none; the sequences of one are its own alone."""
    toy_codec.publish(redis_client)
    for agent, count in (("a", 2), ("b", 3), ("c", 8)):
        calls.store(redis_client, ROWS[:count], timestamps=GIVEN[:count], agent=agent)
    numbers, timestamps, states, _ = calls.sample_sequences(redis_client, "abc", 200, 3)
    found = {(n, *timestamps[3 * i : 3 * i + 3]) for i, n in enumerate(numbers)}
    assert found == {(2, 10, 20, 30), *((3, *GIVEN[i : i + 3]) for i in range(6))}
    np.testing.assert_array_equal(states, ROWS[[GIVEN.index(t) for t in timestamps]])
