"""The priorities that memories are sampled by, through all that stores, updates and drops them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules_store import (
    InvalidInputError,
    KeepAll,
    MaxCount,
    MemoryNotFoundError,
    Policy,
    RedisAgentMemory,
    keys,
)
from tests.store import toy_codec

ROWS = toy_codec.states(40)
TIMES = list(range(100, 140))
PRIORITISED = Policy(KeepAll(), priorities=True)

_agents = (f"agent-{n}" for n in itertools.count())


@pytest.fixture
def filled(open_store, toy):
    """A store whose agent a has 40 memories with priorities from 1 to 40."""
    store = open_store(codec="toy", policy=PRIORITISED)
    store.store_agent_memories("a", ROWS, timestamps=TIMES)
    store.update_priorities("a", TIMES, range(1, 41))
    return store


def priorities_of(client, agent) -> dict[int, float]:
    return {int(t): p for t, p in client.zrange(keys.priorities(agent), 0, -1, withscores=True)}


def test_memories_without_priority_enter_before_they_are_sampled(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll()))
    store.store_agent_memories("a", toy_codec.states(5), timestamps=range(5))
    store.store_agent_memories("b", toy_codec.states(2), timestamps=range(2))
    assert store.update_priorities("a", [1, 3], [0.5, 4]) == 2
    sample = store.sample_memories(["a", "b"], 200, by="priority", alpha=1, beta=1, seed=8)
    assert priorities_of(toy, "a") == {0: 4, 1: 0.5, 2: 4, 3: 4, 4: 4}
    assert priorities_of(toy, "b") == {0: 1, 1: 1}
    weight_of = {4: 0.125, 0.5: 1, 1: 0.5}
    assert set(sample.weights.tolist()) == set(weight_of.values())
    store.store_agent_memory("a", ROWS[0], timestamp=9)
    assert 9 in store.sample_memories("a", 200, by="priority", seed=9).timestamps


def test_an_agent_of_many_memories_enters_in_steps(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll()))
    for first in range(0, 40_000, 10_000):
        store.store_agent_memories("a", toy_codec.states(10_000), timestamps=range(first, first + 10_000))
    assert len(store.sample_memories("a", 10, by="priority").timestamps) == 10
    assert toy.zcard(keys.priorities("a")) == 40_000
    assert set(priorities_of(toy, "a").values()) == {1}


def test_what_a_sample_says_updates_the_priorities(filled, toy):
    filled.store_agent_memories("b", ROWS[:3], timestamps=[1, 2, 3])
    sample = filled.sample_memories(["a", "b"], 30, seed=10)
    numbers = np.arange(1, 31, dtype=np.float32)
    pairs = zip(sample.agent_ids, sample.timestamps.tolist(), strict=True)
    distinct = dict(zip(pairs, numbers, strict=True))
    filled.delete_memories("b", [1, 2, 3])
    kept = {t: p for (agent, t), p in distinct.items() if agent == "a"}
    assert filled.update_priorities(sample.agent_ids, sample.timestamps, numbers) == len(kept)
    assert {t: p for t, p in priorities_of(toy, "a").items() if t in kept} == kept
    assert priorities_of(toy, "b") == {}
    assert filled.update_priorities("a", [], []) == filled.update_priorities([], [], []) == 0


def test_a_step_of_many_agents_enters_with_priorities(filled, toy):
    filled.store_step({"a": ROWS[0], "b": ROWS[1]}, timestamp=140)
    assert priorities_of(toy, "a")[140] == 40
    assert priorities_of(toy, "b") == {140: 1}


def test_a_deleted_agent_has_no_priorities(filled, toy):
    filled.delete_agent("a")
    assert not toy.exists(keys.priorities("a"))
    with pytest.raises(MemoryNotFoundError, match="no memories of agent a"):
        filled.sample_memories("a", 1)


def test_lost_priorities_are_entered_again(filled, toy):
    toy.unlink(keys.priorities("a"))
    assert set(filled.sample_memories("a", 30, by="priority").weights.tolist()) == {1.0}
    assert priorities_of(toy, "a") == dict.fromkeys(TIMES, 1)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(1, 9)),
        st.tuples(
            st.just("update"),
            st.lists(
                st.tuples(st.integers(0, 60), st.floats(2.0**-40, 2.0**40, exclude_min=True)), min_size=1
            ),
        ),
        st.tuples(st.just("delete"), st.sets(st.integers(0, 60), min_size=1)),
        st.tuples(st.just("delete agent"), st.none()),
    ),
    max_size=12,
)


class Model:
    """The priorities of one agent that keeps its newest memories."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.priority: dict[int, float] = {}

    def store(self, timestamps) -> None:
        largest = max(self.priority.values(), default=1)
        self.priority |= dict.fromkeys(timestamps, largest)
        kept = sorted(self.priority)[-self.count :]
        self.priority = {t: self.priority[t] for t in kept}

    def update(self, timestamps, priorities) -> int:
        given = {t: p for t, p in zip(timestamps, priorities, strict=True) if t in self.priority}
        self.priority |= {t: min(max(p, 2.0**-32), 2.0**32) for t, p in given.items()}
        return len(given)

    def delete(self, timestamps) -> None:
        self.priority = {t: p for t, p in self.priority.items() if t not in timestamps}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 30), operations=OPERATIONS)
def test_priorities_are_those_of_the_model(server, toy, *, count, operations):
    """Through stores, the trims that they bring, updates and deletes; samples draw nothing else."""
    agent, model, following = next(_agents), Model(count), 0
    policy = Policy(MaxCount(count), priorities=True)
    with RedisAgentMemory(server.url, codec="toy", policy=policy) as store:
        for operation, argument in operations:
            if operation == "store":
                timestamps = list(range(following, following + argument))
                following += argument
                store.store_agent_memories(agent, toy_codec.states(argument), timestamps=timestamps)
                model.store(timestamps)
            elif operation == "update":
                timestamps, priorities = zip(*argument, strict=True)
                updated = store.update_priorities(agent, timestamps, priorities)
                assert updated == model.update(timestamps, priorities)
            elif operation == "delete":
                store.delete_memories(agent, argument)
                model.delete(argument)
            else:
                store.delete_agent(agent)
                model.delete(set(model.priority))
            assert priorities_of(toy, agent) == model.priority
        if model.priority:
            sample = store.sample_memories(agent, 20, by="priority", alpha=1, beta=1)
            assert set(sample.timestamps.tolist()) <= model.priority.keys()
            least = min(model.priority.values())
            weights = [least / model.priority[t] for t in sample.timestamps.tolist()]
            np.testing.assert_allclose(sample.weights, weights, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a", [100, 101], [1, 0.0]), r"priorities\[1\] is 0.0, not a finite number above 0"),
        (("a", [100, 101], [float("nan"), 1]), r"priorities\[0\] is nan"),
        (("a", [100, 101], [1, -2]), r"priorities\[1\] is -2.0"),
        (("a", [100, 101], [1, float("inf")]), r"priorities\[1\] is inf"),
        (("a", [100, 101], [1]), r"priorities has shape \[1\], not \[2\]"),
        (("a", [100, 101], [[1, 2]]), r"priorities has shape \[1, 2\], not \[2\]"),
        (("a", [100], ["x"]), "priorities cannot be made an array"),
        (("a", [1.5], [1]), r"timestamps\[0\] is 1.5"),
        ((["a"], [100, 101], [1, 1]), "agent_id has 1 ids for 2 timestamps"),
        ((["a", "}"], [100, 101], [1, 1]), "agent_id '}' holds '}'"),
        (("a", range(16385), np.ones(16385)), "the number of timestamps is 16385"),
    ],
)
def test_updates_that_are_refused(filled, toy, arguments, says):
    before = priorities_of(toy, "a")
    with pytest.raises(InvalidInputError, match=says):
        filled.update_priorities(*arguments)
    assert priorities_of(toy, "a") == before


def test_the_policy_says_whether_memories_have_priorities():
    assert Policy.from_json({"retention": {"policy": "keep_all"}, "priorities": True}) == PRIORITISED
    assert PRIORITISED.to_json() == '{"retention":{"policy":"keep_all"},"priorities":true}'
    assert Policy(KeepAll()).to_json() == '{"retention":{"policy":"keep_all"}}'
    with pytest.raises(InvalidInputError, match="priorities is 1, not True or False"):
        Policy(priorities=1)
