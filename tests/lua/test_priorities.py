"""update_priorities.lua and enter_priorities.lua by themselves."""

from __future__ import annotations

import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
GIVEN = [10, 20, 30, 40, 50]


@pytest.fixture
def stored(node):
    """A node with five memories of an agent."""
    calls.store(node, ROWS, timestamps=GIVEN)
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def priorities(node, agent="a") -> dict[int, float]:
    return {int(member): p for member, p in node.zrange(keys.priorities(agent), 0, -1, withscores=True)}


def test_memories_get_what_is_given_others_are_passed_over(stored):
    given = [0.1, 3, 1e-300, 1e300, 1, 1]
    assert calls.update_priorities(stored, [10, 20, 30, 40, 45, 60], given) == 4
    assert priorities(stored) == {10: 0.1, 20: 3, 30: 2**-32, 40: 2**32}
    assert calls.update_priorities(stored, [10, 20, 10], [5, 6, 7]) == 2
    assert priorities(stored) == {10: 7, 20: 6, 30: 2**-32, 40: 2**32}
    assert calls.update_priorities(stored, [60], [1]) == 0


def test_memories_of_several_agents_at_once(redis_client):
    toy_codec.publish(redis_client)
    for agent in "ab":
        calls.store(redis_client, ROWS, timestamps=GIVEN, agent=agent)
    updated = calls.update_priorities(redis_client, [10, 10, 20, 60], [1, 2, 3, 4], [1, 2, 2, 1], agents="ab")
    assert updated == 3
    assert priorities(redis_client, "a") == {10: 1}
    assert priorities(redis_client, "b") == {10: 2, 20: 3}
    with refused("BADARG agents is not a JSON array"):
        calls.update_priorities(redis_client, [10], [1], agents="ab")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], []), "the number of timestamps is 0"),
        (([10] * 16385, [1] * 16385), "the number of timestamps is 16385"),
        (([10, 20], [1]), "2 timestamps have 1 priorities and 2 agents"),
        (([10, 20], [1, 1], [1]), "2 timestamps have 2 priorities and 1 agents"),
        (([10, 20], [1, 1], [1, 2]), "agents is 2, not an integer from 1 to 1"),
        (([10, 20], [1, 0]), r"priorities\[1\] is 0, not a finite number above 0"),
        (([10], [-1]), r"priorities\[0\] is -1"),
        (([10], ["1"]), r"priorities\[0\] is 1"),
        (([10], "[1e999]"), r"priorities\[0\] is inf"),
        (([10], "[nan]"), r"priorities\[0\] is -?nan"),
        (([1.5], [1]), "timestamps is 1.5"),
        (("x", [1]), "timestamps is not a JSON array"),
        (([10], "x"), "priorities is not a JSON array"),
        (([10], [1], "x"), "agents is not a JSON array"),
    ],
)
def test_updates_that_are_refused(stored, arguments, says):
    before = calls.contents(stored)
    with refused(f"BADARG {says}"):
        calls.update_priorities(stored, *arguments)
    assert calls.contents(stored) == before


def test_the_largest_update(stored):
    assert calls.update_priorities(stored, [10] * 16384, list(range(1, 16385))) == 1
    assert priorities(stored) == {10: 16384}


def test_memories_enter_newest_first_with_the_largest_priority(stored):
    assert calls.enter_priorities(stored, step=2) == [b"40", 2]
    assert priorities(stored) == {40: 1, 50: 1}
    calls.update_priorities(stored, [40, 20], [8, 0.5])
    assert calls.enter_priorities(stored, b"40", step=2) == [b"20", 1]
    assert calls.enter_priorities(stored, b"20", step=2) == [None, 1]
    assert priorities(stored) == {10: 8, 20: 0.5, 30: 8, 40: 8, 50: 1}


def test_entering_ends_as_soon_as_all_have_a_priority(stored):
    assert calls.enter_priorities(stored, step=5) == [None, 5]
    calls.store(stored, ROWS[:1], timestamps=[60])
    assert calls.enter_priorities(stored, step=1) == [None, 1]
    assert calls.enter_priorities(stored, step=1) == [None, 0]


def test_entering_goes_down_to_timestamp_0(node):
    calls.store(node, ROWS[:3], timestamps=[0, 1, 2])
    cursor, steps = "", 0
    while cursor is not None:
        cursor, entered = calls.enter_priorities(node, cursor, step=1)
        steps += entered
    assert steps == 3
    assert calls.enter_priorities(node, 0, step=1) == [None, 0]


def test_priorities_without_memories_are_forgotten(stored):
    calls.enter_priorities(stored)
    calls.update_priorities(stored, [10], [5])
    stored.zrem(keys.index("a"), 30)
    assert calls.enter_priorities(stored) == [None, 4]
    assert priorities(stored) == {10: 1, 20: 1, 40: 1, 50: 1}


def test_nothing_there(node):
    assert calls.enter_priorities(node) == [None, 0]
    assert calls.update_priorities(node, [10], [1]) == 0
    assert calls.contents(node) == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"step": 0}, "step is 0"),
        ({"step": 16385}, "step is 16385"),
        ({"cursor": "x"}, "cursor is x"),
        ({"cursor": -1}, "cursor is -1"),
    ],
)
def test_steps_that_are_refused(stored, arguments, says):
    with refused(f"BADARG {says}"):
        calls.enter_priorities(stored, **arguments)


@pytest.mark.parametrize("key", [keys.index("a"), keys.priorities("a")])
def test_a_key_of_another_type(stored, key):
    stored.delete(key)
    stored.rpush(key, "x")
    before = calls.contents(stored)
    for operation in (
        lambda: calls.update_priorities(stored, [10], [1]),
        lambda: calls.enter_priorities(stored),
    ):
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            operation()
    assert calls.contents(stored) == before


def test_at_maxmemory_they_are_refused_as_a_whole(stored):
    before = calls.contents(stored)
    stored.config_set("maxmemory", "1mb")
    try:
        for operation in (
            lambda: calls.update_priorities(stored, [10], [1]),
            lambda: calls.enter_priorities(stored),
        ):
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                operation()
    finally:
        stored.config_set("maxmemory", "0")
    assert calls.contents(stored) == before


def test_what_drops_a_memory_drops_its_priority_whatever_its_policy(node):
    calls.store(node, ROWS, timestamps=GIVEN, policy=calls.policy_of(priorities=True))
    calls.store(node, ROWS[:1], timestamps=[60], policy={"retention": {"policy": "max_count", "count": 3}})
    assert node.zrange(keys.index("a"), 0, -1) == [b"40", b"50", b"60"]
    assert priorities(node) == {40: 1, 50: 1}
