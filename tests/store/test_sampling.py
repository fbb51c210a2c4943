"""Sampling: what is drawn, how often against exact probabilities, and the weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import redis

from modules_store import (
    InvalidInputError,
    KeepAll,
    MemoryNotFoundError,
    Policy,
)
from tests.store import toy_codec

pytestmark = pytest.mark.each_layout

N = 40
ROWS = toy_codec.states(N)
TIMES = list(range(100, 100 + N))
PRIORITISED = Policy(KeepAll(), priorities=True)
DRAWS = 16384


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


def test_a_cluster_takes_agents_of_one_slot(open_store, start_server):
    server = start_server(cluster_enabled=True)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    store = open_store(server.url, codec="toy", policy=PRIORITISED)
    for agent in ("a", "exj", "b"):  # the first two are in one slot
        store.store_agent_memories(agent, ROWS[:3], timestamps=[1, 2, 3])
    assert set(store.sample_memories(["a", "exj"], 50, by="priority").agent_ids) == {"a", "exj"}
    assert set(store.sample_sequences(["a", "exj"], 50, 2).agent_ids) == {"a", "exj"}
    assert store.update_priorities(["a", "exj"], [1, 2], [1, 1]) == 2
    for call in (
        lambda: store.sample_memories(["a", "b"], 5),
        lambda: store.sample_sequences(["a", "b"], 5, 2),
        lambda: store.update_priorities(["a", "b"], [1, 2], [1, 1]),
    ):
        with pytest.raises(InvalidInputError, match="one call takes agents of one slot"):
            call()


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
