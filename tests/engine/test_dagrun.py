"""AI.DAGRUN and AI.DAGRUN_RO, deprecated: DAGs of AI.MODELRUN, otherwise as AI.DAGEXECUTE."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models

SET_X = ["|>", "AI.TENSORSET", "x", "FLOAT", 2, "VALUES", 1, 2]
RUN = ["|>", "AI.MODELRUN", "m", "INPUTS", "x", "OUTPUTS", "y"]
GET_Y = ["|>", "AI.TENSORGET", "y", "VALUES"]


@pytest.fixture(params=["DAGRUN", "DAGRUN_RO"])
def dag(request, ai, store):
    store("m", models.Double())
    return lambda *arguments: ai(request.param, *arguments)


def test_nothing_needs_to_come_before_the_ops(dag, redis_client):
    assert dag(*SET_X, *RUN, *GET_Y) == [b"OK", b"OK", [b"2", b"4"]]
    assert redis_client.keys() == [b"m"]


def test_load_and_timeout(dag, ai):
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 3)
    assert dag("LOAD", 1, "x", "TIMEOUT", 10_000, *RUN, *GET_Y) == [b"OK", [b"6"]]


def test_persist(ai, store):
    store("m", models.Double())
    assert ai("DAGRUN", "PERSIST", 1, "y", *SET_X, *RUN) == [b"OK", b"OK"]
    assert ai("TENSORGET", "y", "VALUES") == [b"2", b"4"]
    with pytest.raises(redis.ResponseError, match="^PERSIST cannot be specified in a read-only DAG$"):
        ai("DAGRUN_RO", "PERSIST", 1, "y", *SET_X, *RUN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"],
            "AI.MODELEXECUTE cannot be used in a deprecated AI.DAGRUN command",
        ),
        (
            ["|>", "AI.SCRIPTEXECUTE", "s", "f", "INPUTS", 1, "x"],
            "AI.SCRIPTEXECUTE cannot be used in a deprecated AI.DAGRUN command",
        ),
        (["|>", "AI.MODELRUN", "m"], "Insufficient arguments, INPUTS and OUTPUTS not specified"),
        (["|>", "AI.MODELRUN"], "wrong number of arguments for 'AI.MODELRUN' command"),
        (["|>", "PING"], "Unsupported command within DAG"),
        (["|>"], "DAG is empty"),
        (RUN, "INPUT key cannot be found in DAG"),
        (["x", *SET_X], "Invalid DAG command. Unexpected argument:  x"),
        (["LOAD"], "missing arguments after LOAD keyword in DAG command"),
    ],
)
def test_bad_arguments(dag, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        dag(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("command", ["AI.DAGRUN", "AI.DAGRUN_RO"])
def test_no_arguments(redis_client, command):
    with pytest.raises(redis.ResponseError, match=f"^missing arguments for '{command}' command$"):
        redis_client.execute_command(command)


def test_in_lua(dag, redis_client, request):
    command = "AI." + request.node.callspec.params["dag"]
    line = [str(word) for word in [command, *SET_X, *RUN, *GET_Y]]
    assert redis_client.eval("return redis.call(unpack(ARGV))", 0, *line) == [b"OK", b"OK", [b"2", b"4"]]
