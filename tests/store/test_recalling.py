"""Recalling several memories, ranges, pages, counts and single fields, against what was stored."""

from __future__ import annotations

import numpy as np
import pytest

from modules_store import InvalidInputError, MemoryNotFoundError, keys
from tests.store import toy_codec

pytestmark = pytest.mark.each_layout

TIMESTAMPS = list(range(10, 260, 10))
ROWS = toy_codec.states(len(TIMESTAMPS))


@pytest.fixture
def filled(store):
    store.store_agent_memories("a", ROWS, [{"n": t} for t in TIMESTAMPS], TIMESTAMPS)
    return store


def times(memories) -> list[int]:
    return [memory.timestamp for memory in memories]


@pytest.mark.keys_alone
def test_several_in_the_order_asked(filled, toy):
    memories = filled.retrieve_agent_memories("a", [30, 10, 30])
    np.testing.assert_array_equal([m.state for m in memories], ROWS[[2, 0, 2]])
    assert [m.metadata for m in memories] == [{"n": 30}, {"n": 10}, {"n": 30}]
    toy.delete(keys.memory("a", 20))
    assert times(filled.retrieve_agent_memories("a", [30, 20, 15, 10], missing="skip")) == [30, 10]
    with pytest.raises(MemoryNotFoundError, match="no memory at 20"):
        filled.retrieve_agent_memories("a", [30, 20, 15])
    assert filled.retrieve_agent_memories("a", []) == []


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("bounds", [(None, None), (30, 90), (31, 89), (95, None), (None, 5), (90, 30)])
@pytest.mark.parametrize("limit", [1, 4, 1000])
@pytest.mark.keys_alone
def test_a_range_passes_over_evicted_memories(filled, toy, bounds, limit, newest_first):
    start, end = bounds
    gone = [30, 40, 50, 250]
    toy.delete(*(keys.memory("a", t) for t in gone))
    kept = [t for t in TIMESTAMPS if t not in gone and (start or 0) <= t <= (end or 1000)]
    assert filled.count_memories("a", start, end) == sum(
        (start or 0) <= t <= (end or 1000) for t in TIMESTAMPS
    )
    memories = filled.get_memories_between("a", start, end, limit=limit, newest_first=newest_first)
    assert times(memories) == sorted(kept, reverse=newest_first)[:limit]


@pytest.mark.parametrize("page", [1, 5, 24, 25, 1000])
@pytest.mark.keys_alone
def test_pages_have_every_memory_once(filled, toy, page):
    toy.delete(*(keys.memory("a", t) for t in (10, 20, 120, 250)))
    kept = [t for t in TIMESTAMPS if t not in (10, 20, 120, 250)]
    assert times(filled.iterate_memories("a", page=page)) == kept
    assert times(filled.iterate_memories("a", 100, 200, page=page)) == [t for t in kept if 100 <= t <= 200]


@pytest.mark.parametrize(
    "recall",
    [
        lambda s, f: s.retrieve_agent_memories("a", [10, 20], fields=f),
        lambda s, f: s.get_memories_between("a", end=20, fields=f),
        lambda s, f: list(s.iterate_memories("a", end=20, fields=f)),
        lambda s, f: s.get_recent_memories("a", 25, fields=f)[:-3:-1],
    ],
)
def test_fields(filled, toy, recall):
    assert [m.metadata for m in recall(filled, "states")] == [None, None]
    np.testing.assert_array_equal([m.state for m in recall(filled, "states")], ROWS[:2])
    toy.delete(keys.decoder("toy", 1))
    assert [(m.state.shape, m.metadata["n"]) for m in recall(filled, "metadata")] == [((0,), 10), ((0,), 20)]
    with pytest.raises(InvalidInputError, match="fields is 'all'"):
        recall(filled, "all")


@pytest.mark.parametrize(
    "recall",
    [
        lambda s: s.retrieve_agent_memories("a", TIMESTAMPS[::-1]),
        lambda s: s.get_memories_between("a", newest_first=True),
        lambda s: s.get_recent_memories("a", 25),
    ],
)
def test_memories_are_arrays_too(filled, recall):
    memories = recall(filled)
    assert memories.agent_id == "a"
    assert memories.timestamps.dtype == np.int64
    np.testing.assert_array_equal(memories.timestamps, TIMESTAMPS[::-1])
    assert memories.states.dtype == np.float32
    assert memories.states.flags.c_contiguous
    np.testing.assert_array_equal(memories.states, ROWS[::-1])
    assert memories.metadata == [{"n": t} for t in TIMESTAMPS[::-1]]
    assert memories[3] is memories[3]
    assert (memories[-1].timestamp, memories[-1].agent_id, memories[-1].metadata) == (10, "a", {"n": 10})
    assert memories == list(memories) != memories[:3]
    assert repr(memories) == "<25 memories of 'a'>"
    some = memories[5:1:-2]
    assert times(some) == some.timestamps.tolist() == [200, 220]
    np.testing.assert_array_equal(some.states, ROWS[[19, 21]])
    assert some.states.flags.c_contiguous
    with pytest.raises(IndexError):
        memories[25]


@pytest.mark.parametrize("dropped", [0, 7])
def test_many_scattered_memories_have_their_own_metadata(store, dropped):
    timestamps = list(range(10, 610, 10))
    rows = toy_codec.states(len(timestamps))
    metadata = [{"n": t, "text": "x" * (t % 7)} if t % 30 else None for t in timestamps]
    store.store_agent_memories("a", rows, metadata, timestamps)
    store.delete_memories("a", timestamps[:dropped])
    order = np.random.default_rng(0).integers(dropped, len(timestamps), 200)
    memories = store.retrieve_agent_memories("a", [timestamps[n] for n in order])
    np.testing.assert_array_equal(memories.states, rows[order])
    assert memories.metadata == [metadata[n] for n in order]


@pytest.mark.keys_alone
def test_a_range_of_several_calls_is_one_sequence(filled, toy):
    toy.delete(*(keys.memory("a", t) for t in (10, 20, 120)))
    memories = filled.get_memories_between("a", limit=22)
    kept = [t for t in TIMESTAMPS if t not in (10, 20, 120)]
    assert memories.timestamps.tolist() == kept == [document["n"] for document in memories.metadata]
    np.testing.assert_array_equal(memories.states, [ROWS[t // 10 - 1] for t in kept])


def test_an_unknown_agent(store):
    assert store.get_memories_between("x") == list(store.iterate_memories("x")) == []
    assert store.count_memories("x") == 0


def test_bad_arguments(filled):
    with pytest.raises(InvalidInputError, match="missing is 'no'"):
        filled.retrieve_agent_memories("a", [10], missing="no")
    with pytest.raises(InvalidInputError, match="limit is 16385"):
        filled.get_memories_between("a", limit=16385)
    with pytest.raises(InvalidInputError, match="start is -1"):
        filled.count_memories("a", -1)
    with pytest.raises(InvalidInputError, match="page is 0"):
        next(iter(filled.iterate_memories("a", page=0)))
