"""AI.MODELRUN, deprecated: AI.MODELEXECUTE without counts."""

from __future__ import annotations

import threading

import pytest
import redis

from tests.engine import models


@pytest.fixture
def two(ai, store):
    store("m", models.AddAndMultiply())
    ai("TENSORSET", "a", "FLOAT", 1, "VALUES", 3)
    ai("TENSORSET", "b", "FLOAT", 1, "VALUES", 4)


@pytest.mark.parametrize("timeout", [[], ["TIMEOUT", 10_000]], ids=["", "timeout"])
def test_several_inputs_and_outputs(ai, two, timeout):
    assert ai("MODELRUN", "m", *timeout, "inputs", "a", "b", "outputs", "sum", "product") == b"OK"
    assert ai("TENSORGET", "sum", "VALUES") == [b"7"]
    assert ai("TENSORGET", "product", "VALUES") == [b"12"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m"], "Insufficient arguments, INPUTS and OUTPUTS not specified"),
        (["m", "TIMEOUT", 5], "Insufficient arguments, INPUTS and OUTPUTS not specified"),
        (["m", "a", "b"], "INPUTS not specified"),
        (["m", "INPUTS", "a", "b"], "OUTPUTS not specified"),
        (["m", "TIMEOUT"], "No value provided for TIMEOUT"),
        (["m", "TIMEOUT", 0, "INPUTS", "a", "b", "OUTPUTS", "c", "d"], "Invalid value for TIMEOUT"),
        (
            ["m", "INPUTS", "OUTPUTS", "c", "d"],
            "Number of keys given as INPUTS here does not match model definition",
        ),
        (
            ["m", "INPUTS", "a", "b", "OUTPUTS"],
            "Number of keys given as OUTPUTS here does not match model definition",
        ),
        (["nothing", "INPUTS", "a", "b", "OUTPUTS", "c", "d"], "model key is empty"),
        (
            ["m", "INPUTS", "a", "nothing", "OUTPUTS", "c", "d"],
            "tensor key is empty or in a different shard",
        ),
        (
            ["a", "INPUTS", "a", "b", "OUTPUTS", "c", "d"],
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ],
)
def test_bad_arguments(ai, two, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELRUN", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 3


def test_no_arguments(ai):
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.modelrun' command"):
        ai("MODELRUN")


def test_a_request_that_waits_too_long_is_timed_out(ai, store, redis_client, wait_until):
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 200)
    run = threading.Thread(target=ai, args=("MODELRUN", "slow", "INPUTS", "rounds", "OUTPUTS", "y"))
    run.start()
    wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
    assert ai("MODELRUN", "slow", "TIMEOUT", 1, "INPUTS", "rounds", "OUTPUTS", "late") == b"TIMEDOUT"
    run.join()
    assert not redis_client.exists("late")


def test_in_lua_and_in_multi(ai, two, redis_client):
    line = ["AI.MODELRUN", "m", "INPUTS", "a", "b", "OUTPUTS", "sum", "product"]
    assert redis_client.eval("return redis.call(unpack(ARGV))", 0, *line) == b"OK"
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command(*line)
        pipeline.execute_command("AI.TENSORGET", "sum", "VALUES")
        assert pipeline.execute() == [b"OK", [b"7"]]
