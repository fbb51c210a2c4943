"""AI.SCRIPTSET, deprecated: AI.SCRIPTSTORE without entry points."""

from __future__ import annotations

import pytest
import redis

from tests.engine import scripts


def test_it_stores_as_scriptstore_does_without_entry_points(ai):
    assert ai("SCRIPTSET", "s", "CPU", "TAG", "v1", "SOURCE", scripts.SOURCE) == b"OK"
    old = ai("SCRIPTGET", "s")
    ai("SCRIPTSTORE", "s", "CPU", "TAG", "v1", *scripts.arguments(entry_points=[]))
    assert ai("SCRIPTGET", "s") == old


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TPU", "SOURCE", scripts.SOURCE], "Invalid DEVICE"),
        (["CPU", "TAG", "v1"], "Insufficient arguments, missing script SOURCE"),
        (["CPU", "SOURCE"], "Insufficient arguments, missing script SOURCE"),
        (["CPU", scripts.SOURCE, "x"], "Insufficient arguments, missing script SOURCE"),
        (["CPU", "SOURCE", scripts.SOURCE, "more"], "Invalid argument: more"),
    ],
)
def test_bad_arguments(ai, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("SCRIPTSET", "s", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 0


def test_source_that_does_not_compile(ai, redis_client):
    with pytest.raises(redis.ResponseError, match="the script cannot be compiled"):
        ai("SCRIPTSET", "s", "CPU", "SOURCE", "def f(x): return x +")
    assert redis_client.dbsize() == 0


def test_a_key_of_another_type(ai, redis_client):
    redis_client.set("s", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("SCRIPTSET", "s", "CPU", "SOURCE", scripts.SOURCE)
    assert redis_client.get("s") == b"text"


def test_too_few_arguments(ai):
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.scriptset' command"):
        ai("SCRIPTSET", "s")


def test_in_lua_and_in_multi(ai, redis_client):
    line = ["AI.SCRIPTSET", "s", "CPU", "SOURCE", scripts.SOURCE]
    assert redis_client.eval("return redis.call(unpack(ARGV))", 1, "s", *line) == b"OK"
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command(*line)
        assert pipeline.execute() == [b"OK"]
