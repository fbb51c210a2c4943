"""Sampling: what is drawn, how often against exact probabilities, the weights, and the priorities."""

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

N = 40
ROWS = toy_codec.states(N)
TIMES = list(range(100, 100 + N))
PRIORITISED = Policy(KeepAll(), priorities=True)
DRAWS = 16384

_agents = (f"agent-{n}" for n in itertools.count())


@pytest.fixture
def filled(open_store, toy):
    """A store whose agent a has 40 memories with priorities of every magnitude."""
    store = open_store(codec="toy", policy=PRIORITISED)
    store.store_agent_memories("a", ROWS, [{"n": t} if t % 2 else None for t in TIMES], TIMES)
    store.update_priorities("a", TIMES, magnitudes())
    return store


def magnitudes(seed=0, count=N) -> np.ndarray:
    return 10 ** np.random.default_rng(seed).uniform(-3, 2, count)


def fits(drawn, probability: dict) -> None:
    """Draws are as frequent as `probability` says: chi-square within five deviations of its mean."""
    assert set(drawn) <= {outcome for outcome, p in probability.items() if p > 0}
    assert sum(probability.values()) == pytest.approx(1)
    expected = sorted((len(drawn) * p, drawn.count(outcome)) for outcome, p in probability.items())
    cells = [[0.0, 0]]
    for mean, times in expected:  # rare outcomes together: a cell needs a mean of some size
        if cells[-1][0] >= 10:
            cells.append([0.0, 0])
        cells[-1][0] += mean
        cells[-1][1] += times
    chi_square = sum((times - mean) ** 2 / mean for mean, times in cells)
    freedom = max(1, len(cells) - 1)
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def drawn_pairs(sample) -> list[tuple[str, int]]:
    return list(zip(sample.agent_ids, sample.timestamps.tolist(), strict=True))


def priorities_of(client, agent) -> dict[int, float]:
    return {int(t): p for t, p in client.zrange(keys.priorities(agent), 0, -1, withscores=True)}


@pytest.mark.parametrize("by", ["uniform", "recency", "priority"])
def test_a_sample_is_arrays(filled, by):
    sample = filled.sample_memories("a", 50, by=by, seed=1)
    assert sample.agent_ids == ["a"] * 50
    assert (sample.timestamps.shape, sample.timestamps.dtype) == ((50,), np.int64)
    assert (sample.states.shape, sample.states.dtype) == ((50, 6), np.float32)
    assert (sample.weights.shape, sample.weights.dtype) == ((50,), np.float32)
    np.testing.assert_array_equal(sample.states, ROWS[sample.timestamps - 100])
    assert sample.metadata == [{"n": int(t)} if t % 2 else None for t in sample.timestamps]
    states = filled.sample_memories("a", 50, by=by, seed=1, fields="states")
    np.testing.assert_array_equal(states.states, sample.states)
    assert states.metadata == [None] * 50
    metadata = filled.sample_memories("a", 50, by=by, seed=1, fields="metadata")
    assert metadata.states.shape == (50, 0)
    assert metadata.metadata == sample.metadata
    assert not np.array_equal(filled.sample_memories("a", 50, by=by).timestamps, sample.timestamps)


def test_sequences_are_arrays(filled):
    sample = filled.sample_sequences("a", 20, 7, seed=2)
    assert sample.agent_ids == ["a"] * 20
    assert (sample.timestamps.shape, sample.timestamps.dtype) == ((20, 7), np.int64)
    assert (sample.states.shape, sample.states.dtype) == ((20, 7, 6), np.float32)
    np.testing.assert_array_equal(np.diff(sample.timestamps), 1)
    np.testing.assert_array_equal(sample.states, ROWS[sample.timestamps - 100])
    assert sample.metadata == [
        [{"n": t} if t % 2 else None for t in row] for row in sample.timestamps.tolist()
    ]
    fewer = filled.sample_sequences("a", 20, 7, seed=2, fields="metadata")
    assert fewer.states.shape == (20, 7, 0)
    assert fewer.metadata == sample.metadata
    states = filled.sample_sequences("a", 20, 7, seed=2, fields="states")
    np.testing.assert_array_equal(states.states, sample.states)
    assert states.metadata == [[None] * 7] * 20


def test_uniform_over_the_memories_of_all_agents(filled):
    filled.store_agent_memories("b", ROWS[:3], timestamps=[1, 2, 3])
    sample = filled.sample_memories(["b", "none", "a"], DRAWS, seed=3, fields="states")
    memories = [("b", 1), ("b", 2), ("b", 3), *(("a", t) for t in TIMES)]
    fits(drawn_pairs(sample), dict.fromkeys(memories, 1 / 43))


def test_sequences_begin_uniformly_over_all_agents(filled):
    filled.store_agent_memories("b", ROWS[:6], timestamps=list(range(6)))
    filled.store_agent_memories("c", ROWS[:3], timestamps=[0, 1, 2])
    sample = filled.sample_sequences(["a", "b", "c"], 4096, 4, seed=4, fields="states")
    starts = list(zip(sample.agent_ids, sample.timestamps[:, 0].tolist(), strict=True))
    possible = [*(("a", t) for t in TIMES[:37]), ("b", 0), ("b", 1), ("b", 2)]
    fits(starts, dict.fromkeys(possible, 1 / 40))


@pytest.mark.parametrize("half_life", [0.001, 0.7, 5.0, 1000.0, 2.0**32])
def test_recency_falls_by_half_every_half_life(filled, half_life):
    filled.store_agent_memories("b", ROWS[:10], timestamps=list(range(10)))
    weight = {("a", t): 0.5 ** ((TIMES[-1] - t) / half_life) for t in TIMES}
    weight |= {("b", t): 0.5 ** ((9 - t) / half_life) for t in range(10)}
    total = sum(weight.values())
    sample = filled.sample_memories(["a", "b"], DRAWS, by="recency", half_life=half_life, seed=5)
    fits(drawn_pairs(sample), {memory: w / total for memory, w in weight.items()})
    np.testing.assert_array_equal(sample.weights, np.ones(DRAWS))


@pytest.mark.parametrize(("alpha", "beta"), [(0, 1), (0.6, 0.4), (1, 1), (2, 0.5), (0.5, 0)])
def test_priorities_decide_how_often_and_the_weights_are_those_of_the_paper(filled, alpha, beta):
    filled.store_agent_memories("b", ROWS[:5], timestamps=[1, 2, 3, 4, 5])
    filled.update_priorities("b", [1, 2, 3, 4, 5], [2.0**-32, 2, 4, 4, 1.9999999])
    memories = [*(("a", t) for t in TIMES), *(("b", t) for t in range(1, 6))]
    p = np.concatenate([magnitudes(), [2.0**-32, 2, 4, 4, 1.9999999]])
    probability = p**alpha / np.sum(p**alpha)
    weight = (len(p) * probability) ** -beta
    weight /= weight.max()
    sample = filled.sample_memories(["a", "b"], DRAWS, by="priority", alpha=alpha, beta=beta, seed=6)
    fits(drawn_pairs(sample), dict(zip(memories, probability, strict=True)))
    weight_of = dict(zip(memories, weight, strict=True))
    np.testing.assert_allclose(sample.weights, [weight_of[m] for m in drawn_pairs(sample)], rtol=1e-6)


def test_many_memories_are_drawn_evenly(filled):
    """Of so many the ranks are read one by one, and a rank needs more bits than the server's numbers have."""
    for first in range(1000, 101_000, 10_000):
        filled.store_agent_memories("many", toy_codec.states(10_000), timestamps=range(first, first + 10_000))
    for by in ("uniform", "priority"):
        timestamps = filled.sample_memories("many", DRAWS, by=by, seed=7, fields="metadata").timestamps
        fits(((timestamps - 1000) // 500).tolist(), dict.fromkeys(range(200), 1 / 200))
        assert len(set((timestamps % 2).tolist())) == 2
        assert len(set(timestamps.tolist())) > 0.9 * DRAWS


def test_seeds_in_a_row_are_not_in_step(filled):
    drawn = [int(filled.sample_memories("a", 1, seed=seed).timestamps[0]) for seed in range(400)]
    fits(drawn, dict.fromkeys(TIMES, 1 / N))
    steps = [(b - a) % N for a, b in itertools.pairwise(drawn)]
    fits(steps, dict.fromkeys(range(N), 1 / N))


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
    distinct = dict(zip(drawn_pairs(sample), numbers, strict=True))
    filled.delete_memories("b", [1, 2, 3])
    kept = {t: p for (agent, t), p in distinct.items() if agent == "a"}
    assert filled.update_priorities(sample.agent_ids, sample.timestamps, numbers) == len(kept)
    assert {t: p for t, p in priorities_of(toy, "a").items() if t in kept} == kept
    assert priorities_of(toy, "b") == {}
    assert filled.update_priorities("a", [], []) == filled.update_priorities([], [], []) == 0


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


def test_states_of_different_length(filled, open_store, toy):
    toy_codec.publish(toy, "long", input_dim=7)
    open_store(codec="long").store_agent_memories("b", toy_codec.states(40, input_dim=7))
    with pytest.raises(InvalidInputError, match="agents [ab] and [ab] cannot be in one sample"):
        filled.sample_memories(["a", "b"], 30)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"agents": []}, "the number of agents is 0"),
        ({"agents": ["a", "a"]}, "agents gives an id more than once"),
        ({"agents": ["a", "{"]}, r"agents\[1\] '{' holds '{'"),
        ({"agents": [f"a{n}" for n in range(1025)]}, "the number of agents is 1025"),
        ({"count": 0}, "count is 0"),
        ({"count": 16385}, "count is 16385"),
        ({"by": "age"}, "by is 'age', not one of uniform, recency, priority"),
        ({"alpha": 3}, "alpha is 3, not a number from 0 to 2"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"half_life": 0}, "half_life is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"fields": "all"}, "fields is 'all'"),
    ],
)
def test_samples_that_are_refused(filled, arguments, says):
    with pytest.raises(InvalidInputError, match=says):
        filled.sample_memories(**{"agents": "a", "count": 5, **arguments})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 5), "count is 0"),
        ((5, 0), "length is 0"),
        ((5, True), "length is True"),
        ((1, 16385), "length is"),
    ],
)
def test_sequences_that_are_refused(filled, arguments, says):
    with pytest.raises(InvalidInputError, match=says):
        filled.sample_sequences("a", *arguments)
    with pytest.raises(InvalidInputError, match=r"count \* length is 16400"):
        filled.sample_sequences("a", 4100, 4)
    with pytest.raises(MemoryNotFoundError, match="no 41 memories in a row of agent a"):
        filled.sample_sequences("a", 1, 41)


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
