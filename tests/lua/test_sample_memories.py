"""sample_memories.lua by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import redis

from modules_store import InvalidInputError, keys
from modules_store.errors import from_redis_error
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
GIVEN = [10, 20, 30, 40, 50]
WAYS = ["uniform", "recency", "priority"]


@pytest.fixture
def stored(node):
    """A node with five memories of an agent, which have priorities, and of which the second has metadata."""
    policy = calls.policy_of(priorities=True)
    calls.store(node, ROWS, timestamps=GIVEN, policy=policy, metadata=["", '{"n":1}', "", "", ""])
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


@pytest.mark.parametrize("by", WAYS)
def test_whole_memories_are_drawn(stored, by):
    numbers, timestamps, states, metadata, weights, lacking = calls.sample_memories(stored, "a", 40, by)
    assert numbers == [1] * 40
    assert set(timestamps) == set(GIVEN)
    np.testing.assert_array_equal(states, ROWS[[GIVEN.index(t) for t in timestamps]])
    assert metadata == [b'{"n":1}' if t == 20 else None for t in timestamps]
    assert list(weights) == ([1.0] * 40 if by == "priority" else [])
    assert lacking == []


@pytest.mark.parametrize("by", WAYS)
def test_the_seed_decides(stored, by):
    first, again, other = (calls.sample_memories(stored, "a", 40, by, seed)[1] for seed in (7, 7, 8))
    assert first == again != other


def test_memories_without_priority_are_named_or_left_out(stored):
    calls.store(stored, ROWS[:2], timestamps=[60, 70])
    numbers, timestamps, _, _, _, lacking = calls.sample_memories(stored, "a", 5, "priority")
    assert (numbers, timestamps, lacking) == ([], [], [1])
    timestamps = calls.sample_memories(stored, "a", 60, "priority", without="leave")[1]
    assert set(timestamps) == set(GIVEN)
    assert calls.enter_priorities(stored) == [None, 2]
    assert set(calls.sample_memories(stored, "a", 60, "priority")[1]) == {*GIVEN, 60, 70}


@pytest.mark.parametrize("by", WAYS)
def test_memories_that_are_gone_are_drawn_again(stored, by):
    stored.delete(*(keys.memory("a", t) for t in (10, 30, 50)))
    numbers, timestamps, states, *_ = calls.sample_memories(stored, "a", 100, by)
    assert len(numbers) == 100
    assert set(timestamps) == {20, 40}
    np.testing.assert_array_equal(states, ROWS[[GIVEN.index(t) for t in timestamps]])
    stored.delete(keys.memory("a", 20), keys.memory("a", 40))
    with refused("NOTFOUND none that was drawn has a value among the memories of agent a"):
        calls.sample_memories(stored, "a", 100, by)


@pytest.mark.parametrize("by", WAYS)
def test_fewer_come_where_nearly_all_are_gone(node, by):
    calls.store(
        node, toy_codec.states(16384), timestamps=list(range(16384)), policy=calls.policy_of(priorities=True)
    )
    node.delete(*(keys.memory("a", t) for t in range(16384) if t % 50))
    numbers, timestamps, states, metadata, weights, _ = calls.sample_memories(
        node, "a", 2000, by, half_life=2**32
    )
    assert 100 < len(numbers) < 1000
    assert len(numbers) == len(timestamps) == len(states) == len(metadata)
    assert not any(t % 50 for t in timestamps)
    assert len(weights) == (len(numbers) if by == "priority" else 0)


@pytest.mark.parametrize("by", WAYS)
def test_the_largest_sample(stored, by):
    numbers, _, states, *_ = calls.sample_memories(stored, "a", 16384, by, half_life=0.001, alpha=2)
    assert len(numbers) == 16384
    assert states.shape == (16384, 6)


@pytest.mark.parametrize("by", WAYS)
def test_nothing_there(node, by):
    with refused("NOTFOUND there are no memories of agent a"):
        calls.sample_memories(node, "a", 1, by)
    assert calls.contents(node) == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": 16385}, "count is 16385"),
        ({"by": "age"}, "by is age, not uniform, recency or priority"),
        ({"fields": "all"}, "fields is all"),
        ({"half_life": 0, "by": "recency"}, "half_life is 0"),
        ({"half_life": "nan", "by": "recency"}, "half_life is nan"),
        ({"alpha": 2.5}, "alpha is 2.5"),
        ({"beta": -1}, "beta is -1"),
        ({"beta": "x"}, "beta is x"),
        ({"without": "x"}, "without priority is x"),
        ({"agents": []}, "the number of agents is 0"),
        ({"agents": ["a"] * 1025}, "the number of agents is 1025"),
    ],
)
def test_arguments_that_are_refused(stored, arguments, says):
    arguments = {"agents": ["a"], "count": 5, **arguments}
    with refused(f"BADARG {says}"):
        calls.sample_memories(stored, **arguments)


def test_fields(stored):
    assert calls.sample_memories(stored, "a", 9, fields="states")[3] == []
    stored.delete(keys.decoder("toy", 1))
    _, timestamps, states, metadata, *_ = calls.sample_memories(stored, "a", 9, fields="metadata")
    assert (len(timestamps), len(states), len(metadata)) == (9, 0, 9)
    with refused("NOCODEC there is no model at memory_system:toy:v1:decoder"):
        calls.sample_memories(stored, "a", 9)
    stored.delete(keys.agent_memory_system("a"))
    with refused(r"NOCODEC there is no agent:\{a\}:memory_system"):
        calls.sample_memories(stored, "a", 9)


@pytest.mark.parametrize("key", [keys.index("a"), keys.agent_memory_system("a"), keys.priorities("a")])
def test_a_key_of_another_type(stored, key):
    stored.delete(key)
    stored.rpush(key, "x")
    with refused(f"WRONGTYPE key {key} holds a value of type list"):
        calls.sample_memories(stored, "a", 1, "priority")


@pytest.mark.parametrize("priority", [0.0, -1.0, 2.0**-33, 2.0**33, float("inf")])
def test_a_priority_out_of_range(stored, priority):
    stored.zadd(keys.priorities("a"), {"30": priority})
    with refused(r"CORRUPT agent:\{a\}:priorities holds a priority out of range"):
        calls.sample_memories(stored, "a", 1, "priority")


def test_it_only_reads_also_at_maxmemory(stored):
    before = calls.contents(stored)
    stored.config_set("maxmemory", "1mb")
    try:
        for by in WAYS:
            assert len(calls.sample_memories(stored, "a", 3, by)[0]) == 3
    finally:
        stored.config_set("maxmemory", "0")
    assert calls.contents(stored) == before


class TestSeveralAgents:
    @pytest.fixture
    def two(self, server, redis_client):
        """One server, without cluster mode, on which agents a and b have memories of two codecs."""
        toy_codec.publish(redis_client)
        toy_codec.publish(redis_client, "half", half=True)
        policy = calls.policy_of(priorities=True)
        half = calls.configuration_of("half", code_dtype="HALF")
        calls.store(redis_client, ROWS, timestamps=GIVEN, policy=policy)
        calls.store(
            redis_client, -ROWS[:3], timestamps=GIVEN[:3], policy=policy, agent="b", configuration=half
        )
        return redis_client

    @pytest.mark.parametrize("by", WAYS)
    def test_each_memory_is_decoded_by_its_own_codec(self, two, by):
        calls.store(two, ROWS, timestamps=GIVEN, policy=calls.policy_of(priorities=True), agent="c")
        numbers, timestamps, states, *_ = calls.sample_memories(two, "abc", 200, by)
        assert set(zip(numbers, timestamps, strict=True)) == {
            *((1, t) for t in GIVEN),
            *((2, t) for t in GIVEN[:3]),
            *((3, t) for t in GIVEN),
        }
        for number, timestamp, state in zip(numbers, timestamps, states, strict=True):
            row = ROWS[GIVEN.index(timestamp)]
            np.testing.assert_array_equal(state, -row if number == 2 else row)

    def test_agents_without_memories_are_passed_over(self, two):
        assert set(calls.sample_memories(two, ["x", "a", "y"], 50)[0]) == {2}
        with refused("NOTFOUND there are no memories of agent x, nor of 1 more"):
            calls.sample_memories(two, ["x", "y"], 50)

    def test_states_of_different_length_are_refused(self, two):
        toy_codec.publish(two, "long", input_dim=7)
        long = calls.configuration_of("long", input_dim=7, codes=7)
        calls.store(two, toy_codec.states(3, input_dim=7), agent="c", configuration=long)
        with refused("BADARG agents [ac] and [ac] cannot be in one sample: their states have [67] and [67]"):
            calls.sample_memories(two, "ac", 50)
        assert set(calls.sample_memories(two, "ac", 50, fields="metadata")[0]) == {1, 2}


def test_a_cluster_refuses_agents_of_several_slots(cluster_url):
    with redis.Redis.from_url(cluster_url) as node:
        with pytest.raises(redis.RedisError, match="CROSSSLOT"):
            calls.sample_memories(node, "ab", 1)
        with pytest.raises(redis.RedisError, match="CROSSSLOT") as refusal:
            calls.update_priorities(node, [1, 2], [1, 1], [1, 2], agents="ab")
    error = from_redis_error(refusal.value)
    assert isinstance(error, InvalidInputError)
    assert "one call takes agents of one slot" in str(error)


def test_a_memory_that_is_stored_enters_with_the_largest_priority(stored):
    calls.update_priorities(stored, [10, 20], [7.5, 0.25])
    calls.store(stored, ROWS[:2], timestamps=[60, 70], policy=calls.policy_of(priorities=True))
    assert dict(stored.zrange(keys.priorities("a"), 0, -1, withscores=True)) == {
        b"10": 7.5,
        b"20": 0.25,
        b"30": 1,
        b"40": 1,
        b"50": 1,
        b"60": 7.5,
        b"70": 7.5,
    }


@pytest.mark.parametrize("priorities", ["yes", 1, {}])
def test_a_policy_whose_priorities_are_refused(node, priorities):
    with refused("BADARG policy priorities is "):
        calls.store(node, ROWS, policy=calls.policy_of(priorities=priorities))
    assert calls.contents(node) == {}


def test_a_store_refuses_priorities_of_another_type(node):
    node.rpush(keys.priorities("a"), "x")
    before = calls.contents(node)
    with refused("WRONGTYPE key agent:{a}:priorities holds a value of type list"):
        calls.store(node, ROWS, policy=calls.policy_of(priorities=True))
    assert calls.contents(node) == before


def test_the_policy_that_the_document_states_has_them(stored):
    text = stored.execute_command("JSON.GET", keys.agent_metadata("a"), "$.policy.priorities")
    assert json.loads(text) == [True]
