"""Similar states, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from modules_store import (
    CodecMismatchError,
    CodecNotFoundError,
    InvalidInputError,
    NonFiniteStateError,
    StateRangeError,
    StateShapeError,
    checks,
    keys,
)
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


def test_memories_of_several_versions_and_codecs_are_compared_as_recalled(store, toy, open_store):
    store.store_agent_memories("a", ROWS[:100] + 0.02, timestamps=TIMES[:100])
    toy_codec.publish(toy, version=2)
    open_store(codec="toy").store_agent_memories("a", ROWS[100:200], timestamps=TIMES[100:200])
    toy_codec.publish(toy, "halves", half=True)

    def stop(done) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.re_encode("a", "halves", step=50, on_progress=stop)
    open_store(codec="halves").store_agent_memories("a", ROWS[200:] + 0.001, timestamps=TIMES[200:])
    headers = {toy.get(keys.memory("a", t))[:3] for t in TIMES}
    assert headers == {b"\x01\x01\x00", b"\x01\x02\x00", b"\x14\x01\x00"}
    recalled = {m.timestamp: m.state for m in store.get_recent_memories("a", 300)}
    rows = np.array([recalled[t] for t in TIMES])
    found = store.find_similar_memories("a", ROWS[3], 60)
    assert [one.memory.timestamp for one in found] == nearest(rows, ROWS[3], 60)[0]


def test_evicted_memories_are_passed_over_and_newest_bounds(filled, toy):
    toy.delete(keys.memory("a", 7))
    assert 7 not in [one.memory.timestamp for one in filled.find_similar_memories("a", ROWS[7], 300)]
    assert {one.memory.timestamp for one in filled.find_similar_memories("a", ROWS[0], newest=3)} == {
        297,
        298,
        299,
    }


def times(found) -> list[int]:
    return [one.memory.timestamp for one in found]


def test_ranges_of_time_and_how_many_are_looked_at(filled):
    def near(**options) -> list[int]:
        return sorted(times(filled.find_similar_memories("a", ROWS[0], 300, **options)))

    assert near(start=100, end=110) == list(range(100, 111))
    assert near(end=110, newest=5) == [106, 107, 108, 109, 110]
    assert near(start=290) == list(range(290, 300))
    assert near(start=5, end=4) == []


def test_all_memories_take_more_calls_than_one(store, monkeypatch):
    store.store_agent_memories("a", ROWS[TIMES * 2], timestamps=range(600))
    expected = [(one.memory.timestamp, one.distance) for one in similar_to_zero(store, newest=600)]
    monkeypatch.setattr(checks, "MAX_BATCH", 50)
    assert [(one.memory.timestamp, one.distance) for one in similar_to_zero(store, newest=None)] == expected
    assert min(times(similar_to_zero(store, newest=120))) >= 480


def similar_to_zero(store, newest):
    return store.find_similar_memories("a", np.zeros(6), 50, newest=newest)


def test_weights_make_features_count_more_less_or_not_at_all(filled):
    weights = np.float32([1, 0, 0.5, 100, 3, 0])
    found = filled.find_similar_memories("a", ROWS[5] + 1, 20, weights=weights)
    order, distances = nearest(ROWS * weights, (ROWS[5] + 1) * weights, 20)
    assert times(found) == order
    np.testing.assert_array_equal(np.float32([one.distance for one in found]), distances)
    np.testing.assert_array_equal([one.memory.state for one in found], ROWS[order])


def test_a_codec_may_have_any_name(toy, open_store):
    toy_codec.publish(toy, "nearest")
    store = open_store(codec="nearest")
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    assert times(store.find_similar_memories("a", ROWS[0])) == [1]
    open_store(codec="nearest").store_agent_memory("a", ROWS[1], timestamp=2)
    assert times(store.find_similar_memories("a", ROWS[0])) == [1, 2]


class TestSpaceOfTheCodec:
    def test_latents_are_compared_and_states_come_back(self, filled, toy):
        toy_codec.store_latents(toy)
        latents = ROWS[:, [0, 5]] * np.float32([1, 10])
        query = ROWS[11] + 0.01  # which the codec rounds to ROWS[11]
        found = filled.find_similar_memories("a", query, 20, space="codec")
        order, distances = nearest(latents, latents[11], 20)
        assert times(found) == order
        np.testing.assert_array_equal(np.float32([one.distance for one in found]), distances)
        np.testing.assert_array_equal([one.memory.state for one in found], ROWS[order])
        assert found[0].memory.metadata == {"n": 11}

    def test_of_the_built_in_codec_it_is_that_of_the_states(self, open_store, redis_client):
        store = open_store()
        store.store_agent_memories("a", ROWS, timestamps=TIMES)
        found = store.find_similar_memories("a", ROWS[3], 20, space="codec")
        assert times(found) == nearest(ROWS, ROWS[3], 20)[0]
        with pytest.raises(StateRangeError):
            store.find_similar_memories("a", np.full(6, 1e6), space="codec")

    def test_a_codec_that_was_published_without_latents(self, filled):
        with pytest.raises(
            CodecNotFoundError, match="v1:latents .* been published without it; compare states"
        ):
            filled.find_similar_memories("a", ROWS[3], space="codec")

    def test_other_versions_are_of_another_space(self, filled, toy, open_store):
        toy_codec.publish(toy, version=2)
        toy_codec.store_latents(toy, version=2)
        open_store(codec="toy").store_agent_memory("a", ROWS[0], timestamp=500)
        with pytest.raises(CodecMismatchError, match="at 299 is not of toy v2"):
            filled.find_similar_memories("a", ROWS[0], space="codec")
        assert times(filled.find_similar_memories("a", ROWS[0], space="codec", start=500)) == [500]
        filled.re_encode("a", "toy", 2, on_progress=None)
        assert times(filled.find_similar_memories("a", ROWS[0], 2, space="codec"))[0] == 500

    def test_no_weights(self, filled):
        with pytest.raises(InvalidInputError, match="weights"):
            filled.find_similar_memories("a", ROWS[0], space="codec", weights=np.ones(6))


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
        ([np.nan] * 6, {}, NonFiniteStateError),
        (np.ones(6), {"k": 0}, InvalidInputError),
        (np.ones(6), {"newest": 0}, InvalidInputError),
        (np.ones(6), {"space": "latents"}, InvalidInputError),
        (np.ones(6), {"start": -1}, InvalidInputError),
        (np.ones(6), {"weights": np.ones(5)}, InvalidInputError),
        (np.ones(6), {"weights": [1, 1, -1, 1, 1, 1]}, InvalidInputError),
        (np.ones(6), {"weights": [np.inf] * 6}, InvalidInputError),
    ],
)
def test_bad_arguments(filled, state, options, error):
    with pytest.raises(error):
        filled.find_similar_memories("a", state, **options)
