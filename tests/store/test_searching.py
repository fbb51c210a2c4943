"""Similar states, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from modules_store import InvalidInputError, StateShapeError, keys
from tests.store import toy_codec

ROWS = toy_codec.states(300)
TIMES = list(range(300))


def nearest(rows: np.ndarray, query: np.ndarray, k: int) -> tuple[list[int], np.ndarray]:
    """Return row numbers and distances; of equally near ones the later row first."""
    distances = np.sqrt(((rows.astype(np.float64) - query) ** 2).sum(axis=1))
    order = sorted(range(len(rows)), key=lambda row: (np.float32(distances[row]), -row))[:k]
    return order, distances[order].astype(np.float32)


@pytest.fixture
def filled(store):
    metadata = [{"n": n} if n % 2 else None for n in TIMES]
    store.store_agent_memories("a", ROWS, metadata, TIMES)
    return store


@pytest.mark.parametrize("k", [1, 10, 300, 1000])
def test_the_nearest_are_those_of_numpy(filled, k):
    query = np.linspace(-3, 3, 6, dtype=np.float32)
    found = filled.find_similar_memories("a", query, k)
    order, distances = nearest(ROWS, query, k)
    assert [one.memory.timestamp for one in found] == order
    np.testing.assert_array_equal(np.float32([one.distance for one in found]), distances)
    np.testing.assert_array_equal([one.memory.state for one in found], ROWS[order])
    assert [one.memory.metadata for one in found] == [{"n": n} if n % 2 else None for n in order]


def test_of_equally_near_ones_the_newer_is_first(store):
    store.store_agent_memories("a", np.ones((5, 6)), timestamps=[1, 2, 3, 4, 5])
    found = store.find_similar_memories("a", np.ones(6), 3)
    assert [(one.memory.timestamp, one.distance) for one in found] == [(5, 0.0), (4, 0.0), (3, 0.0)]


def test_memories_of_several_versions_and_codecs_are_found_together(store, toy, open_store):
    store.store_agent_memories("a", ROWS[:100], timestamps=TIMES[:100])
    toy_codec.publish(toy, version=2, step=1 / 8)
    open_store(codec="toy").store_agent_memories("a", ROWS[100:200] * 2, timestamps=TIMES[100:200])
    toy_codec.publish(toy, "halves", half=True)
    store.re_encode("a", "halves", step=100, on_progress=None)
    open_store(codec="halves").store_agent_memories("a", ROWS[200:], timestamps=TIMES[200:])
    recalled = {m.timestamp: m.state for m in store.get_recent_memories("a", 300)}
    rows = np.array([recalled[t] for t in TIMES])
    found = store.find_similar_memories("a", ROWS[3], 20)
    assert [one.memory.timestamp for one in found] == nearest(rows, ROWS[3], 20)[0]


def test_two_versions_side_by_side(store, toy, open_store):
    store.store_agent_memories("a", ROWS[:100], timestamps=TIMES[:100])
    toy_codec.publish(toy, version=2)
    open_store(codec="toy").store_agent_memories("a", ROWS[100:], timestamps=TIMES[100:])
    assert {toy.get(keys.memory("a", t))[1] for t in TIMES} == {1, 2}
    found = store.find_similar_memories("a", ROWS[3], 20)
    assert [one.memory.timestamp for one in found] == nearest(ROWS, ROWS[3], 20)[0]


def test_evicted_memories_are_passed_over_and_newest_bounds(filled, toy):
    toy.delete(keys.memory("a", 7))
    assert 7 not in [one.memory.timestamp for one in filled.find_similar_memories("a", ROWS[7], 300)]
    assert {one.memory.timestamp for one in filled.find_similar_memories("a", ROWS[0], newest=3)} == {
        297,
        298,
        299,
    }


def test_no_memories(store):
    assert store.find_similar_memories("nobody", np.ones(6)) == []


def test_the_function_is_stored_again_where_it_is_gone(filled, toy):
    for _ in range(2):
        assert len(filled.find_similar_memories("a", ROWS[0])) == 10
        assert toy.delete(keys.nearest()) == 1
    assert len(filled.find_similar_memories("a", ROWS[0])) == 10


def test_states_of_the_built_in_codec(open_store, redis_client):
    memory = open_store()
    memory.store_agent_memories("a", [[1e4, 0], [-6e4, 0], [0, 6e4]], timestamps=[1, 2, 3])
    assert [one.memory.timestamp for one in memory.find_similar_memories("a", [0, 5e4])] == [3, 1, 2]


@pytest.mark.parametrize(
    ("state", "options", "error"),
    [
        (np.ones(5), {}, StateShapeError),
        (np.ones((1, 6)), {}, StateShapeError),
        ([np.nan] * 6, {}, InvalidInputError),
        (np.ones(6), {"k": 0}, InvalidInputError),
        (np.ones(6), {"newest": 16385}, InvalidInputError),
    ],
)
def test_bad_arguments(filled, state, options, error):
    with pytest.raises(error):
        filled.find_similar_memories("a", state, **options)
