"""Queries over metadata."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules_store import (
    CorruptMemoryError,
    InvalidInputError,
    MissingModuleError,
    RedisAgentMemory,
    SearchIndexError,
    keys,
)
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
def indexed(store):
    store.store_agent_memories("a", ROWS, METADATA, [1, 2, 3, 4])
    store.store_agent_memory(ODD, ROWS[0], {"reward": 9}, 7)
    assert store.create_search_index(FIELDS, wait_s=30) == 1.0
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


BREAKOUTS = [
    "@action:{nothing}) | (@reward:[-inf +inf]",
    ") | (@reward:[-inf +inf]",
    "@reward:[0 0]) => { $weight: 2 } | (@reward:[-inf +inf]",
    "w'(' ) | (@reward:[-inf +inf] w')'",
    "@note:w'(' ) | (@reward:[-inf +inf] @note:w')'",
    "@action:{a(b} ) | (@reward:[-inf +inf] @action:{c)d}",
    '"door ) | (@reward:[-inf +inf]',
    '@action:{"a)b} | (@reward:[-inf +inf]',
    "@action:{x} | @reward:[-inf +inf])",
    "(@action:{x} | @reward:[-inf +inf]",
]


@pytest.mark.parametrize("query", BREAKOUTS)
def test_no_query_finds_more_than_the_agents_given(indexed, query):
    with pytest.raises(InvalidInputError, match="^query: Syntax error"):
        indexed.find_memories(query, agents=ODD)


PARTS = [
    "(",
    ")",
    "|",
    "@reward:[-inf +inf]",
    "-",
    "w'",
    "'",
    '"',
    "\\",
    "{",
    "}",
    "@action:",
    "x",
    " ",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join))
def test_whatever_a_query_says_only_the_agents_given_are_found(indexed, query):
    with suppress(InvalidInputError):
        found = indexed.find_memories(query, agents=ODD)
        assert {one.agent_id for one in found.memories} <= {ODD}


def test_parentheses_that_are_no_operators(indexed):
    assert times(indexed.find_memories('@action:{"a)b"} | @reward:[9 9]')) == [7]
    assert times(indexed.find_memories(r"@action:{a\)b} | @reward:[9 9]", agents=ODD)) == [7]
    assert times(indexed.find_memories("@note:door\\", agents="a")) == []


def test_agents_of_one_codec_are_decoded_together(indexed, toy):
    for n in range(20):
        indexed.store_agent_memory(f"agent-{n}", ROWS[n % 4], {"reward": 50 + n}, n)
    toy.config_resetstat()
    found = indexed.find_memories("@reward:[50 100]", sort_by="reward").memories
    assert [(one.agent_id, one.timestamp) for one in found] == [(f"agent-{n}", n) for n in range(20)]
    np.testing.assert_array_equal([one.state for one in found], ROWS[[n % 4 for n in range(20)]])
    assert toy.info("commandstats")["cmdstat_ai.dagexecute_ro"]["calls"] == 1


def test_agents_of_several_codecs_and_lengths_are_found_together(indexed, toy, open_store):
    builtin = open_store(codec="float16")
    builtin.store_agent_memory("short", [1, 2], {"reward": 100}, 1)
    builtin.store_agent_memory("long", [3, 4, 5], {"reward": 101}, 2)
    toy_codec.publish(toy, version=2)
    open_store(codec="toy").store_agent_memory("a", ROWS[1], {"reward": 102}, 8)
    found = indexed.find_memories("@reward:[9 +inf]", sort_by="reward").memories
    assert [one.state.tolist() for one in found] == [[*ROWS[0]], [1, 2], [3, 4, 5], [*ROWS[1]]]


def test_a_memory_that_cannot_be_read_is_named(indexed, toy):
    toy.set(keys.memory("a", 2), b"\x01\x01\x00")
    with pytest.raises(CorruptMemoryError, match="the memory at 2 of agent a"):
        indexed.find_memories()


def test_a_page_beyond_the_end_is_empty(indexed):
    found = indexed.find_memories(offset=1000)
    assert (found.total, found.memories, found.gone) == (4, [], 0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"query": "@reward:["}, "query: Syntax error"),
        ({"query": ""}, "query is ''"),
        ({"query": "$name"}, "query: No such parameter"),
        ({"sort_by": "nothing"}, "sort_by: Property `nothing`"),
        ({"sort_by": ""}, "sort_by is ''"),
        ({"offset": 2_000_000}, "offset: OFFSET exceeds maximum of 1000000"),
        ({"offset": -1}, "offset is -1"),
        ({"fields": "x"}, "fields is 'x'"),
        ({"limit": 0}, "limit is 0"),
        ({"agents": []}, "agents is empty"),
        ({"agents": "a}"}, "agents 'a}'"),
    ],
)
def test_bad_arguments(indexed, options, named):
    with pytest.raises(InvalidInputError, match="^" + re.escape(named)):
        indexed.find_memories(**options)


@pytest.mark.skipif(redis.VERSION < (5,), reason="redis-py 4 leaves no choice of protocol")
@pytest.mark.parametrize("protocol", [2, 3])
def test_either_version_of_the_protocol(server, toy, protocol):
    with redis.Redis.from_url(server.url, protocol=protocol) as client:
        store = RedisAgentMemory(client, codec="toy")
        store.store_agent_memory("a", ROWS[0], METADATA[0], 1)
        for _ in range(2):
            assert store.create_search_index(FIELDS, wait_s=30) == 1.0
        assert times(store.find_memories("@reward:[1 1]")) == [1]
        with pytest.raises(SearchIndexError, match="other fields"):
            store.create_search_index({"reward": "tag"})
        assert store.drop_search_index()


def test_waiting_for_the_index(store):
    store.store_agent_memories("a", toy_codec.states(900), [{"reward": 1}] * 900)
    store.create_search_index(FIELDS)
    assert store.create_search_index(FIELDS, wait_s=30) == 1.0
    assert store.find_memories(limit=1).total == 900
    assert store.create_search_index({"reward": "numeric"}, replace=True, wait_s=30) == 1.0
    assert store.find_memories(limit=1).total == 900
    with pytest.raises(InvalidInputError, match="wait_s is -1"):
        store.create_search_index(FIELDS, wait_s=-1)


@pytest.mark.parametrize("fields", [{}, {"a b": "tag"}, {"agent": "tag"}, {"x": "geo"}])
def test_bad_fields(store, fields):
    with pytest.raises(InvalidInputError):
        store.create_search_index(fields)


def test_without_redisearch(start_server, open_store):
    store = open_store(start_server(modules=("engine", "json"), port=0).url)
    for call in (lambda: store.create_search_index({"x": "tag"}), store.find_memories):
        with pytest.raises(MissingModuleError):
            call()
