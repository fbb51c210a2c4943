"""Queries over metadata."""

from __future__ import annotations

import numpy as np
import pytest

from modules_store import InvalidInputError, MissingModuleError, SearchIndexError, keys
from tests.store import toy_codec

ROWS = toy_codec.states(4)
FIELDS = {"reward": "numeric", "action": "tag", "note": "text", "pose.x": "numeric"}
METADATA = [
    {"reward": 1, "action": "attack", "note": "saw the red door", "pose": {"x": 5}},
    {"reward": 2.5, "action": "flee"},
    None,
    {"reward": -1, "action": "attack"},
]
ODD = 'dröne 7, "it\'s" @|-\\*'


@pytest.fixture
def indexed(store, wait_until):
    store.store_agent_memories("a", ROWS, METADATA, [1, 2, 3, 4])
    store.store_agent_memory(ODD, ROWS[0], {"reward": 9}, 7)
    store.create_search_index(FIELDS)
    wait_until(lambda: store.create_search_index(FIELDS) == 1.0)
    return store


def times(found) -> list[int]:
    return [one.timestamp for one in found.memories]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("*", [1, 2, 4, 7]),
        ("@reward:[1 +inf]", [1, 2, 7]),
        ("@action:{attack}", [1, 4]),
        ("@action:{flee} | @reward:[9 9]", [2, 7]),
        ("@note:door", [1]),
        (r"@pose\.x:[5 5]", [1]),
        ("@action:{nothing}", []),
    ],
)
def test_queries(indexed, query, expected):
    found = indexed.find_memories(query, sort_by="timestamp")
    assert times(found) == expected
    assert (found.total, found.gone) == (len(expected), 0)


def test_states_and_metadata_come_back(indexed):
    first, second = indexed.find_memories("@reward:[1 3]", sort_by="reward", descending=True).memories
    assert (first.agent_id, first.metadata, second.metadata) == ("a", METADATA[1], METADATA[0])
    np.testing.assert_array_equal([first.state, second.state], ROWS[[1, 0]])


def test_pages_agents_and_fields(indexed):
    page = indexed.find_memories(agents="a", sort_by="timestamp", offset=1, limit=1)
    assert (page.total, times(page)) == (3, [2])
    assert times(indexed.find_memories(agents=ODD)) == [7]
    assert len(indexed.find_memories(agents=["a", ODD]).memories) == 4
    assert indexed.find_memories(agents=ODD, fields="states").memories[0].metadata is None
    assert indexed.find_memories(agents=ODD, fields="metadata").memories[0].state.shape == (0,)


def test_what_is_gone_is_counted(indexed, toy):
    toy.delete(keys.memory("a", 1))
    found = indexed.find_memories("@action:{attack}")
    assert (times(found), found.gone, found.total) == ([4], 1, 2)


def test_indexes_that_are_there_or_not(indexed):
    with pytest.raises(SearchIndexError, match="other fields"):
        indexed.create_search_index({"reward": "tag"})
    indexed.create_search_index({"reward": "tag"}, replace=True)
    assert [indexed.drop_search_index(), indexed.drop_search_index()] == [True, False]
    with pytest.raises(SearchIndexError):
        indexed.find_memories()


@pytest.mark.parametrize("options", [{"query": "@reward:["}, {"query": ""}, {"fields": "x"}, {"limit": 0}])
def test_bad_arguments(indexed, options):
    with pytest.raises(InvalidInputError):
        indexed.find_memories(**options)


@pytest.mark.parametrize("fields", [{}, {"a b": "tag"}, {"agent": "tag"}, {"x": "geo"}])
def test_bad_fields(store, fields):
    with pytest.raises(InvalidInputError):
        store.create_search_index(fields)


def test_without_redisearch(start_server, open_store):
    store = open_store(start_server(modules=("engine", "json"), port=0).url)
    for call in (lambda: store.create_search_index({"x": "tag"}), store.find_memories):
        with pytest.raises(MissingModuleError):
            call()
