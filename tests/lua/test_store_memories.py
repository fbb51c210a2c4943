"""store_memories.lua by itself."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import builtin, keys
from tests.lua import calls
from tests.store import toy_codec
from tests.store.refusing import refuse_in_scripts

ROWS = toy_codec.states(3)


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def test_stores_encoded_rows_and_returns_the_first_timestamp(node):
    assert calls.store(node, ROWS, timestamps=[7, 9, 8], metadata=["", '{"n":1}', ""]) == 7
    codes = np.round(ROWS / toy_codec.STEP).astype(np.int8)
    for timestamp, row in zip((7, 9, 8), codes, strict=True):
        assert node.get(keys.memory("a", timestamp)) == b"\x01\x01\x00" + row.tobytes()
    assert node.zrange(keys.index("a"), 0, -1, withscores=True) == [(b"7", 7), (b"8", 8), (b"9", 9)]
    document = node.execute_command("JSON.GET", keys.memory_metadata("a", 9))
    assert document == b'{"agent":"a","timestamp":9,"metadata":{"n":1}}'


def test_gives_consecutive_timestamps_of_now(node):
    seconds, microseconds = node.time()
    first = calls.store(node, ROWS)
    assert 0 <= first - (seconds * 1000 + microseconds // 1000) < 60_000
    assert calls.recall_recent(node, 10)[0] == [first + 2, first + 1, first]
    assert calls.store(node, ROWS) > first + 2


def test_an_empty_batch_is_refused(node):
    with refused("BADARG the number of states is 0"):
        calls.store(node, b"")
    assert calls.contents(node) == {}


def test_the_largest_batch(node):
    rows = toy_codec.states(16384)
    first = calls.store(node, rows, metadata=['{"n":1}'] * 16384)
    recalled = calls.recall_recent(node, 16384)
    assert recalled[0] == list(range(first + 16383, first - 1, -1))
    np.testing.assert_array_equal(recalled[1], rows[::-1])
    before = node.dbsize()
    with refused("BADARG the number of states is 16385"):
        calls.store(node, np.zeros((16385, 6)))
    assert node.dbsize() == before


def test_redisjson_that_sets_documents_one_by_one(node, monkeypatch):
    refuse_in_scripts(monkeypatch, "^JSON%.MSET$", "ERR Unknown Redis command called from script")
    calls.store(node, ROWS, timestamps=[1, 2, 3], metadata=['{"n":1}', "", '{"n":3}'])
    assert calls.recall_memories(node, [1, 2, 3])[2] == [b'{"n":1}', None, b'{"n":3}']
    before = calls.contents(node)
    with refused("BADMETA RedisJSON refuses the metadata"):
        calls.store(node, ROWS, timestamps=[4, 5, 6], metadata=['{"n":1}', '{"n":2}', "nope"])
    assert calls.contents(node) == before


@pytest.mark.parametrize("key", [keys.index("a"), keys.agent_metadata("a"), keys.agent_memory_system("a")])
def test_a_key_of_another_type(node, key):
    node.rpush(key, "x")
    before = calls.contents(node)
    with refused(f"WRONGTYPE key {key} holds a value of type list"):
        calls.store(node, ROWS)
    assert calls.contents(node) == before


def test_at_maxmemory_nothing_is_written(node):
    calls.store(node, ROWS, metadata=['{"n":1}'] * 3)
    before = calls.contents(node)
    node.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            calls.store(node, ROWS, metadata=['{"n":1}'] * 3)
        assert calls.contents(node) == before
    finally:
        node.config_set("maxmemory", "0")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"states": bytes(25)}, "BADARG states are 25 bytes, not rows of 6 floats"),
        ({"states": [[0, 0, np.nan, 0, 0, 0]]}, "BADSTATE .*not finite"),
        ({"configuration": "nope"}, "BADARG codec configuration is not a JSON"),
        ({"configuration": {}}, "BADARG codec configuration input_dim is nil"),
        ({"configuration": {**calls.CONFIGURATION, "codes": 0}}, "BADARG codec configuration codes is 0"),
        ({"configuration": {**calls.CONFIGURATION, "version": 65536}}, "BADARG .* version is 65536"),
        ({"configuration": {**calls.CONFIGURATION, "code_dtype": "INT64"}}, "BADARG .*code_dtype"),
        ({"configuration": {**calls.CONFIGURATION, "name": 3}}, "BADARG codec configuration has no name"),
        ({"configuration": {**calls.CONFIGURATION, "encoder": "none"}}, "NOCODEC there is no model at none"),
        (
            {"configuration": {**calls.CONFIGURATION, "codes": 7}},
            "BADCODEC .* made 18 bytes of 3 states, not 7",
        ),
        ({"configuration": {**calls.CONFIGURATION, "input_dim": 9}}, "BADCODEC .*wrong number of features"),
        ({"groups": "nope"}, "BADARG feature groups is not a JSON"),
        ({"groups": [{"name": "x", "features": 0, "codes": 1}]}, "BADARG features is 0"),
        ({"threshold": 0}, "BADARG policy retention threshold is 0"),
        ({"threshold": "many"}, "BADARG policy retention threshold is many"),
        ({"timestamps": "7"}, "BADARG timestamps is not a JSON array"),
        ({"timestamps": [1, 2]}, "BADARG 3 states have 2 timestamps and 0 metadata"),
        ({"timestamps": [1, 2.5, 3]}, "BADARG timestamps is 2.5"),
        ({"timestamps": [1, -2, 3]}, "BADARG timestamps is -2"),
        ({"timestamps": [1, 2**53, 3]}, "BADARG timestamps is"),
        ({"timestamps": [1, 1, 2]}, "EXISTS timestamp 1 is given twice"),
        ({"timestamps": [9, 8, 7], "agent": "b"}, "EXISTS agent b already has a memory at 8"),
        ({"metadata": ["{}"]}, "BADARG 3 states have 3 timestamps and 1 metadata"),
        ({"metadata": ["{}", "nope", "{}"]}, "BADMETA"),
        (
            {
                "agent": "b",
                "states": np.zeros((3, 5)),
                "configuration": {**calls.CONFIGURATION, "input_dim": 5, "codes": 5},
            },
            "BADSHAPE agent_states have 5 features, but the memories of agent b have 6",
        ),
        ({"agent": "c"}, "OTHERCODEC the memories of agent c are of codec other, not of toy"),
    ],
)
def test_what_is_refused_leaves_nothing(node, arguments, match):
    calls.store(node, ROWS[:1], agent="b", timestamps=[8])
    toy_codec.publish(node, "other")
    other = {**calls.CONFIGURATION, "name": "other", "encoder": keys.encoder("other", 1)}
    calls.store(node, ROWS[:1], agent="c", configuration=other)
    before = calls.contents(node)
    with refused(match):
        calls.store(node, **{"states": ROWS, **arguments})
    assert calls.contents(node) == before


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (
            np.nan,
            "BADSTATE memory_system:float16:v1:encoder: a state is not finite: it holds NaN or infinity$",
        ),
        (-np.inf, "BADSTATE .*: a state is not finite"),
        (65520, "BADRANGE .*:encoder: a state is out of range: .* from -65504 to 65504, not 65520"),
    ],
)
def test_what_the_built_in_codec_refuses(node, value, match):
    for command in builtin.publication("float16"):
        node.execute_command(*command.arguments)
    codec = {"name": "float16", "code_dtype": "HALF", "encoder": keys.encoder("float16", 1)}
    with refused(match):
        calls.store(node, [[0, 0, 0, 0, 0, value]], configuration={**calls.CONFIGURATION, **codec})
    assert calls.contents(node) == {}


def test_trims_value_metadata_and_index(node):
    calls.store(node, toy_codec.states(12), threshold=10, timestamps=list(range(12)), metadata=["{}"] * 12)
    kept = [int(member) for member in node.zrange(keys.index("a"), 0, -1)]
    assert kept == list(range(2, 12))
    expected = {keys.index("a"), keys.agent_metadata("a"), keys.agent_memory_system("a"), keys.state("a")}
    expected |= {name("a", t) for t in kept for name in (keys.memory, keys.memory_metadata)}
    assert {key.decode() for key in calls.contents(node)} == expected


def test_a_threshold_of_one_keeps_the_newest(node):
    first = calls.store(node, toy_codec.states(50), threshold=1)
    assert calls.recall_recent(node, 10)[0] == [first + 49]


def test_a_repetition_returns_what_the_store_did_and_stores_nothing(node):
    first = calls.store(node, toy_codec.states(3), token="one", timestamps=[5, 6, 7])
    before = calls.contents(node)
    assert calls.store(node, toy_codec.states(3), token="one 20", timestamps=[5, 6, 7]) == first == 5
    assert calls.contents(node) == before


def test_a_repetition_of_a_store_that_was_not_done_does_it(node):
    calls.store(node, toy_codec.states(1), token="one", timestamps=[5])
    assert calls.store(node, toy_codec.states(1), token="on 20", timestamps=[6]) == 6
    assert calls.store(node, toy_codec.states(1), token="other 0", timestamps=[7]) == 7
    assert node.zcard(keys.index("a")) == 3


def test_a_refused_store_leaves_no_token(node):
    with pytest.raises(redis.ResponseError, match="BADSTATE"):
        calls.store(node, [[float("nan")] * 6], token="one")
    assert calls.contents(node) == {}


def test_the_list_of_tokens_is_bounded_and_says_when_it_cannot_tell(node):
    for i in range(40):
        calls.store(node, toy_codec.states(1), token=f"t{i}", timestamps=[i + 1])
        assert node.llen(keys.tokens("a")) < 32
    assert calls.store(node, toy_codec.states(1), token="t39 5", timestamps=[40]) == 40
    before = calls.contents(node)
    with pytest.raises(redis.ResponseError, match="MEMERR UNSURE"):
        calls.store(node, toy_codec.states(1), token="t2 60000")
    assert calls.contents(node) == before


def test_stores_without_a_token_keep_no_list(node):
    calls.store(node, toy_codec.states(1))
    assert not node.exists(keys.tokens("a"))


def test_somebody_elses_value_in_the_place_of_the_tokens(node):
    node.set(keys.tokens("a"), "somebody else's")
    before = calls.contents(node)
    with pytest.raises(redis.ResponseError, match="MEMERR WRONGTYPE"):
        calls.store(node, toy_codec.states(1), token="one")
    assert calls.contents(node) == before
