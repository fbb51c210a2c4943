"""find_memories.lua by itself, and in a cluster, where it is refused."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import RedisAgentMemory, UnsupportedServerError
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(3)
INDEX = "FT.CREATE i ON JSON PREFIX 1 agent:{ SCHEMA $.timestamp AS t NUMERIC"


def find_memories(node: redis.Redis, query="*", among="@t:[-inf +inf]", *, index="i", **options):
    """Run find_memories; return total, entries, how many have no value."""
    said = {"offset": 0, "limit": 10, "sort_by": "t", "order": "ASC", "fields": "both", **options}
    arguments = (index, query, among, *said.values())
    return calls.call(node, "find_memories", [], *arguments)


@pytest.fixture
def indexed(redis_client, wait_until) -> redis.Redis:
    toy_codec.publish(redis_client)
    metadata = [json.dumps({"n": n}) for n in range(3)]
    calls.store(redis_client, ROWS, timestamps=[1, 2, 3], metadata=metadata)
    redis_client.execute_command(*INDEX.split())
    wait_until(lambda: find_memories(redis_client)[0] == 3)
    return redis_client


def test_what_is_found(indexed):
    before = calls.contents(indexed)
    total, entries, gone = find_memories(indexed, "@t:[1 2]", order="DESC")
    assert (total, gone) == (2, [])
    assert entries == [[b"a", b"%d" % t, ROWS[t - 1].tobytes(), b'{"n":%d}' % (t - 1)] for t in (2, 1)]
    assert find_memories(indexed, fields="states", limit=1)[1] == [[b"a", b"1", ROWS[0].tobytes(), None]]
    assert find_memories(indexed, fields="metadata", offset=2)[1] == [[b"a", b"3", b"", b'{"n":2}']]
    assert find_memories(indexed, "@t:[9 9]") == [0, [], []]
    assert find_memories(indexed, " * ", "@t:[2 2]")[0] == 1
    assert calls.contents(indexed) == before


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"query": "x) | (@t:[-inf +inf]"}, "BADQUERY query: Syntax error at offset 1"),
        ({"sort_by": "nothing"}, "BADQUERY sort_by: "),
        ({"offset": 1_000_001}, "BADQUERY offset: "),
        ({"index": "none"}, "NOINDEX there is no search index none"),
        ({"limit": 16385}, "BADARG limit is 16385"),
        ({"fields": "all"}, "BADARG fields is all"),
    ],
)
def test_what_is_refused(indexed, options, match):
    with pytest.raises(redis.ResponseError, match=f"^MEMERR {match}"):
        find_memories(indexed, **options)


def test_queries_are_refused_in_a_cluster_even_where_they_would_find_nothing(cluster_url):
    with RedisAgentMemory(cluster_url, codec="toy") as memory, redis.Redis.from_url(cluster_url) as client:
        client.flushall()
        with pytest.raises(UnsupportedServerError, match="cluster"):
            memory.find_memories()
        memory.create_search_index({"x": "numeric"})
        with pytest.raises(UnsupportedServerError, match="cluster"):
            memory.find_memories()
        assert memory.drop_search_index()
